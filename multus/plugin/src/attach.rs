//! Running an attachment: ADD of one delegate and what belongs to it.

use std::time::Instant;

use cni::config::NetworkList;
use cni::error::code;
use cni::exec::ExecError;
use cni::net_attach::device_info;
use cni::result::{AddResult, Route};
use cni::runtime::{Runtime, RuntimeError, Target};
use cni::version::Version;
use host::error::Kind;
use host::file;
use host::netlink::route::Family;

use crate::failure::Failure;
use crate::primary::refuse_recursion;
use crate::sandbox::{Sandbox, SandboxError, everything};
use crate::wire::{Attachment, AttachmentReport, Reason};

/// An attachment whose configuration has been read and found usable.
#[derive(Debug)]
pub struct Ready<'a> {
    /// The attachment.
    pub attachment: &'a Attachment,
    /// Its configuration.
    pub network: NetworkList,
}

/// An attachment that is up.
#[derive(Debug)]
pub struct Attached {
    /// The delegate's result, as it gave it.
    pub result: AddResult,
    /// For the daemon: default routes as they are now.
    pub report: AttachmentReport,
}

/// Checks all attachments before anything is done: names, configurations, no recursion, no interface
/// name twice.
pub fn prepare(attachments: &[Attachment]) -> Result<Vec<Ready<'_>>, Failure> {
    let mut ready: Vec<Ready<'_>> = Vec::new();
    for attachment in attachments {
        let invalid = |msg: String| {
            let msg = format!("network {}: {msg}", attachment.name);
            Failure::new(code::INVALID_CONFIG, Reason::NetworkInvalid, msg).of(&attachment.name)
        };
        let network = NetworkList::parse(attachment.config.get().as_bytes())
            .map_err(|error| invalid(cni::error::chain(&error)))?;
        network
            .check_name()
            .map_err(|error| invalid(cni::error::chain(&error)))?;
        refuse_recursion(&network).map_err(|failure| failure.of(&attachment.name))?;
        cni::name::check_interface(&attachment.ifname)
            .map_err(|error| invalid(error.to_string()))?;
        if let Some(other) = ready
            .iter()
            .find(|other| other.attachment.ifname == attachment.ifname)
        {
            let msg = format!(
                "networks {} and {} both ask for interface {}: give one of them another name",
                other.attachment.name, attachment.name, attachment.ifname
            );
            let failure = Failure::new(code::INVALID_CONFIG, Reason::InterfaceExists, msg);
            return Err(failure.of(&attachment.name));
        }
        ready.push(Ready {
            attachment,
            network,
        });
    }
    Ok(ready)
}

/// Fails if the interface of an attachment exists already. It is somebody else's, so nothing of this
/// attachment must be undone then.
pub fn check_interface(ready: &Ready<'_>, sandbox: &mut Sandbox) -> Result<(), Failure> {
    let attachment = ready.attachment;
    sandbox
        .check_free(&attachment.ifname)
        .map_err(|error| sandbox_failure(attachment, &error).of(&attachment.name))
}

/// ADD of one attachment. On an error the delegate may have done anything: DEL it.
pub fn attach(
    ready: &Ready<'_>,
    runtime: &Runtime,
    target: &Target,
    sandbox: &mut Sandbox,
) -> Result<Attached, Failure> {
    let attachment = ready.attachment;
    let begun = Instant::now();
    let of = |failure: Failure| failure.of(&attachment.name);
    if let Some(files) = &attachment.device_info
        && let Some(source) = &files.source
    {
        device_info::copy(source, &files.target)
            .map_err(|error| of(Failure::io(&format!("network {}", attachment.name), &error)))?;
    }
    let result = runtime
        .add(&ready.network, target)
        .map_err(|error| of(delegate_failure("attach", attachment, &error)))?;
    sandbox
        .set_default_routes(
            &attachment.ifname,
            &attachment.gateways,
            attachment.keep_default_route,
        )
        .map_err(|error| of(sandbox_failure(attachment, &error)))?;
    let shown = with_real_routes(attachment, &result);
    if shown != result {
        keep_cache_in_step(ready, runtime, target, &shown).map_err(of)?;
    }
    let mut report = report(attachment, &shown).map_err(of)?;
    report.duration_ms = u64::try_from(begun.elapsed().as_millis()).ok();
    Ok(Attached { result, report })
}

/// A failed call of a delegate, for users: which network, where, and the delegate's own words.
pub fn delegate_failure(verb: &str, attachment: &Attachment, error: &RuntimeError) -> Failure {
    failure_of(verb, &attachment.name, &attachment.ifname, error)
}

/// As [`delegate_failure`], for a journal's entry.
pub fn failure_of(verb: &str, name: &str, ifname: &str, error: &RuntimeError) -> Failure {
    let msg = format!(
        "{verb} network {name} on {ifname}: {}",
        cni::error::chain(error)
    );
    let (reason, details) = match error {
        RuntimeError::Plugin { source, .. } => match &**source {
            ExecError::Plugin(own) => (
                Reason::of_details(&own.details).unwrap_or(Reason::DelegateFailed),
                own.details.clone(),
            ),
            ExecError::Deadline { .. } | ExecError::TooLate { .. } => {
                (Reason::DelegateTimeout, String::new())
            }
            _ => (Reason::DelegateFailed, String::new()),
        },
        RuntimeError::Name(_) | RuntimeError::Config { .. } => {
            (Reason::NetworkInvalid, String::new())
        }
        _ => (Reason::DelegateFailed, String::new()),
    };
    let mut failure = Failure::new(error.code(), reason, msg).of(name);
    failure.details = details;
    failure
}

fn sandbox_failure(attachment: &Attachment, error: &SandboxError) -> Failure {
    let (code, reason) = match error {
        SandboxError::Namespace { .. } => (code::INVALID_NETNS, Reason::DelegateFailed),
        SandboxError::Exists { .. } => (code::INVALID_CONFIG, Reason::InterfaceExists),
        SandboxError::NoInterface { .. } => (code::INVALID_CONFIG, Reason::AnnotationInvalid),
        SandboxError::Route { source, .. } if source.kind() == Kind::Invalid => {
            (code::INVALID_CONFIG, Reason::AnnotationInvalid)
        }
        _ => (code::INTERNAL, Reason::DelegateFailed),
    };
    let msg = format!(
        "attach network {} on {}: {}",
        attachment.name,
        attachment.ifname,
        cni::error::chain(error)
    );
    Failure::new(code, reason, msg)
}

/// The result with the default routes that the interface has now.
fn with_real_routes(attachment: &Attachment, result: &AddResult) -> AddResult {
    let mut shown = result.clone();
    let keep = attachment.keep_default_route;
    let v4 = attachment.gateways.iter().find(|gateway| gateway.is_ipv4());
    let v6 = attachment.gateways.iter().find(|gateway| gateway.is_ipv6());
    shown.routes.retain(|route| {
        let kept = if route.dst.addr().is_ipv4() {
            keep.v4 && v4.is_none()
        } else {
            keep.v6 && v6.is_none()
        };
        !route.is_default() || kept
    });
    for (gateway, family) in [(v4, Family::V4), (v6, Family::V6)] {
        shown
            .routes
            .extend(gateway.map(|gateway| Route::new(everything(family), Some(*gateway))));
    }
    shown
}

/// CHECK and DEL are given the cached result; it must not speak of routes that are gone.
fn keep_cache_in_step(
    ready: &Ready<'_>,
    runtime: &Runtime,
    target: &Target,
    shown: &AddResult,
) -> Result<(), Failure> {
    let step = format!("network {}: renew the cached result", ready.attachment.name);
    let failed = |error: &dyn std::error::Error| Failure::io(&step, error);
    let Some(cache) = runtime.cache() else {
        return Ok(());
    };
    let cached = cache
        .read(ready.network.name(), target)
        .map_err(|e| failed(&e))?;
    let Some(mut cached) = cached else {
        return Ok(());
    };
    let version = ready.network.version().map_err(|e| failed(&e))?;
    let text = shown.to_raw(version).map_err(|e| failed(&e))?;
    cached.result = Some(cni::runtime::cache::ResultText(text));
    cache.write(&cached).map_err(|e| failed(&e))
}

fn report(attachment: &Attachment, shown: &AddResult) -> Result<AttachmentReport, Failure> {
    let step = format!("network {}", attachment.name);
    let result = shown
        .to_raw(Version::V1_1_0)
        .map_err(|error| Failure::io(&step, &error))?;
    // A DeviceInfo file that cannot be read costs the status a line, not the pod its network.
    let device_info = attachment.device_info.as_ref().and_then(|files| {
        let bytes = file::read(&files.target).ok()??;
        serde_json::from_slice::<cni::raw::Object>(&bytes)
            .ok()
            .map(|info| info.to_raw())
    });
    Ok(AttachmentReport {
        name: attachment.name.clone(),
        default: attachment.default,
        ifname: attachment.ifname.clone(),
        result,
        device_info,
        gateways: attachment.gateways.clone(),
        duration_ms: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Families;

    fn attachment(name: &str, ifname: &str, config: &str) -> Attachment {
        let json = format!(r#"{{"name":"{name}","ifname":"{ifname}","config":{config}}}"#);
        serde_json::from_str(&json).unwrap()
    }

    const CONFIG: &str = r#"{"name":"n","type":"x"}"#;

    #[test]
    fn two_networks_for_one_interface_are_refused_before_anything_is_done() {
        let plan = [
            attachment("a", "eth0", CONFIG),
            attachment("d/b", "eth0", CONFIG),
        ];
        let failure = prepare(&plan).unwrap_err();
        assert_eq!(failure.reason, Reason::InterfaceExists);
        assert!(failure.msg.contains("a and d/b"), "{}", failure.msg);
    }

    #[test]
    fn an_interface_name_or_a_configuration_that_is_unusable_is_refused_and_named() {
        for (ifname, config) in [
            ("has space", CONFIG),
            ("sixteen_bytes_xx", CONFIG),
            ("net1", r#"{"name":"n"}"#),
            ("net1", r#"{"type":"x"}"#),
            ("net1", r#"{"name":"n","type":"a/b"}"#),
            ("net1", r#"{"name":"n","type":"multus"}"#),
        ] {
            let plan = [attachment("d/b", ifname, config)];
            let failure = prepare(&plan).unwrap_err();
            assert_eq!(
                (failure.reason, failure.attachment.as_str()),
                (Reason::NetworkInvalid, "d/b"),
                "{config}"
            );
        }
    }

    #[test]
    fn reported_routes_are_the_real_ones_per_family() {
        let mut attachment = attachment("d/b", "net1", CONFIG);
        attachment.gateways = vec!["10.9.0.1".parse().unwrap()];
        attachment.keep_default_route = Families {
            v4: false,
            v6: true,
        };
        let mut result = AddResult::default();
        for (dst, gw) in [
            ("0.0.0.0/0", "10.1.0.1"),
            ("::/0", "fe80::1"),
            ("10.0.0.0/8", "10.1.0.1"),
        ] {
            result
                .routes
                .push(Route::new(dst.parse().unwrap(), gw.parse().ok()));
        }
        let shown = with_real_routes(&attachment, &result);
        let text: Vec<_> = shown
            .routes
            .iter()
            .map(|r| format!("{} {:?}", r.dst, r.gw.unwrap()))
            .collect();
        assert_eq!(
            text,
            ["::/0 fe80::1", "10.0.0.0/8 10.1.0.1", "0.0.0.0/0 10.9.0.1"]
        );
    }
}
