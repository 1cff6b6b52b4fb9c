//! Answering the plugin: a plan for a request, and taking reports. The daemon and the one-shot
//! commands use the same.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cni::error::code;
use multus_plugin::config::NetConf;
use multus_plugin::wire::{self, Plan, PlanRequest, PodRef, Reason, Report, VERSION};
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use tracing::{debug, info, warn};

use crate::api::event::{Events, Occurrence};
use crate::config::Config;
use crate::known::{Found, Known};
use crate::plan::{self, Answer, Question, Refusal};
use crate::primary;
use crate::report::{self, Outcome};
use crate::sources::{PodUnknown, Sources};

/// The plugin waits one second; it must get our reason rather than its own timeout.
const LONGEST: Duration = Duration::from_millis(900);
/// A namespace leads to NADs, a NAD at most to a file, and both to devices: further rounds would be a mistake of ours.
const ROUNDS: usize = 8;

/// Plans and takes reports.
#[derive(Debug)]
pub struct Service {
    /// The daemon's configuration.
    pub config: Config,
    /// DeviceInfo folder, with `dp` and `cni` below it.
    pub devinfo_dir: PathBuf,
    /// Where facts come from.
    pub sources: Sources,
    /// Where events go.
    pub events: Arc<Events>,
}

impl Service {
    /// The plan, or the CNI error that the plugin returns. Either is also told by events.
    pub async fn plan(&self, request: &PlanRequest) -> Result<Plan, cni::Error> {
        let planned = tokio::time::timeout(LONGEST, self.try_plan(request)).await;
        let planned = planned.unwrap_or_else(|_| {
            Err(not_ready(format!(
                "plan the networks of pod {}: not done in {} ms, the pod will be tried again",
                request.pod,
                LONGEST.as_millis()
            )))
        });
        match &planned {
            Ok(plan) => info!(pod = %plan.pod, cid = request.container_id,
                attachments = plan.attachments.len(), warnings = plan.warnings.len(), "planned"),
            Err(error) => {
                warn!(pod = %request.pod, cid = request.container_id, code = error.code,
                    reason = error.details, error = error.msg, "refused");
                let reason = Reason::of_details(&error.details).unwrap_or(Reason::DaemonNotReady);
                self.tell(&request.pod, reason, &error.msg);
            }
        }
        planned
    }

    async fn try_plan(&self, request: &PlanRequest) -> Result<Plan, cni::Error> {
        let conf = self
            .config
            .overlaid(request.config.get().as_bytes())
            .map_err(|source| Refusal::Configuration(source).to_cni())?;
        let pod = match self.sources.pod(request).await {
            Ok(pod) => pod,
            Err(PodUnknown::Gone { pod }) => {
                info!(%pod, "the pod is gone, its sandbox gets an empty result");
                return Ok(nothing(pod));
            }
            Err(error) => return Err(not_ready(cni::error::chain(&error))),
        };
        let mut known = Known::default();
        for _ in 0..ROUNDS {
            let question = Question {
                request,
                conf: &conf,
                pod: &pod,
                devinfo_dir: &self.devinfo_dir,
            };
            match plan::plan(&question, &known).map_err(|refusal| refusal.to_cni())? {
                Answer::Needs(needs) => {
                    let sources = &self.sources;
                    sources
                        .gather(needs, &pod.pod, &conf.conf_dir, &mut known)
                        .await;
                }
                Answer::Plan(plan, warnings) => {
                    keep_primary(&conf, request, &known);
                    for warning in warnings {
                        self.tell(&pod.pod, warning.reason, &warning.text);
                    }
                    return Ok(plan);
                }
            }
        }
        Err(cni::Error::new(
            code::INTERNAL,
            format!(
                "plan the networks of pod {}: the look-ups did not end",
                pod.pod
            ),
        ))
    }

    /// Name and interface of each network that a configuration gives to a pod without wishes, as
    /// network-status has them; `None` if they cannot be found now.
    pub async fn networks_of(&self, conf: &[u8]) -> Option<Vec<(String, String)>> {
        let request = PlanRequest {
            version: VERSION,
            container_id: "status".into(),
            netns: String::new(),
            ifname: "eth0".into(),
            pod: PodRef {
                namespace: String::new(),
                name: String::new(),
                uid: None,
            },
            config: RawValue::from_string(String::from_utf8(conf.to_vec()).ok()?).ok()?,
            annotations: Some(BTreeMap::new()),
            primary: None,
            primary_only: false,
        };
        match self.try_plan(&request).await {
            Ok(plan) => {
                let named = plan.attachments.into_iter().map(|a| (a.name, a.ifname));
                Some(named.collect())
            }
            Err(error) => {
                debug!(error = error.msg, "networks of plain pods");
                None
            }
        }
    }

    /// Reads a report and tells its events. The status in it is the caller's to write.
    pub fn read_report(&self, report: &Report) -> Result<Outcome, cni::Error> {
        let outcome =
            report::read(report).map_err(|error| cni::Error::from_chain(code::DECODE, &error))?;
        for occurrence in &outcome.events {
            self.events.push(Instant::now(), occurrence.clone());
        }
        Ok(outcome)
    }

    fn tell(&self, pod: &PodRef, reason: Reason, text: &str) {
        self.events.push(
            Instant::now(),
            Occurrence {
                about: pod.clone().into(),
                warning: true,
                reason: reason.as_str(),
                text: text.to_owned(),
            },
        );
    }
}

/// Reads a document of the plugin. One of another version is said to be that, whatever else is in it.
///
/// # Errors
/// Code 11 for another version, so that the pod is tried again; code 6 for what is no such document.
pub fn read<T: DeserializeOwned>(document: &[u8], what: &str) -> Result<T, cni::Error> {
    if let Some(theirs) = wire::other_version(document) {
        return Err(not_ready(format!(
            "the plugin speaks version {theirs}, this daemon version {VERSION}; wait for the upgrade to finish"
        )));
    }
    serde_json::from_slice(document)
        .map_err(|error| cni::Error::new(code::DECODE, format!("parse the {what}: {error}")))
}

fn keep_primary(conf: &NetConf, request: &PlanRequest, known: &Known) {
    let own = NetConf::parse(request.config.get().as_bytes()).ok();
    let Some(kept) = own.and_then(|own| primary::wanted(conf, &own)) else {
        return;
    };
    if let Some(Found::Here(nad)) = known.nads.get(&kept.key) {
        primary::keep(&kept, nad);
    }
}

/// The plugin answers with an empty result, as upstream does (spec/multus.md §5.1, 2).
fn nothing(pod: PodRef) -> Plan {
    Plan {
        version: VERSION,
        pod,
        attachments: Vec::new(),
        warnings: Vec::new(),
    }
}

/// Code 11: the kubelet tries again.
pub fn not_ready(text: String) -> cni::Error {
    cni::Error::new(code::TRY_AGAIN_LATER, text).with_details(Reason::DaemonNotReady.as_str())
}
