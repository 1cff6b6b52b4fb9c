//! A stand-in kubelet.
