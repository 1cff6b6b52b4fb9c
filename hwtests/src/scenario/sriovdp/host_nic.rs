//! The node's own NIC: whatever the default route goes through is never advertised.

use anyhow::{Context, Result};

use super::{
    offers::{self, seconds},
    stage::Stage,
};
use crate::{
    guest::{
        hardware::interface_of,
        shell::{ip, run},
    },
    scenario::demo::networks::STORAGE,
};

/// How the default route gets to the VF: commands of `ip`, `NIC` being its interface; the last one is undone by
/// deleting the interface made, `own`, or by the words of `undo`.
struct Way {
    name: &'static str,
    make: &'static [&'static str],
    undo: &'static [&'static str],
}

const WAYS: [Way; 5] = [
    Way {
        name: "IPv4",
        make: &[
            "link set NIC up",
            "address add 10.77.0.2/24 dev NIC",
            "route add default via 10.77.0.1 dev NIC",
        ],
        undo: &["address flush dev NIC"],
    },
    Way {
        name: "IPv6 only",
        make: &["link set NIC up", "-6 route add default dev NIC metric 77"],
        undo: &["-6 route del default dev NIC metric 77"],
    },
    Way {
        name: "VLAN",
        make: &[
            "link set NIC up",
            "link add link NIC name own type vlan id 77",
            "link set own up",
            "route add default dev own",
        ],
        undo: &["link del own"],
    },
    // The route is there before its NIC: an event of a link, not of a route.
    Way {
        name: "bridge",
        make: &[
            "link add own type bridge",
            "link set own up",
            "route add default dev own",
            "link set NIC master own",
        ],
        undo: &["link del own"],
    },
    Way {
        name: "bond",
        make: &[
            "link add own type bond mode active-backup",
            "link set NIC down",
            "link set NIC master own",
            "link set own up",
            "route add default dev own",
        ],
        undo: &["link del own"],
    },
];

/// In each way the VF leaves its pool with the route, and is back without it.
pub(super) async fn never_advertised(stage: &mut Stage<'_>) -> Result<String> {
    run("modprobe", ["bonding"])?;
    let vfs = stage.vfs(1).to_vec();
    let (vf, others) = vfs.split_last().context("no VF")?;
    let nic = interface_of(vf)?.context("the VF has no interface")?;
    let mut rows = Vec::new();
    for way in WAYS {
        let all = |commands: &[&str]| {
            commands
                .iter()
                .try_for_each(|words| ip(&words.replace("NIC", &nic)).map(|_| ()))
        };
        all(way.make)?;
        let gone = offers::wait(STORAGE, others)
            .await
            .with_context(|| format!("default route by {}", way.name))?;
        all(way.undo)?;
        let back = offers::wait(STORAGE, &vfs)
            .await
            .with_context(|| format!("default route by {} is gone", way.name))?;
        rows.push(format!(
            "{} {} and back {}",
            way.name,
            seconds(gone),
            seconds(back)
        ));
    }
    ip(&format!("link set {nic} down"))?;
    stage.node.baseline = stage.node.hardware.observe()?;
    Ok(format!("{nic}: {}", rows.join(", ")))
}
