//! Asking the API server for a certificate: a key that never leaves the node, a CertificateSigningRequest, and waiting
//! until somebody approves it.

use std::time::{Duration, SystemTime};

use k8s_openapi::ByteString;
use k8s_openapi::api::certificates::v1::{
    CertificateSigningRequest, CertificateSigningRequestSpec,
};
use kube::api::{Api, PostParams};
use kube::core::ObjectMeta;
use kube::{Client, ResourceExt};
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};
use tracing::info;

use super::pair::{Pair, PairError};
use super::{COMMON_NAME, ORGANIZATION, SIGNER, USAGES};

/// How long approval and signature are waited for.
const LONGEST: Duration = Duration::from_mins(2);
/// Pause between two looks.
const PAUSE: Duration = Duration::from_secs(1);

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// Key or request could not be made.
    #[error("make the key of this node")]
    Key(#[from] rcgen::Error),
    /// The API server.
    #[error("{step} certificate signing request {name}")]
    Api {
        /// What was tried.
        step: &'static str,
        /// Its name.
        name: String,
        /// Its answer.
        #[source]
        source: Box<kube::Error>,
    },
    /// Somebody decided against it.
    #[error("certificate signing request {name} was {word}: {message}")]
    Refused {
        /// Its name.
        name: String,
        /// `denied` or `failed`.
        word: &'static str,
        /// The words of whoever decided.
        message: String,
    },
    /// Nobody decided.
    #[error(
        "certificate signing request {0} was not approved and signed in {secs} s: does 'multus-daemon approve-certificates' run in the cluster?",
        secs = LONGEST.as_secs()
    )]
    Unanswered(String),
    /// What was issued is unusable.
    #[error("issued certificate")]
    Issued(#[source] PairError),
    /// It cannot be stored.
    #[error("store the certificate of this node")]
    Store(#[source] PairError),
}

/// Asks, and waits for the answer.
///
/// # Errors
/// When there is no certificate in the end.
pub async fn ask(
    client: &Client,
    node: &str,
    lifetime: Duration,
    now: fn() -> SystemTime,
) -> Result<Pair, RequestError> {
    let key = KeyPair::generate()?;
    let text = request(node, &key)?;
    let api: Api<CertificateSigningRequest> = Api::all(client.clone());
    let since = now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    let name = format!("multus-{node}-{:x}", since.as_nanos());
    let failed = |step| {
        let name = name.clone();
        move |source| RequestError::Api {
            step,
            name,
            source: Box::new(source),
        }
    };
    let object = object(&name, text, lifetime);
    let created = api.create(&PostParams::default(), &object).await;
    created.map_err(failed("create"))?;
    info!(name, "certificate asked for");
    let deadline = tokio::time::Instant::now() + LONGEST;
    while tokio::time::Instant::now() < deadline {
        let found = api.get(&name).await.map_err(failed("look at"))?;
        if let Some(certificate) = answer(&found)? {
            return Pair::new(certificate, key.serialize_pem(), &name)
                .map_err(RequestError::Issued);
        }
        tokio::time::sleep(PAUSE).await;
    }
    Err(RequestError::Unanswered(name))
}

/// PKCS#10 in PEM: the node's name and the daemons' group, and nothing else.
fn request(node: &str, key: &KeyPair) -> Result<String, rcgen::Error> {
    let mut params = CertificateParams::default();
    let mut name = DistinguishedName::new();
    name.push(DnType::OrganizationName, ORGANIZATION);
    name.push(DnType::CommonName, format!("{COMMON_NAME}{node}"));
    params.distinguished_name = name;
    params.serialize_request(key)?.pem()
}

fn object(name: &str, request: String, lifetime: Duration) -> CertificateSigningRequest {
    CertificateSigningRequest {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            ..ObjectMeta::default()
        },
        spec: CertificateSigningRequestSpec {
            request: ByteString(request.into_bytes()),
            signer_name: SIGNER.to_owned(),
            usages: Some(USAGES.map(str::to_owned).to_vec()),
            expiration_seconds: Some(i32::try_from(lifetime.as_secs()).unwrap_or(i32::MAX)),
            ..CertificateSigningRequestSpec::default()
        },
        status: None,
    }
}

/// The certificate, `None` while nobody decided.
fn answer(found: &CertificateSigningRequest) -> Result<Option<String>, RequestError> {
    let Some(status) = &found.status else {
        return Ok(None);
    };
    for condition in status.conditions.iter().flatten() {
        let word = match condition.type_.as_str() {
            "Denied" => "denied",
            "Failed" => "failed",
            _ => continue,
        };
        return Err(RequestError::Refused {
            name: found.name_any(),
            word,
            message: condition.message.clone().unwrap_or_default(),
        });
    }
    let issued = status.certificate.as_ref();
    Ok(issued
        .filter(|certificate| !certificate.0.is_empty())
        .map(|certificate| String::from_utf8_lossy(&certificate.0).into_owned()))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// The object as the API server shows it to the approver.
    pub(crate) fn asked(node: &str, key: &KeyPair) -> CertificateSigningRequest {
        let text = request(node, key).unwrap();
        object("csr-1", text, Duration::from_mins(10))
    }

    #[test]
    fn row_56_a_refusal_is_an_error_with_the_words_of_whoever_refused() {
        let key = KeyPair::generate().unwrap();
        let mut found = asked("n1", &key);
        assert_eq!(answer(&found).unwrap(), None);
        let with = |kind: &str, certificate: &str| {
            serde_json::from_value(serde_json::json!({
                "conditions": [{"type": kind, "status": "True", "message": "not by me"}],
                "certificate": certificate
            }))
            .unwrap()
        };
        found.status = Some(with("Denied", ""));
        let error = answer(&found).unwrap_err().to_string();
        assert_eq!(
            error,
            "certificate signing request csr-1 was denied: not by me"
        );
        found.status = Some(with("Approved", ""));
        assert_eq!(answer(&found).unwrap(), None);
        found.status = Some(with("Approved", "eHk="));
        assert_eq!(answer(&found).unwrap().as_deref(), Some("xy"));
    }
}
