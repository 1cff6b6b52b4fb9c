//! The images of the story, by the names under which host and guest know them.

use anyhow::{Context, Result};

use super::install::Installation;

/// Programs of the image.
pub const PROGRAMS: [&str; 4] = ["multus", "multus-daemon", "sriov", "sriovdp"];
/// Archives in the guest's folder of programs: of this version, of the older tag.
pub const ARCHIVES: [&str; 2] = ["image.tar", "image-older.tar"];
/// Tag of the older image.
pub const OLDER_TAG: &str = "0.0.9";
/// What the older image's programs end with.
pub const MARK: &[u8] = b"an older tag";

/// Name of this version's image: the one that the committed manifests have.
///
/// # Errors
/// When the manifests name none.
pub fn current() -> Result<String> {
    Installation::committed_image()
}

/// Name of the older image.
///
/// # Errors
/// When the manifests name none.
pub fn older() -> Result<String> {
    let current = current()?;
    let (name, _) = current.rsplit_once(':').context("an image without a tag")?;
    Ok(format!("{name}:{OLDER_TAG}"))
}
