//! Which plugin types a NAD may name: key `allowedPlugins` (spec/multus.md §10 row 68). Whoever may create a NAD
//! otherwise chooses what root executes on the node.
//!
//! The list is the node's, so it does not hold for what the node's admin names by path or writes into the
//! configuration itself. Planner and plugin use the same check: the plugin also gets plans made of copies.

use std::collections::BTreeSet;

use cni::config::NetworkList;
use cni::error::code;
use cni::raw::Object;
use serde_json::value::RawValue;

use crate::config::NetConf;
use crate::failure::Failure;
use crate::wire::{Attachment, Reason};

/// Keys under which plugins name other plugins that they execute.
const NESTED: [&str; 5] = ["plugins", "ipam", "delegate", "delegates", "fallback"];
/// Delegates of delegates of delegates: nobody needs more, and a text must not exhaust the stack.
const DEPTH: usize = 8;

/// A plugin type that is not on the list.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "plugin type \"{kind}\" is not allowed on this node: use one of {allowed}, or add it to allowedPlugins in the multus configuration"
)]
pub struct NotAllowed {
    /// The type.
    pub kind: String,
    /// What is.
    pub allowed: String,
}

/// Refuses `network` if one of its plugins, or a plugin that one of these executes in turn (IPAM, delegate,
/// fallback), is of a type that `allowed` does not have. `None` allows all.
pub fn check(network: &NetworkList, allowed: Option<&[String]>) -> Result<(), NotAllowed> {
    let Some(allowed) = allowed else {
        return Ok(());
    };
    let mut kinds = BTreeSet::new();
    collect(network.object().to_raw().as_ref(), &mut kinds, DEPTH);
    let names = |kind: &String| allowed.iter().any(|allowed| allowed == kind);
    match kinds.into_iter().find(|kind| !names(kind)) {
        None => Ok(()),
        Some(kind) => Err(NotAllowed {
            kind,
            allowed: if allowed.is_empty() {
                "none, the list is empty".to_owned()
            } else {
                allowed.join(", ")
            },
        }),
    }
}

/// [`check`] for those attachments of a plan that stand for a NAD.
pub fn check_attachments(conf: &NetConf, attachments: &[Attachment]) -> Result<(), Failure> {
    for attachment in attachments {
        let by_nad =
            attachment.name.contains('/') || (attachment.default && conf.kept_primary().is_some());
        if !by_nad {
            continue;
        }
        let refuse = |msg: String| {
            let msg = format!("network {}: {msg}", attachment.name);
            Failure::new(code::INVALID_CONFIG, Reason::NetworkInvalid, msg).of(&attachment.name)
        };
        let network = NetworkList::parse(attachment.config.get().as_bytes())
            .map_err(|error| refuse(cni::error::chain(&error)))?;
        check(&network, conf.allowed_plugins.as_deref())
            .map_err(|error| refuse(error.to_string()))?;
    }
    Ok(())
}

/// All types named in `value`. Plugins written in Go read keys in any letter case and take the last one, so
/// every spelling counts.
fn collect(value: &RawValue, kinds: &mut BTreeSet<String>, depth: usize) {
    if depth == 0 {
        kinds.insert("(nested too deeply)".to_owned());
        return;
    }
    if let Ok(list) = serde_json::from_str::<Vec<Box<RawValue>>>(value.get()) {
        for value in list {
            collect(&value, kinds, depth - 1);
        }
    }
    let Ok(object) = Object::parse(value.get().as_bytes()) else {
        return;
    };
    for (key, value) in object.iter() {
        // Both ways, because Go also takes "\u{17f}" for "s".
        let key = key.to_uppercase().to_lowercase();
        if key == "type" {
            if let Ok(Some(kind)) = serde_json::from_str::<Option<String>>(value.get())
                && !kind.is_empty()
            {
                kinds.insert(kind);
            }
        } else if NESTED.contains(&key.as_str()) {
            collect(value, kinds, depth - 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALLOWED: &str = r#""allowedPlugins":["macvlan","sriov","host-local"]"#;

    fn verdict(network: &str) -> Result<(), NotAllowed> {
        let network = NetworkList::parse(network.as_bytes()).unwrap();
        let allowed = ["macvlan", "sriov", "host-local"].map(String::from);
        assert_eq!(check(&network, None), Ok(()));
        check(&network, Some(&allowed))
    }

    #[test]
    fn row_68_types_on_the_list_pass_wherever_they_are_named() {
        for network in [
            r#"{"name":"n","type":"macvlan"}"#,
            r#"{"name":"n","type":"macvlan","ipam":{}}"#,
            r#"{"name":"n","type":"sriov","fallback":{"type":"macvlan"},"ipam":{"type":"host-local","routes":[{"type":"x"}]}}"#,
            r#"{"name":"n","plugins":[{"type":"sriov"},{"type":"macvlan"}],"x":{"type":"x"}}"#,
        ] {
            assert_eq!(verdict(network), Ok(()), "{network}");
        }
    }

    #[test]
    fn row_68_a_type_off_the_list_is_found_wherever_a_plugin_would_execute_it() {
        for network in [
            r#"{"name":"n","type":"evil"}"#,
            r#"{"name":"n","plugins":[{"type":"sriov"},{"type":"evil"}]}"#,
            r#"{"name":"n","type":"macvlan","ipam":{"type":"evil"}}"#,
            r#"{"name":"n","type":"macvlan","IPAM":{"type":"evil"},"ipam":{"type":"host-local"}}"#,
            r#"{"name":"n","type":"macvlan","ipam":{"Type":"evil"}}"#,
            r#"{"name":"n","type":"macvlan","Type":"evil"}"#,
            r#"{"name":"n","type":"sriov","fallback":{"type":"macvlan","ipam":{"type":"evil"}}}"#,
            r#"{"name":"n","type":"sriov","delegates":[{"type":"evil"}]}"#,
            r#"{"name":"n","type":"sriov","delegate\u017f":[{"type":"evil"}]}"#,
        ] {
            let refused = verdict(network).unwrap_err();
            assert_eq!(refused.kind, "evil", "{network}");
            let text = refused.to_string();
            assert!(text.contains("macvlan, sriov, host-local"), "{text}");
        }
    }

    #[test]
    fn row_68_an_empty_list_allows_no_nad_at_all() {
        let network = NetworkList::parse(br#"{"name":"n","type":"macvlan"}"#).unwrap();
        let text = check(&network, Some(&[])).unwrap_err().to_string();
        assert!(text.contains("the list is empty"), "{text}");
    }

    fn attachment(name: &str, default: bool) -> Attachment {
        let json = format!(
            r#"{{"name":"{name}","default":{default},"ifname":"net1","config":{{"name":"n","type":"evil"}}}}"#
        );
        serde_json::from_str(&json).unwrap()
    }

    fn refused(keys: &str, attachment: Attachment) -> bool {
        let json = format!(r#"{{"name":"m","type":"multus",{ALLOWED},{keys}}}"#);
        let conf = NetConf::parse(json.as_bytes()).unwrap();
        check_attachments(&conf, &[attachment]).is_err()
    }

    #[test]
    fn row_68_what_the_nodes_admin_names_by_path_or_inline_is_not_a_nad() {
        let file = r#""clusterNetwork":"/etc/cni/net.d/10-x.conflist""#;
        let inline = r#""delegates":[{"name":"n","type":"evil"}]"#;
        assert!(!refused(file, attachment("cbr0", true)));
        assert!(!refused(inline, attachment("cbr0", true)));
        assert!(!refused(inline, attachment("second", false)));
        assert!(refused(file, attachment("d/a", false)));
        assert!(refused(file, attachment("d/a", true)));
        assert!(refused(
            r#""clusterNetwork":"cbr0""#,
            attachment("cbr0", true)
        ));
    }
}
