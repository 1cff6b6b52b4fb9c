//! What an admin does by hand on a node, with no daemon and no API: `multus repair` and `multus uninstall`.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use cni::config::NetworkList;
use cni::plugin::{Command, Env, Invocation};
use cni::raw::Object;

use crate::command::repair::{self, Repaired};
use crate::failure::Failure;
use crate::journal::JournalError;
use crate::lifecycle::HostView;
use crate::lifecycle::intent::{Intent, Store, UninstallPolicy};
use crate::lifecycle::leave::{LeaveError, Left, leave};
use crate::session::{Node, Session};

/// How the commands are called.
pub const USAGE: &str = "\
usage: multus repair    [--dry-run] [--cni-dir DIR] [--cni-path DIR[:DIR...]]
       multus uninstall [--primary-only] [--cni-dir DIR] [--cni-path DIR[:DIR...]]
  repair      deletes what earlier DELs could not delete, and what sandboxes left that are gone
  uninstall   takes no new networks on, and removes multus from this node when the last sandbox with networks is
              deleted; until then pods that ask for networks are refused, or with --primary-only get the default network";

/// A command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// What to do.
    pub task: Task,
    /// State folder.
    pub cni_dir: PathBuf,
    /// Folders of the delegates' programs.
    pub path: Vec<PathBuf>,
}

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Task {
    /// `multus repair`.
    Repair {
        /// Only tell.
        dry_run: bool,
    },
    /// `multus uninstall`.
    Uninstall(UninstallPolicy),
}

/// Why a command did not do its work.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// The command line.
    #[error("{0}\n{USAGE}")]
    Usage(String),
    /// State could not be read or written.
    #[error(transparent)]
    File(#[from] host::error::Error),
    /// The journal.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// Leaving.
    #[error(transparent)]
    Leave(#[from] LeaveError),
    /// The state folder cannot be worked with.
    #[error(transparent)]
    Session(#[from] Failure),
    /// Nothing was installed by this program.
    #[error(
        "multus is not installed on this node as far as {} knows: remove its configuration and program by hand, configuration first",
        .0.display()
    )]
    NotInstalled(PathBuf),
}

/// What was done, for people, and whether nothing is left to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// One line per sandbox or fact.
    pub text: String,
    /// Whether all of it could be done.
    pub complete: bool,
}

/// Reads a command line without the program's name; `None` without any word.
///
/// # Errors
/// A word that is none of ours, or an option without its value.
pub fn parse(words: &[String]) -> Result<Option<Request>, AdminError> {
    let Some((task, options)) = words.split_first() else {
        return Ok(None);
    };
    let mut request = Request {
        task: match task.as_str() {
            "repair" => Task::Repair { dry_run: false },
            "uninstall" => Task::Uninstall(UninstallPolicy::Block),
            other => return Err(AdminError::Usage(format!("unknown command \"{other}\""))),
        },
        cni_dir: "/var/lib/cni/multus".into(),
        path: vec!["/opt/cni/bin".into(), "/usr/lib/cni".into()],
    };
    let mut options = options.iter();
    while let Some(option) = options.next() {
        let mut value = || {
            options
                .next()
                .ok_or_else(|| AdminError::Usage(format!("{option} needs a value")))
        };
        match (option.as_str(), &mut request.task) {
            ("--dry-run", Task::Repair { dry_run }) => *dry_run = true,
            ("--primary-only", Task::Uninstall(policy)) => *policy = UninstallPolicy::PrimaryOnly,
            ("--cni-dir", _) => request.cni_dir = value()?.into(),
            ("--cni-path", _) => request.path = std::env::split_paths(value()?).collect(),
            _ => return Err(AdminError::Usage(format!("unknown option \"{option}\""))),
        }
    }
    Ok(Some(request))
}

/// Does it.
///
/// # Errors
/// When nothing could be done; what is left over is told, and is no error.
pub fn run(request: &Request, node: &Node) -> Result<Told, AdminError> {
    match request.task {
        Task::Repair { dry_run } => repair(request, node, dry_run),
        Task::Uninstall(policy) => uninstall(request, node, policy),
    }
}

fn repair(request: &Request, node: &Node, dry_run: bool) -> Result<Told, AdminError> {
    let call = invocation(request)?;
    let session = Session::new(&call, node)?;
    let repaired = repair::repair(&session, dry_run)?;
    let mut text = String::new();
    for row in &repaired {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{row}");
    }
    if repaired.is_empty() {
        text.push_str("nothing to repair\n");
    }
    let complete = repaired.iter().all(Repaired::is_done) || dry_run;
    Ok(Told { text, complete })
}

fn uninstall(request: &Request, node: &Node, policy: UninstallPolicy) -> Result<Told, AdminError> {
    let store = Store::new(&request.cni_dir);
    {
        let _lock = store.lock(Duration::from_secs(10))?;
        let Some(mut installed) = store.read()? else {
            return Err(AdminError::NotInstalled(request.cni_dir.clone()));
        };
        installed.intent = Intent::Drain;
        installed.uninstall_policy = policy;
        store.write(&installed)?;
    }
    let left = leave(
        &store,
        &HostView::same(),
        &node.runtime_cache,
        Duration::from_secs(10),
    )?;
    let (text, complete) = match left {
        Left::Gone { kept } if kept.is_empty() => ("multus has left this node".to_owned(), true),
        Left::Gone { kept } => (
            format!(
                "multus has left this node, except {kept:?}: the runtime's cache still names it; remove it when those pods are deleted"
            ),
            true,
        ),
        Left::Sandboxes(ids) => (
            format!(
                "multus leaves when {} sandboxes with networks are deleted: {}; 'multus repair' deletes what gone sandboxes left",
                ids.len(),
                ids.join(", ")
            ),
            false,
        ),
        Left::NoOtherConfiguration(why) => (
            format!("multus stays, the node would be without network: {why}"),
            false,
        ),
        Left::Busy => (
            "other commands are at work; the last of them removes multus".to_owned(),
            false,
        ),
        Left::NotAsked => ("multus was installed again meanwhile".to_owned(), false),
    };
    Ok(Told {
        text: text + "\n",
        complete,
    })
}

/// The call that the commands of a runtime would be, without a runtime.
fn invocation(request: &Request) -> Result<Invocation, Failure> {
    let mut config = Object::default();
    config.set_str("cniVersion", cni::Version::V1_0_0.as_str());
    config.set_str("name", "multus-cni-network");
    config.set_str("type", "multus");
    config.set("cniDir", cni::raw::raw(&request.cni_dir));
    let stdin = config.to_bytes();
    NetworkList::parse(&stdin).map_err(|error| Failure::io("make a configuration", &error))?;
    let mut env = Env::default();
    // Delegates run programs of their own.
    env.set("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
    Ok(Invocation {
        command: Command::Del,
        container_id: String::new(),
        netns: String::new(),
        ifname: String::new(),
        args_text: String::new(),
        path: request.path.clone(),
        name: "multus-cni-network".to_owned(),
        version: cni::Version::V1_0_0,
        config,
        stdin,
        env,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Option<Request>, AdminError> {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        parse(&words)
    }

    #[test]
    fn command_lines_are_read_and_strange_ones_refused_with_the_usage() {
        assert_eq!(parsed("").unwrap(), None);
        let request = parsed("repair --dry-run --cni-dir /x --cni-path /a:/b")
            .unwrap()
            .unwrap();
        assert_eq!(request.task, Task::Repair { dry_run: true });
        assert_eq!(request.cni_dir, PathBuf::from("/x"));
        assert_eq!(request.path, [PathBuf::from("/a"), PathBuf::from("/b")]);
        let request = parsed("uninstall --primary-only").unwrap().unwrap();
        assert_eq!(request.task, Task::Uninstall(UninstallPolicy::PrimaryOnly));
        for wrong in [
            "install",
            "repair --primary-only",
            "repair --cni-dir",
            "uninstall now",
        ] {
            let error = parsed(wrong).unwrap_err().to_string();
            assert!(error.contains("usage: multus repair"), "{wrong}: {error}");
        }
    }
}
