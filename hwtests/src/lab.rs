//! The emulated lab, seen from the machine it runs on: builds the guest once, boots it, exchanges files with it.

pub mod build;
pub mod demo;
pub mod guest;
pub mod image;
pub mod qemu;
pub mod suite;

pub use build::Lab;
pub use guest::{Guest, GuestCommand};
