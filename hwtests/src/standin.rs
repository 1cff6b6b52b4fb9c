//! Stand-ins for the parts of a cluster that a machine may lack: an API server, a few controllers and a kubelet.
//! They speak the real interfaces over the real transports, so the programs under test cannot tell.

pub mod api;
pub mod controllers;
pub mod kubelet;
