//! Key and certificate in one file, mode 0600, under the name that Go multus gives it.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use host::file::{self, Durability, PRIVATE, PRIVATE_DIR};
use x509_parser::pem::Pem;

/// Name in `certDir`. Go multus has a symbolic link there; ours replaces it.
const FILE: &str = "multus-client-current.pem";

/// Why a stored or issued pair cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PairError {
    /// It cannot be read or written.
    #[error(transparent)]
    File(#[from] host::error::Error),
    /// It is no certificate with its key.
    #[error("{0} is no certificate with its key: {1}")]
    Damaged(String, String),
}

/// A certificate with its key.
#[derive(Clone, PartialEq, Eq)]
pub struct Pair {
    /// PEM, further certificates of a chain included.
    pub certificate: String,
    /// PEM of the private key.
    pub key: String,
    begins: u64,
    ends: u64,
}

impl std::fmt::Debug for Pair {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Never the key.
        f.debug_struct("Pair")
            .field("begins", &self.begins)
            .field("ends", &self.ends)
            .finish_non_exhaustive()
    }
}

impl Pair {
    /// A pair of an issued certificate; `from` names it in errors.
    ///
    /// # Errors
    /// When the text is no certificate.
    pub fn new(certificate: String, key: String, from: &str) -> Result<Self, PairError> {
        let damaged = |why: String| PairError::Damaged(from.to_owned(), why);
        let pem = Pem::iter_from_buffer(certificate.as_bytes())
            .filter_map(Result::ok)
            .find(|pem| pem.label == "CERTIFICATE")
            .ok_or_else(|| damaged("it has no certificate".to_owned()))?;
        let parsed = pem
            .parse_x509()
            .map_err(|error| damaged(error.to_string()))?;
        let validity = parsed.validity();
        let seconds = |time: i64| u64::try_from(time).unwrap_or_default();
        Ok(Self {
            begins: seconds(validity.not_before.timestamp()),
            ends: seconds(validity.not_after.timestamp()),
            certificate,
            key,
        })
    }

    /// When it ends, in seconds since 1970.
    pub fn ends(&self) -> u64 {
        self.ends
    }

    /// Time until it is to be renewed: after 70 to 90 per cent of its life, the same for a node each time, so that not
    /// all nodes ask at once. `None`: now.
    pub fn renew_in(&self, node: &str, now: SystemTime) -> Option<Duration> {
        let mut hasher = DefaultHasher::new();
        node.hash(&mut hasher);
        let percent = 70 + hasher.finish() % 20;
        let life = self.ends.saturating_sub(self.begins);
        let at = self.begins + life.saturating_mul(percent) / 100;
        at.checked_sub(since_1970(now))
            .filter(|left| *left > 0)
            .map(Duration::from_secs)
    }

    fn is_over(&self, now: SystemTime) -> bool {
        since_1970(now) >= self.ends
    }
}

fn since_1970(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs()
}

/// Where the pair is below `certDir`.
pub fn path(cert_dir: &Path) -> PathBuf {
    cert_dir.join(FILE)
}

/// The pair, if there is one that has not ended.
///
/// # Errors
/// When it cannot be read, or is none.
pub fn read(path: &Path, now: SystemTime) -> Result<Option<Pair>, PairError> {
    let Some(text) = file::read_text(path)? else {
        return Ok(None);
    };
    let from = path.display().to_string();
    let blocks = |wanted: fn(&str) -> bool| -> String {
        let mut found = String::new();
        let mut inside = false;
        for line in text.lines() {
            let label = line
                .strip_prefix("-----BEGIN ")
                .and_then(|l| l.strip_suffix("-----"));
            inside = label.map_or(inside, wanted);
            if inside {
                found.push_str(line);
                found.push('\n');
            }
            inside = inside && !line.starts_with("-----END ");
        }
        found
    };
    let key = blocks(|label| label.ends_with("PRIVATE KEY"));
    if key.is_empty() {
        return Err(PairError::Damaged(from, "it has no key".to_owned()));
    }
    let pair = Pair::new(blocks(|label| label == "CERTIFICATE"), key, &from)?;
    Ok((!pair.is_over(now)).then_some(pair))
}

/// Puts the pair there at once: whoever reads gets the old one or the new one.
///
/// # Errors
/// When it cannot be written.
pub fn write(path: &Path, pair: &Pair) -> Result<(), PairError> {
    if let Some(dir) = path.parent() {
        file::create_dir(dir, PRIVATE_DIR)?;
    }
    let text = format!("{}{}", pair.certificate, pair.key);
    Ok(file::write(
        path,
        text.as_bytes(),
        PRIVATE,
        Durability::PowerCut,
    )?)
}

#[cfg(test)]
pub(super) mod tests {
    use std::os::unix::fs::MetadataExt;

    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::*;

    /// Of 2026, a hundred days from day `first` of January on.
    pub(crate) fn pair(first: u8) -> Pair {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.not_before = date_time_ymd(2026, 1, first);
        params.not_after = date_time_ymd(2026, 4, first + 10);
        let certificate = params.self_signed(&key).unwrap().pem();
        Pair::new(certificate, key.serialize_pem(), "a test").unwrap()
    }

    fn day(pair: &Pair, number: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(pair.begins + number * 86400)
    }

    #[test]
    fn row_56_key_and_certificate_are_one_private_file_and_are_read_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = path(&dir.path().join("certs"));
        let made = pair(1);
        assert_eq!(read(&path, day(&made, 1)).unwrap(), None);
        write(&path, &made).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(read(&path, day(&made, 99)).unwrap(), Some(made.clone()));
        assert_eq!(read(&path, day(&made, 101)).unwrap(), None, "it has ended");
        assert!(!format!("{made:?}").contains("PRIVATE"));
    }

    #[test]
    fn row_56_a_certificate_is_renewed_after_most_of_its_life_and_not_by_all_nodes_at_once() {
        let pair = pair(1);
        let days = |node: &str| pair.renew_in(node, day(&pair, 0)).unwrap().as_secs() / 86400;
        let nodes: Vec<u64> = (0..50).map(|i| days(&format!("node{i}"))).collect();
        assert!(nodes.iter().all(|day| (70..90).contains(day)), "{nodes:?}");
        assert!(nodes.iter().min() < nodes.iter().max());
        assert_eq!(days("n1"), days("n1"));
        assert_eq!(pair.renew_in("n1", day(&pair, 90)), None);
    }

    #[test]
    fn row_56_a_damaged_file_is_an_error_that_names_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = path(dir.path());
        let made = pair(1);
        for text in ["", "x", made.certificate.as_str(), made.key.as_str()] {
            file::write(&path, text.as_bytes(), PRIVATE, Durability::Process).unwrap();
            let error = read(&path, day(&made, 1)).unwrap_err().to_string();
            assert!(error.contains(FILE), "{error}");
        }
    }
}
