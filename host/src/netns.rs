//! Network namespaces: opening, identity, and work inside one on a short-lived thread.
//!
//! The calling thread never changes its namespace, so nothing must be switched back and a panic strands nobody.

use std::fs::{File, OpenOptions};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::thread;

use nix::sched::{CloneFlags, setns};
use nix::sys::statfs::{FsType, PROC_SUPER_MAGIC, fstatfs};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Kind, Result};
use crate::netlink::Netlink;
use crate::netlink::watch::{Group, Watch};

mod cookie;

/// An open network namespace. It lives at least as long as this value.
#[derive(Debug)]
pub struct NetNs {
    file: File,
    path: PathBuf,
}

/// What tells one namespace from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Identity {
    /// Device of the namespace's inode.
    pub device: u64,
    /// Inode number; the kernel reuses it at once for the next namespace.
    pub inode: u64,
    /// SO_NETNS_COOKIE (kernel 5.14): never reused within one boot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cookie: Option<u64>,
}

impl Identity {
    /// Whether both are the same namespace, provided both were taken in the same boot. Cookies decide; where one is
    /// missing, device and inode do, which count only together with the same path.
    pub fn is_same(&self, other: &Self) -> bool {
        match (self.cookie, other.cookie) {
            (Some(one), Some(another)) => one == another,
            _ => self.device == other.device && self.inode == other.inode,
        }
    }
}

impl NetNs {
    /// Opens a namespace by path. A path that exists and is no namespace is of kind `Invalid`.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref().to_path_buf();
        // A path that leads to a FIFO must be refused and not waited for.
        let opened = OpenOptions::new()
            .read(true)
            .custom_flags(nix::libc::O_NONBLOCK)
            .open(&path);
        let file = opened.map_err(|error| Error::file("open network namespace", &path, error))?;
        let kind = fstatfs(&file)
            .map_err(|errno| Error::file("inspect", &path, errno.into()))?
            .filesystem_type();
        // Kernels before 3.19 showed namespaces through procfs.
        if kind != FsType(0x6e73_6673) && kind != PROC_SUPER_MAGIC {
            return Err(Error::state(
                Kind::Invalid,
                path.display(),
                "exists, but is no network namespace",
            ));
        }
        Ok(Self { file, path })
    }

    /// The namespace of the calling thread. `proc` is where procfs is mounted.
    pub fn current(proc: &Path) -> Result<Self> {
        Self::open(proc.join("thread-self/ns/net"))
    }

    /// The path it was opened by.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Identity of the namespace itself, whatever its path leads to by now.
    pub fn identity(&self) -> Result<Identity> {
        self.identified(self.run(cookie::read)??)
    }

    fn identified(&self, cookie: Option<u64>) -> Result<Identity> {
        let metadata = self
            .file
            .metadata()
            .map_err(|error| Error::file("inspect", &self.path, error))?;
        Ok(Identity {
            device: metadata.dev(),
            inode: metadata.ino(),
            cookie,
        })
    }

    /// A netlink socket that belongs to this namespace and may be used from any thread.
    pub fn netlink(&self) -> Result<Netlink> {
        self.run(Netlink::open)?
    }

    /// [`NetNs::netlink`] and [`NetNs::identity`] at the cost of one thread.
    pub fn netlink_and_identity(&self) -> Result<(Netlink, Identity)> {
        let netlink = self.netlink()?;
        let identity = self.identified(cookie::of(&netlink)?)?;
        Ok((netlink, identity))
    }

    /// A socket that tells of changes in this namespace.
    pub fn watch(&self, groups: &[Group]) -> Result<Watch> {
        self.run(|| Watch::open(groups))?
    }

    /// Runs `work` on a new thread inside the namespace and waits for it. For sysctls and packet sockets; do not read
    /// `/sys/class/net` there, it follows the mount and not the thread. A panic of `work` goes on in the caller.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T> {
        let enter = || {
            setns(&self.file, CloneFlags::CLONE_NEWNET)
                .map_err(|errno| Error::file("enter network namespace", &self.path, errno.into()))
        };
        let thread = thread::scope(|scope| scope.spawn(|| enter().map(|()| work())).join());
        thread.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

impl AsFd for NetNs {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}
