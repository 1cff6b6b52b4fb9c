//! From the plugin's report to network-status and events.

use cni::net_attach::device_info::DeviceInfo;
use cni::net_attach::status::{self, Attached, NetworkStatus};
use cni::result::{self, AddResult};
use cni::version::Version;
use multus_plugin::wire::{AttachmentReport, Report};

use crate::api::event::Occurrence;

/// A report that makes no sense.
#[derive(Debug, thiserror::Error)]
#[error("report of pod {pod}, network {network}")]
pub struct ReportError {
    /// The pod.
    pub pod: String,
    /// The attachment.
    pub network: String,
    /// What is wrong with its result.
    #[source]
    pub source: result::ResultError,
}

/// What a report says.
#[derive(Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Value of network-status; `None` when the ADD failed: everything was undone, and the
    /// annotation stays as it was.
    pub status: Option<String>,
    /// To be sent.
    pub events: Vec<Occurrence>,
}

/// Reads a report.
pub fn read(report: &Report) -> Result<Outcome, ReportError> {
    if let Some(error) = &report.error {
        return Ok(Outcome {
            status: None,
            events: vec![Occurrence {
                about: report.pod.clone().into(),
                warning: true,
                reason: error.reason.as_str(),
                text: error.msg.clone(),
            }],
        });
    }
    let mut statuses: Vec<NetworkStatus> = Vec::new();
    let mut events = Vec::new();
    for attachment in &report.attachments {
        let result = result::parse(attachment.result.get().as_bytes(), Version::CURRENT).map_err(
            |source| ReportError {
                pod: report.pod.to_string(),
                network: attachment.name.clone(),
                source,
            },
        )?;
        statuses.extend(elements(attachment, &result));
        if !result.interfaces.is_empty() || !result.ips.is_empty() {
            events.push(Occurrence {
                about: report.pod.clone().into(),
                warning: false,
                reason: "AddedInterface",
                text: added(attachment, &result),
            });
        }
    }
    Ok(Outcome {
        status: Some(status::print(&statuses)),
        events,
    })
}

fn elements(attachment: &AttachmentReport, result: &AddResult) -> Vec<NetworkStatus> {
    // As upstream: a device description that cannot be read is left out of the status.
    let device_info: Option<DeviceInfo> = attachment
        .device_info
        .as_ref()
        .and_then(|raw| serde_json::from_str(raw.get()).ok());
    status::of_attachment(&Attached {
        name: &attachment.name,
        default: attachment.default,
        ifname: &attachment.ifname,
        result,
        device_info: device_info.as_ref(),
        gateways: &attachment.gateways,
    })
}

/// Upstream's words, which people search for.
fn added(attachment: &AttachmentReport, result: &AddResult) -> String {
    let ips: Vec<String> = result.ips.iter().map(|ip| ip.address.to_string()).collect();
    format!(
        "Add {} [{}] from {}",
        attachment.ifname,
        ips.join(" "),
        attachment.name
    )
}
