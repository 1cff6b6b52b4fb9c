//! The axes of the table (spec/ecosystem.md §6.3), and their product.

/// What `installation` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Intent {
    Serve,
    Drain,
    DrainPrimaryOnly,
    Removed,
}

/// Who answers at the socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Daemon {
    Up,
    Down,
    OldProtocol,
}

/// What the API server says to the daemon.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Api {
    Ok,
    Unauthorized,
    Down,
}

/// What the runtime's configuration folder holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Folder {
    Ours,
    PrimaryOnly,
    Both,
    Nothing,
    EmptyOurs,
    AnotherFirst,
}

/// What the pod asks for, and whether the runtime says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Pod {
    Plain,
    Annotated,
    /// Annotated, and the runtime hands no annotations over.
    KeyAbsent,
    DefaultNetworks,
    DefaultNetworkAnnotation,
}

/// What the state folder knows of the sandbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Record {
    None,
    Own,
    Torn,
    Go,
}

/// What the runtime calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Op {
    Add,
    Del,
    /// CRI-O's, by the configuration of the ADD whatever the folder holds.
    DelOfCrio,
    Check,
    Gc,
    Status,
}

/// One row of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) intent: Intent,
    pub(crate) daemon: Daemon,
    pub(crate) api: Api,
    pub(crate) folder: Folder,
    pub(crate) pod: Pod,
    pub(crate) record: Record,
    pub(crate) namespace: bool,
    /// Network `one` fails on ADD and DEL.
    pub(crate) one_fails: bool,
    pub(crate) op: Op,
}

pub(crate) const INTENTS: [Intent; 4] = [
    Intent::Serve,
    Intent::Drain,
    Intent::DrainPrimaryOnly,
    Intent::Removed,
];
pub(crate) const DAEMONS: [Daemon; 3] = [Daemon::Up, Daemon::Down, Daemon::OldProtocol];
pub(crate) const APIS: [Api; 3] = [Api::Ok, Api::Unauthorized, Api::Down];
pub(crate) const FOLDERS: [Folder; 6] = [
    Folder::Ours,
    Folder::PrimaryOnly,
    Folder::Both,
    Folder::Nothing,
    Folder::EmptyOurs,
    Folder::AnotherFirst,
];
pub(crate) const PODS: [Pod; 5] = [
    Pod::Plain,
    Pod::Annotated,
    Pod::KeyAbsent,
    Pod::DefaultNetworks,
    Pod::DefaultNetworkAnnotation,
];
pub(crate) const RECORDS: [Record; 4] = [Record::None, Record::Own, Record::Torn, Record::Go];
pub(crate) const OPS: [Op; 6] = [
    Op::Add,
    Op::Del,
    Op::DelOfCrio,
    Op::Check,
    Op::Gc,
    Op::Status,
];

/// Every combination.
pub(crate) fn product() -> Vec<State> {
    let mut all = Vec::new();
    for intent in INTENTS {
        for daemon in DAEMONS {
            for api in APIS {
                for folder in FOLDERS {
                    all.extend(rest(intent, daemon, api, folder));
                }
            }
        }
    }
    all
}

fn rest(intent: Intent, daemon: Daemon, api: Api, folder: Folder) -> Vec<State> {
    let mut all = Vec::new();
    for pod in PODS {
        for record in RECORDS {
            for namespace in [true, false] {
                for one_fails in [false, true] {
                    all.extend(OPS.map(|op| State {
                        intent,
                        daemon,
                        api,
                        folder,
                        pod,
                        record,
                        namespace,
                        one_fails,
                        op,
                    }));
                }
            }
        }
    }
    all
}

impl Pod {
    /// The pod's attachments when everything is as it asks, as `delegate interface`.
    pub(crate) fn wanted(self) -> &'static [&'static str] {
        match self {
            Self::Plain => &["primary eth0"],
            Self::Annotated | Self::KeyAbsent => &["one net1", "primary eth0", "two net2"],
            Self::DefaultNetworks => &["one net1", "primary eth0"],
            Self::DefaultNetworkAnnotation => &["two eth0"],
        }
    }
}
