//! Which version a network speaks: `cniVersion`, or the best of `cniVersions`.

use super::ConfigError;
use crate::raw::Object;
use crate::version::{UnknownVersion, Version};

/// The text to use as `cniVersion`: the highest published one of `cniVersions` and `cniVersion`, or
/// what `cniVersion` says if `cniVersions` has none. Versions newer than ours are passed over; an
/// entry that is no version at all is an error.
pub(super) fn choose(object: &Object, single: bool) -> Result<String, ConfigError> {
    let own: Option<String> = if single {
        object
            .typed_folded("cniVersion")
            .map_err(ConfigError::Key)?
    } else {
        object.typed("cniVersion").map_err(ConfigError::Key)?
    };
    let own = own.unwrap_or_default();
    let offered: Option<Vec<String>> = object.typed("cniVersions").map_err(ConfigError::Key)?;
    let Some(mut offered) = offered.filter(|_| !single) else {
        return Ok(own);
    };
    if let Some(bad) = offered.iter().find(|text| !is_dotted_number(text)) {
        return Err(UnknownVersion(bad.clone()).into());
    }
    offered.push(own.clone());
    let best = offered
        .iter()
        .filter_map(|text| text.parse::<Version>().ok())
        .max();
    Ok(best.map_or(own, |version| version.to_string()))
}

fn is_dotted_number(text: &str) -> bool {
    let parts: Vec<_> = text.split('.').collect();
    parts.len() == 3 && parts.iter().all(|part| part.parse::<u32>().is_ok())
}
