//! `multus-daemon approve-certificates`: a controller of the cluster that approves what nodes ask for, and nothing else
//! (spec/multus.md §6.7).
//!
//! [`judge`] decides and does no I/O. A request that does not claim to be ours is left alone.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt;
use k8s_openapi::api::certificates::v1::{
    CertificateSigningRequest, CertificateSigningRequestCondition, CertificateSigningRequestStatus,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use kube::api::{Api, PostParams};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Client, ResourceExt};
use tracing::{info, warn};
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::pem::Pem;
use x509_parser::prelude::FromDer;

use super::{COMMON_NAME, ORGANIZATION, SIGNER, USAGES};
use crate::api::code;
use crate::api::event::{Events, Occurrence, Subject};

/// Longest life that is approved.
const LONGEST_LIFE: i32 = 365 * 24 * 3600;
/// Attempts to write a decision.
const ATTEMPTS: u32 = 5;
/// Groups that a requester may be in.
const GROUPS: [&str; 3] = ["system:nodes", ORGANIZATION, "system:authenticated"];

/// What becomes of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It is another one's.
    Ignore,
    /// A node asks for itself.
    Approve,
    /// It claims to be ours, and this is wrong with it.
    Deny(String),
}

/// Approves and denies, for ever.
pub async fn serve(client: Client, events: &Arc<Events>) {
    let api: Api<CertificateSigningRequest> = Api::all(client);
    let config = watcher::Config::default().fields(&format!("spec.signerName={SIGNER}"));
    let mut stream = std::pin::pin!(
        watcher(api.clone(), config)
            .default_backoff()
            .applied_objects()
    );
    let mut broken = false;
    while let Some(next) = stream.next().await {
        match next {
            Ok(found) => {
                broken = false;
                decide(&api, found, events).await;
            }
            Err(error) if !broken => {
                warn!(
                    error = cni::error::chain(&error),
                    "watch certificate signing requests"
                );
                broken = true;
            }
            Err(_) => {}
        }
    }
}

async fn decide(
    api: &Api<CertificateSigningRequest>,
    mut found: CertificateSigningRequest,
    events: &Events,
) {
    let name = found.name_any();
    for attempt in 0..ATTEMPTS {
        let verdict = judge(&found);
        let Some(condition) = condition(&verdict) else {
            return;
        };
        let told = condition.clone();
        let status = found
            .status
            .get_or_insert_with(CertificateSigningRequestStatus::default);
        status.conditions.get_or_insert_default().push(condition);
        let written = api
            .replace_subresource("approval", &name, &PostParams::default(), &found)
            .await;
        match written {
            Ok(_) => {
                info!(
                    name,
                    verdict = told.type_,
                    "{}",
                    told.message.clone().unwrap_or_default()
                );
                tell(events, &name, &verdict, &told);
                return;
            }
            Err(error) => {
                warn!(
                    name,
                    attempt,
                    error = cni::error::chain(&error),
                    "write the decision"
                );
                if code(&error) == 404 {
                    return;
                }
            }
        }
        tokio::time::sleep(Duration::from_millis(200) * 2u32.pow(attempt)).await;
        // Somebody else may have decided.
        match api.get(&name).await {
            Ok(now) => found = now,
            Err(error) if code(&error) == 404 => return,
            Err(_) => {
                let status = found.status.get_or_insert_default();
                status.conditions = None;
            }
        }
    }
    warn!(name, "given up: the node asks again");
}

fn tell(
    events: &Events,
    name: &str,
    verdict: &Verdict,
    condition: &CertificateSigningRequestCondition,
) {
    let denied = matches!(verdict, Verdict::Deny(_));
    events.push(
        Instant::now(),
        Occurrence {
            about: Subject::Request(name.to_owned()),
            warning: denied,
            reason: if denied { "CSRDenied" } else { "CSRApproved" },
            text: condition.message.clone().unwrap_or_default(),
        },
    );
}

fn condition(verdict: &Verdict) -> Option<CertificateSigningRequestCondition> {
    let (kind, message) = match verdict {
        Verdict::Ignore => return None,
        Verdict::Approve => (
            "Approved",
            "a node's multus daemon asks for its own certificate".to_owned(),
        ),
        Verdict::Deny(why) => ("Denied", why.clone()),
    };
    Some(CertificateSigningRequestCondition {
        type_: kind.to_owned(),
        status: "True".to_owned(),
        reason: Some("MultusCertificate".to_owned()),
        message: Some(message),
        last_update_time: Some(Time(Timestamp::now())),
        last_transition_time: None,
    })
}

/// Whether a request is approved. Pure.
pub fn judge(found: &CertificateSigningRequest) -> Verdict {
    let decided = found
        .status
        .as_ref()
        .is_some_and(|status| status.conditions.as_ref().is_some_and(|c| !c.is_empty()));
    if decided || found.spec.signer_name != SIGNER {
        return Verdict::Ignore;
    }
    let Ok(subject) = Asked::read(&found.spec.request.0) else {
        return Verdict::Ignore;
    };
    if !subject
        .names
        .iter()
        .any(|name| name.starts_with(COMMON_NAME))
    {
        return Verdict::Ignore;
    }
    match wrong(found, &subject) {
        None => Verdict::Approve,
        Some(why) => Verdict::Deny(why),
    }
}

/// What a PKCS#10 request asks for.
#[derive(Debug, Default)]
struct Asked {
    names: Vec<String>,
    organizations: Vec<String>,
    /// Parts of the name that are neither.
    others: usize,
    /// Extensions: further names, more usages.
    extensions: usize,
}

impl Asked {
    fn read(pem: &[u8]) -> Result<Self, String> {
        let pem = Pem::iter_from_buffer(pem)
            .next()
            .ok_or("no PEM")?
            .map_err(|error| error.to_string())?;
        let (_, request) =
            X509CertificationRequest::from_der(&pem.contents).map_err(|error| error.to_string())?;
        let info = &request.certification_request_info;
        let mut asked = Self::default();
        for part in info.subject.iter_attributes() {
            let text = part.as_str().map(str::to_owned);
            let kind = part.attr_type();
            match text {
                Ok(text) if *kind == x509_parser::oid_registry::OID_X509_COMMON_NAME => {
                    asked.names.push(text);
                }
                Ok(text) if *kind == x509_parser::oid_registry::OID_X509_ORGANIZATION_NAME => {
                    asked.organizations.push(text);
                }
                _ => asked.others += 1,
            }
        }
        asked.extensions = request.requested_extensions().map_or(0, Iterator::count);
        Ok(asked)
    }
}

fn wrong(found: &CertificateSigningRequest, asked: &Asked) -> Option<String> {
    let spec = &found.spec;
    let user = spec.username.as_deref().unwrap_or_default();
    let node = ["system:node:", COMMON_NAME]
        .iter()
        .find_map(|prefix| user.strip_prefix(prefix));
    let Some(node) = node else {
        return Some(format!("requested by {user:?}, which is no node"));
    };
    if !is_node_name(node) {
        return Some(format!("{node:?} is no name of a node"));
    }
    let foreign = spec.groups.iter().flatten();
    if let Some(group) = foreign
        .into_iter()
        .find(|group| !GROUPS.contains(&group.as_str()))
    {
        return Some(format!("the requester is in group {group:?}"));
    }
    let usages: BTreeSet<&str> = spec.usages.iter().flatten().map(String::as_str).collect();
    if usages != BTreeSet::from(USAGES) {
        return Some(format!("usages are {usages:?}, and must be {USAGES:?}"));
    }
    let name = format!("{COMMON_NAME}{node}");
    if asked.names != [name.as_str()] {
        return Some(format!(
            "common name is {:?}, and the requester may have {name:?} only",
            asked.names.join(", ")
        ));
    }
    if asked.organizations != [ORGANIZATION] {
        return Some(format!(
            "organization is {:?}, and must be {ORGANIZATION:?}",
            asked.organizations.join(", ")
        ));
    }
    if asked.others + asked.extensions > 0 {
        return Some("it asks for more than a common name and an organization".to_owned());
    }
    match spec.expiration_seconds {
        None => Some("it does not say for how long (expirationSeconds)".to_owned()),
        Some(seconds) if seconds > LONGEST_LIFE => {
            Some(format!("expirationSeconds is {seconds}, more than a year"))
        }
        Some(_) => None,
    }
}

/// A DNS subdomain of RFC 1123.
fn is_node_name(name: &str) -> bool {
    let label = |label: &str| {
        let inner = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
        !label.is_empty()
            && label.bytes().all(inner)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    name.len() <= 253 && name.split('.').all(label)
}

#[cfg(test)]
mod tests;
