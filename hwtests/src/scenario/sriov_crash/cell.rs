//! A cell of the crash matrix: where `sriov` is aborted, what comes next, and, as a script of acts, what must hold then.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::situation::Situation;

/// What the plugin does when it is aborted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Verb {
    /// ADD.
    Add,
    /// ADD that is undoing itself, since something is refused at its end.
    RollBack,
    /// ADD that takes the device back from its last owner first.
    Heal,
    /// DEL after an ADD.
    Del,
    /// GC after an ADD.
    Gc,
    /// `sriov recover` after the namespace of a pod is gone.
    Recover,
}

/// What the pod is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Kind {
    /// A VF as an interface.
    Kernel,
    /// A VF on vfio-pci.
    Userspace,
    /// A software slot, by macvlan.
    Macvlan,
    /// A software slot, by ipvlan.
    Ipvlan,
}

/// What comes after the abort.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Column {
    /// The runtime's DEL.
    Del,
    /// The runtime's DEL, twice.
    DelTwice,
    /// The pod's namespace goes; a new pod gets the device; DEL of the old one comes late.
    AddAgain,
    /// The pod's namespace goes; nobody but `sriov recover` acts.
    Recover,
    /// The node is rebooted.
    Reboot,
    /// The node's power is cut.
    PowerCut,
}

/// A row: one crash point of one command with one kind of device.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Row {
    /// What is aborted.
    pub verb: Verb,
    /// With what.
    pub kind: Kind,
    /// Where: a name that `sriov` has for the point.
    pub point: String,
}

/// One cell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cell {
    /// Unique in a run; names its pods and its network.
    pub number: usize,
    /// Where it is aborted.
    pub row: Row,
    /// What comes next.
    pub column: Column,
    /// What brings the command to the point.
    pub situation: Situation,
}

/// A pod of a cell. The second one is the device's next owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Pod {
    /// Whose command is aborted.
    First,
    /// Who has the device next.
    Second,
}

/// One act of a cell. Commands must succeed unless they are aborted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Act {
    /// What the situation needs before the pod.
    Prepare,
    /// What the situation needs once the pod has its device.
    Disturb,
    /// The disturbance ends.
    Settle,
    /// A pod's namespace is made.
    Start(Pod),
    /// A pod's namespace is lost.
    Lose(Pod),
    /// The runtime calls ADD.
    Add(Pod),
    /// The runtime calls DEL, with the path of the namespace or, having lost it, without.
    Del(Pod),
    /// A command dies at the cell's point.
    Abort,
    /// The device is the pod's, as asked, and nothing is known of the other pod.
    Owned(Pod),
    /// The device is what it was, and nothing is left of the cell.
    Clean,
    /// `sriov recover`, once for all cells that wait for it.
    Recover,
    /// The machine's next boot, once for all cells that wait for it.
    Boot,
}

impl Verb {
    /// All verbs.
    pub const ALL: [Self; 6] = [
        Self::Add,
        Self::RollBack,
        Self::Heal,
        Self::Del,
        Self::Gc,
        Self::Recover,
    ];
}

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 4] = [Self::Kernel, Self::Userspace, Self::Macvlan, Self::Ipvlan];

    /// Whether it is a VF.
    pub fn is_vf(self) -> bool {
        matches!(self, Self::Kernel | Self::Userspace)
    }
}

impl Column {
    /// All columns.
    pub const ALL: [Self; 6] = [
        Self::Del,
        Self::DelTwice,
        Self::AddAgain,
        Self::Recover,
        Self::Reboot,
        Self::PowerCut,
    ];

    /// Whether the machine boots in it.
    pub fn boots(self) -> bool {
        matches!(self, Self::Reboot | Self::PowerCut)
    }
}

impl Cell {
    /// Container id of a pod; no id is part of another.
    pub fn container(&self, pod: Pod) -> String {
        format!(
            "{}{}",
            self.name(),
            if pod == Pod::First { "a" } else { "b" }
        )
    }

    /// Name of the cell's network: its leases and records are told apart by it.
    pub fn name(&self) -> String {
        format!("cell{:04}", self.number)
    }

    /// Name of the interface in its pod.
    pub fn ifname(&self) -> String {
        format!("n{:04}", self.number)
    }

    /// Whose ADD dies, if one does.
    pub fn victim(&self) -> Pod {
        if self.row.verb == Verb::Heal && self.situation != Situation::Again {
            Pod::Second
        } else {
            Pod::First
        }
    }

    /// All acts of the cell in order; what must hold in it is their sequence.
    pub fn script(&self) -> Vec<Act> {
        let (verb, situation) = (self.row.verb, self.situation);
        let mut acts = vec![Act::Prepare, Act::Start(Pod::First)];
        if !matches!(verb, Verb::Add | Verb::RollBack) {
            acts.extend([Act::Add(Pod::First), Act::Disturb]);
        }
        let loses = matches!(verb, Verb::Heal | Verb::Recover)
            && !matches!(situation, Situation::Again | Situation::Carried);
        if loses || situation == Situation::Lost {
            acts.push(Act::Lose(Pod::First));
        }
        if self.victim() == Pod::Second {
            acts.push(Act::Start(Pod::Second));
        }
        acts.extend([Act::Abort, Act::Settle]);
        acts.extend(self.next());
        acts.push(Act::Clean);
        acts
    }

    fn next(&self) -> Vec<Act> {
        let lose = [Act::Lose(Pod::First), Act::Lose(Pod::Second)];
        let another = [Act::Start(Pod::Second), Act::Add(Pod::Second)];
        let late = Act::Del(Pod::First);
        let dels = match self.victim() {
            Pod::First => vec![late],
            Pod::Second => vec![Act::Del(Pod::Second), late],
        };
        match self.column {
            Column::Del => dels,
            Column::DelTwice => [dels.clone(), dels].concat(),
            Column::AddAgain => {
                let owned = Act::Owned(Pod::Second);
                let rest = [owned, late, owned, Act::Del(Pod::Second)];
                [&lose[..], &another, &rest].concat()
            }
            Column::Recover => [&lose[..], &[Act::Recover]].concat(),
            Column::Reboot | Column::PowerCut => {
                let mut acts = vec![Act::Boot];
                // Whoever comes first after a boot: an admin's unit, the kubelet's clean-up, or a new pod.
                match self.number % 3 {
                    0 => acts.push(Act::Recover),
                    1 => acts.extend(&dels),
                    _ => acts.extend([&another[..], &[Act::Del(Pod::Second)]].concat()),
                }
                // A power cut may take the record and leave the address; then only the runtime's DEL can tell.
                if self.column == Column::PowerCut {
                    acts.extend(dels);
                }
                acts
            }
        }
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {:?} {}", self.verb, self.kind, self.point)
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} x {:?}", self.row, self.column)
    }
}
