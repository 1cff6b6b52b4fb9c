//! Stand-ins for things that cannot exist in a test: fake sysfs trees and a PF that behaves like a driver.

pub mod driver;
pub mod netns;
mod notation;
pub mod pf;
pub mod sysfs;
