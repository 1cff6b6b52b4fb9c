//! What a command has to meet so that it comes to a point: most points are on everybody's way, some only where pods,
//! administrators or other plugins have done something.

use serde::{Deserialize, Serialize};

use super::cell::{Kind, Row, Verb};

/// What is done besides the commands themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Situation {
    /// Nothing.
    Plain,
    /// An administrator has set the VF's address through the PF, and the network does not trust the VF (K1).
    Pinned,
    /// The VF's interface is up on the host, and has the pod's name for it as an alternative name.
    Decorated,
    /// The same, and the network asks for a rate that igb refuses, so ADD fails before the VF is in the pod.
    Refused,
    /// The pod gives its interface another name.
    Named,
    /// The pod does so, and its namespace is lost before the command.
    Lost,
    /// ADD of the same pod comes again (K5); the pod has given its interface another name.
    Again,
    /// The interface is carried to another pod, with another name, before its own pod's namespace is lost.
    Carried,
    /// Another interface of the host takes the VF's name.
    NameTaken,
    /// The IPAM plugin cannot release for a while.
    IpamDown,
    /// The Go plugin's file of the VF is written while ADD is at work.
    Noted,
}

/// How a row's command comes to its point.
///
/// # Errors
/// Why nothing outside the plugin brings it there.
pub fn of(row: &Row) -> Result<Situation, &'static str> {
    use Situation as S;
    use Verb as V;
    let name = row.point.rsplit('.').next().unwrap_or_default();
    let verb = row.verb;
    if verb == V::Add {
        return Ok(match name {
            "clear-pf-address" => S::Pinned,
            "drop-alt-names" => S::Decorated,
            _ => S::Plain,
        });
    }
    Ok(match (name, row.kind) {
        ("record-releasing" | "vf-file", Kind::Kernel) => S::NameTaken,
        ("record-releasing" | "vf-file", Kind::Userspace) => {
            return Err(
                "only a PF that has lost its interface keeps a userspace VF from being given back",
            );
        }
        // The addresses of a slot are released by the plugin behind it, unless that fails.
        ("record-releasing" | "vf-file" | "record-released", _)
        | ("deallocate", Kind::Macvlan | Kind::Ipvlan) => S::IpamDown,
        ("drop-alt-names-in-pod", _) => match verb {
            V::Heal => S::Again,
            V::Recover => S::Carried,
            _ => S::Named,
        },
        ("drop-alt-names", _) if verb == V::RollBack => {
            return Err(
                "an interface on the host would have to get a name while ADD is at work on it",
            );
        }
        ("restore", _) if verb == V::RollBack => S::Refused,
        ("remove-go-owner", _) if verb == V::RollBack => S::Noted,
        ("drop-alt-names" | "restore", _) => S::Lost,
        ("to-host", _) if verb == V::Heal => S::Again,
        ("to-host", _) if verb == V::Recover => S::Carried,
        ("add-alt-names" | "host-up", _) => S::Decorated,
        _ => S::Plain,
    })
}
