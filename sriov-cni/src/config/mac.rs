//! The address wanted for the VF: `mac`, overridden by `CNI_ARGS`, overridden by `runtimeConfig.mac`.

use cni::args::Args;
use host::mac::MacAddress;

use super::{Invalid, RawConfig};

pub(super) fn choose(raw: &RawConfig, args: &Args) -> Result<Option<MacAddress>, Invalid> {
    let wanted = [
        ("runtimeConfig.mac", raw.runtime_mac.as_deref()),
        ("MAC in CNI_ARGS", args.get("MAC")),
        ("mac", raw.mac.as_deref()),
    ];
    let Some((key, text)) = wanted
        .into_iter()
        .find_map(|(key, text)| Some((key, text.filter(|text| !text.is_empty())?)))
    else {
        return Ok(None);
    };
    let mac: MacAddress = text.parse().map_err(|_| {
        Invalid::new(
            key,
            format!("{text:?}"),
            "is no MAC address; give one like 02:00:00:12:34:56",
        )
    })?;
    if !mac.is_valid_unicast() {
        return Err(Invalid::new(
            key,
            mac,
            "is all zero or a group address; give one station's address, like 02:00:00:12:34:56",
        ));
    }
    Ok(Some(mac))
}
