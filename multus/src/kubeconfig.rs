//! Thin mode: a kubeconfig for programs on the host, made of a pod's service account and kept as fresh as that is
//! (spec/multus.md §6.5, §9.2 Q32).
//!
//! The token is bound to the pod that it was given to and ends with it. So the pod has to stay
//! (`multus-daemon thin`), and whoever meets a token that has ended is told whose it was ([`Claims::ended`]).

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use host::file::{self, Durability, PRIVATE};
use k8s_openapi::jiff::Timestamp;
use serde::Deserialize;

/// Why there is no kubeconfig.
#[derive(Debug, thiserror::Error)]
pub enum KubeconfigError {
    /// A file.
    #[error(transparent)]
    File(#[from] host::error::Error),
    /// The service account is not mounted.
    #[error(
        "{0} does not exist: mount the service account's token into this pod (automountServiceAccountToken)"
    )]
    NoToken(PathBuf),
    /// The token is none.
    #[error("{0} holds no token")]
    Token(PathBuf),
}

/// The service account of a pod and the API server that it is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Folder with `token` and `ca.crt`.
    pub dir: PathBuf,
    /// URL of the API server.
    pub server: String,
    /// Nothing is verified, for clusters whose CA nobody has.
    pub skip_tls_verify: bool,
}

/// URL from the variables that each container gets (`KUBERNETES_SERVICE_*`).
pub fn server(protocol: Option<&str>, host: &str, port: &str) -> String {
    let protocol = protocol.filter(|text| !text.is_empty()).unwrap_or("https");
    if host.contains(':') {
        format!("{protocol}://[{host}]:{port}")
    } else {
        format!("{protocol}://{host}:{port}")
    }
}

/// Brings the kubeconfig at `path` to what the service account is now. `None` if it was so already; else what is known
/// about the token.
///
/// # Errors
/// When the service account cannot be read or the file cannot be written; the old one stays.
pub fn refresh(path: &Path, account: &Account) -> Result<Option<Claims>, KubeconfigError> {
    let source = account.dir.join("token");
    let text = file::read_text(&source)?.ok_or_else(|| KubeconfigError::NoToken(source.clone()))?;
    let token = text.trim();
    let is_token = |c: char| c.is_ascii_alphanumeric() || "-._~+/=".contains(c);
    if token.is_empty() || !token.chars().all(is_token) {
        return Err(KubeconfigError::Token(source));
    }
    let ca = file::read(&account.dir.join("ca.crt"))?;
    let wanted = content(account, ca.as_deref(), token);
    if file::read(path)?.as_deref() == Some(wanted.as_bytes()) {
        return Ok(None);
    }
    if let Some(dir) = path.parent() {
        file::create_dir(dir, 0o755)?;
    }
    file::write(path, wanted.as_bytes(), PRIVATE, Durability::PowerCut)?;
    Ok(Some(Claims::of(token)))
}

/// The names are those of Go multus.
fn content(account: &Account, ca: Option<&[u8]>, token: &str) -> String {
    let trust = match (account.skip_tls_verify, ca) {
        (true, _) => "    insecure-skip-tls-verify: true\n".to_owned(),
        (false, Some(ca)) => format!("    certificate-authority-data: {}\n", STANDARD.encode(ca)),
        (false, None) => String::new(),
    };
    format!(
        "# Written by multus-daemon; it is written anew when the service account's token or CA changes.\n\
         apiVersion: v1\n\
         kind: Config\n\
         clusters:\n\
         - name: local\n\
         \x20 cluster:\n\
         \x20   server: {}\n\
         {trust}\
         users:\n\
         - name: multus\n\
         \x20 user:\n\
         \x20   token: \"{token}\"\n\
         contexts:\n\
         - name: multus-context\n\
         \x20 context:\n\
         \x20   cluster: local\n\
         \x20   user: multus\n\
         current-context: multus-context\n",
        account.server
    )
}

/// What a token says about itself; nothing of it is verified, that is the API server's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Claims {
    /// Seconds since 1970.
    pub expires: Option<u64>,
    /// `<namespace>/<name>` of the pod that it is bound to.
    pub pod: Option<String>,
}

impl Claims {
    /// Those of a JSON web token; nothing is known of any other token.
    pub fn of(token: &str) -> Self {
        #[derive(Deserialize, Default)]
        #[serde(default)]
        struct Payload {
            exp: Option<u64>,
            #[serde(rename = "kubernetes.io")]
            kubernetes: Kubernetes,
        }
        #[derive(Deserialize, Default)]
        #[serde(default)]
        struct Kubernetes {
            namespace: String,
            pod: Option<Object>,
        }
        #[derive(Deserialize)]
        struct Object {
            name: String,
        }
        let payload = token.split('.').nth(1).unwrap_or_default();
        let bytes = URL_SAFE_NO_PAD.decode(payload).unwrap_or_default();
        let payload: Payload = serde_json::from_slice(&bytes).unwrap_or_default();
        let Kubernetes { namespace, pod } = payload.kubernetes;
        Self {
            expires: payload.exp,
            pod: pod.map(|pod| format!("{namespace}/{}", pod.name)),
        }
    }

    /// A sentence about a token that has ended by `now`, or `refused` by the API server; `None` if nothing is wrong with
    /// it as far as is known.
    pub fn ended(&self, path: &Path, now: Timestamp, refused: bool) -> Option<String> {
        let file = path.display();
        let whose = self.pod.as_ref().map_or_else(
            || "nobody renews it: 'multus-daemon thin' does, in a pod on this node".to_owned(),
            |pod| {
                format!("it was given to pod {pod} and ends with it: does the multus pod of this node run?")
            },
        );
        let over = self
            .expires
            .and_then(|at| i64::try_from(at).ok())
            .filter(|at| *at <= now.as_second());
        let at = over.and_then(|at| Timestamp::from_second(at).ok());
        match at {
            Some(at) => Some(format!("the token in {file} ended at {at}; {whose}")),
            None if refused => Some(format!(
                "the API server does not take the token in {file}; {whose}"
            )),
            None => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    fn token(payload: &str) -> String {
        format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(payload))
    }

    fn account(dir: &Path) -> Account {
        for (name, text) in [("token", token("{}")), ("ca.crt", "the ca".to_owned())] {
            file::write(&dir.join(name), text.as_bytes(), 0o644, Durability::Process).unwrap();
        }
        Account {
            dir: dir.to_owned(),
            server: server(None, "10.0.0.1", "443"),
            skip_tls_verify: false,
        }
    }

    #[test]
    fn row_58_the_kubeconfig_is_private_and_is_what_kube_reads() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("net.d/multus.d/multus.kubeconfig");
        assert!(refresh(&path, &account(dir.path())).unwrap().is_some());
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        let read = kube::config::Kubeconfig::read_from(&path).unwrap();
        assert_eq!(read.current_context.as_deref(), Some("multus-context"));
        let cluster = read.clusters[0].cluster.as_ref().unwrap();
        assert_eq!(cluster.server.as_deref(), Some("https://10.0.0.1:443"));
        assert_eq!(
            cluster.certificate_authority_data,
            Some(STANDARD.encode("the ca"))
        );
        assert!(
            read.auth_infos[0]
                .auth_info
                .as_ref()
                .unwrap()
                .token
                .is_some()
        );
    }

    #[test]
    fn row_58_a_new_token_or_ca_is_written_and_an_equal_one_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("multus.kubeconfig");
        let account = account(dir.path());
        refresh(&path, &account).unwrap();
        let inode = || std::fs::metadata(&path).unwrap().ino();
        let before = inode();
        assert_eq!(refresh(&path, &account).unwrap(), None);
        assert_eq!(inode(), before);
        let put = |name: &str, text: &str| {
            let file = dir.path().join(name);
            file::write(&file, text.as_bytes(), 0o644, Durability::Process).unwrap();
        };
        put(
            "token",
            &token(
                r#"{"exp":7,"kubernetes.io":{"namespace":"kube-system","pod":{"name":"multus-x"}}}"#,
            ),
        );
        let claims = refresh(&path, &account).unwrap().unwrap();
        assert_eq!(claims.expires, Some(7));
        assert_eq!(claims.pod.as_deref(), Some("kube-system/multus-x"));
        put("ca.crt", "another ca");
        assert!(refresh(&path, &account).unwrap().is_some());
        // A token that is none leaves the last good file.
        let good = file::read(&path).unwrap();
        for bad in ["", "two words", "quote\""] {
            put("token", bad);
            assert!(refresh(&path, &account).is_err(), "{bad}");
        }
        file::remove(&dir.path().join("token")).unwrap();
        let error = refresh(&path, &account).unwrap_err().to_string();
        assert!(error.contains("automountServiceAccountToken"), "{error}");
        assert_eq!(file::read(&path).unwrap(), good);
    }

    #[test]
    fn row_57_skip_tls_verify_leaves_the_ca_out() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("multus.kubeconfig");
        let account = Account {
            skip_tls_verify: true,
            server: server(Some("http"), "fd00::1", "6443"),
            ..account(dir.path())
        };
        refresh(&path, &account).unwrap();
        let text = file::read_text(&path).unwrap().unwrap();
        assert!(text.contains("insecure-skip-tls-verify: true"), "{text}");
        assert!(!text.contains("certificate-authority-data"), "{text}");
        assert!(text.contains("server: http://[fd00::1]:6443"), "{text}");
    }

    #[test]
    fn row_58_a_token_that_ended_names_the_pod_that_it_was_bound_to() {
        let text =
            r#"{"exp":1000,"kubernetes.io":{"namespace":"kube-system","pod":{"name":"multus-x"}}}"#;
        let claims = Claims::of(&token(text));
        let path = Path::new("/k");
        let at = |second| Timestamp::from_second(second).unwrap();
        assert_eq!(claims.ended(path, at(999), false), None);
        let ended = claims.ended(path, at(1000), false).unwrap();
        assert!(
            ended.contains("/k ended at 1970-01-01T00:16:40Z")
                && ended.contains("kube-system/multus-x"),
            "{ended}"
        );
        let refused = claims.ended(path, at(999), true).unwrap();
        assert!(
            refused.contains("does not take") && refused.contains("kube-system/multus-x"),
            "{refused}"
        );
        assert_eq!(Claims::of("opaque"), Claims::default());
        assert!(Claims::default().ended(path, at(0), true).is_some());
    }
}
