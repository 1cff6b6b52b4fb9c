//! Ferrovia from its image and its manifests, as an admin installs it: nothing is started by hand.

pub mod install;
