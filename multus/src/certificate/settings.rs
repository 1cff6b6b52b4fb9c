//! `perNodeCertificate` of the daemon's configuration file (spec/multus.md §1.2, §6.7).

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

/// Shortest lifetime that the API server grants (`expirationSeconds`, certificates.k8s.io/v1).
const SHORTEST: Duration = Duration::from_mins(10);

/// The block. Off unless `enabled`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CertificateSettings {
    /// Whether the node gets a certificate of its own.
    pub enabled: bool,
    /// Kubeconfig with which the first certificate is asked for.
    pub bootstrap_kubeconfig: PathBuf,
    /// Folder of key and certificate.
    pub cert_dir: PathBuf,
    /// Lifetime, as Go writes durations: `10m`, `1h30m`. Default 10 minutes.
    pub cert_duration: Option<String>,
}

impl CertificateSettings {
    /// The lifetime to be asked for.
    ///
    /// # Errors
    /// A text that is no duration, or one below what the API server grants.
    pub fn lifetime(&self) -> Result<Duration, String> {
        let text = self.cert_duration.as_deref().unwrap_or_default();
        if text.is_empty() {
            return Ok(SHORTEST);
        }
        let wrong = || {
            format!(
                "\"certDuration\" {text:?} is no duration of at least 10 minutes: write it like 10m or 1h30m"
            )
        };
        let lifetime = duration(text).ok_or_else(wrong)?;
        (lifetime >= SHORTEST).then_some(lifetime).ok_or_else(wrong)
    }
}

/// Hours, minutes and seconds, each a whole number with its letter.
fn duration(text: &str) -> Option<Duration> {
    let mut total = Duration::ZERO;
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit())?;
        let number: u64 = rest.get(..end)?.parse().ok()?;
        let unit = match rest.get(end..=end)? {
            "h" => 3600,
            "m" => 60,
            "s" => 1,
            _ => return None,
        };
        total = total.checked_add(Duration::from_secs(number.checked_mul(unit)?))?;
        rest = rest.get(end + 1..)?;
    }
    Some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_of_go_are_understood() {
        assert_eq!(duration("1h30m5s"), Some(Duration::from_secs(5405)));
        for wrong in [
            "10",
            "m",
            "1d",
            "-1h",
            "1h-",
            "1.5h",
            "99999999999999999999h",
        ] {
            assert_eq!(duration(wrong), None, "{wrong}");
        }
    }
}
