//! The guest's root: built once per recipe and kept in a cache.

use std::{
    fs::{self, File},
    hash::Hasher,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Instant,
};

use anyhow::{Context, Result, bail};

/// What the guest is made from. Its hash names the cached build, so a changed recipe is a new guest.
const RECIPE: [(&str, &str); 3] = [
    ("build.sh", include_str!("../../lab/build.sh")),
    ("init.sh", include_str!("../../lab/init.sh")),
    (
        "initramfs-init.sh",
        include_str!("../../lab/initramfs-init.sh"),
    ),
];

/// Installs what the host lacks for building and booting the guest.
const PREPARE_HOST: &str = include_str!("../../lab/prepare-host.sh");

/// Puts a second container runtime into a built guest.
const CONTAINERD_2: &str = include_str!("../../lab/containerd-2.sh");

/// Where builds are kept unless told otherwise.
pub const CACHE: &str = "/var/cache/ferrovia";

/// A guest's root that is ready to boot.
#[derive(Debug, Clone)]
pub struct Lab {
    /// The build's folder: `root/` is the guest's tree.
    pub dir: PathBuf,
}

impl Lab {
    /// Returns the cached build of this recipe below `cache`, or builds it now and prints a line per step.
    ///
    /// # Errors
    /// When the host lacks root's rights, a step of the recipe fails or the disk is full; the step's output is shown.
    pub fn prepare(cache: &Path) -> Result<Self> {
        if !nix::unistd::geteuid().is_root() {
            bail!(
                "the lab needs root: it installs packages and makes a guest's tree; run this command as root"
            );
        }
        prepare_host()?;
        let dir = cache.join(format!("lab-{:016x}", recipe_hash()));
        fs::create_dir_all(cache).with_context(|| format!("create {}", cache.display()))?;
        let lock = File::create(cache.join("lock")).context("create the cache's lock file")?;
        lock.lock()
            .context("wait for another build of the lab on this machine")?;
        let lab = Self { dir };
        if lab.dir.join(".done").exists() {
            println!("lab: using the guest in {}", lab.dir.display());
            return Ok(lab);
        }
        let started = Instant::now();
        println!("lab: building the guest in {} (once)", lab.dir.display());
        let scripts = lab.dir.join("recipe");
        fs::create_dir_all(&scripts).with_context(|| format!("create {}", scripts.display()))?;
        for (name, text) in RECIPE {
            fs::write(scripts.join(name), text).with_context(|| format!("write {name}"))?;
        }
        let mut build = Command::new("bash");
        build.arg(scripts.join("build.sh")).arg(&lab.dir);
        stream("build.sh", &mut build)?;
        println!("lab: built in {} s", started.elapsed().as_secs());
        Ok(lab)
    }

    /// Adds the second container runtime, unless the build has it.
    ///
    /// # Errors
    /// When its packages cannot be fetched or do not run in the guest; the script's messages are shown.
    pub fn add_containerd_2(&self, cache: &Path) -> Result<()> {
        let lock = File::create(cache.join("lock")).context("create the cache's lock file")?;
        lock.lock()
            .context("wait for another build of the lab on this machine")?;
        if self.root().join("opt/containerd-2").exists() {
            return Ok(());
        }
        let dir = self.dir.to_string_lossy();
        run_script("containerd-2.sh", CONTAINERD_2, &[&dir])
    }

    /// The guest's tree.
    pub fn root(&self) -> PathBuf {
        self.dir.join("root")
    }
}

/// Installs what this machine lacks.
///
/// # Errors
/// When a package cannot be installed; the script's messages are shown.
pub fn prepare_host() -> Result<()> {
    run_script("prepare-host.sh", PREPARE_HOST, &[])
}

/// FNV-1a over the recipe: stable between runs and builds, unlike the standard library's hasher.
fn recipe_hash() -> u64 {
    struct Fnv(u64);
    impl Hasher for Fnv {
        fn finish(&self) -> u64 {
            self.0
        }
        fn write(&mut self, bytes: &[u8]) {
            for byte in bytes {
                self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
            }
        }
    }
    let mut hasher = Fnv(0xcbf2_9ce4_8422_2325);
    for (name, text) in RECIPE {
        hasher.write(name.as_bytes());
        hasher.write(text.as_bytes());
    }
    hasher.finish()
}

fn run_script(name: &str, text: &str, args: &[&str]) -> Result<()> {
    let mut command = Command::new("bash");
    command.arg("-c").arg(text).arg(name).args(args);
    stream(name, &mut command)
}

/// Runs a command and shows each line that it prints as it comes.
fn stream(name: &str, command: &mut Command) -> Result<()> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("start {name}"))?;
    if let Some(out) = child.stdout.take() {
        for line in BufReader::new(out).lines() {
            println!("{}", line.context("read the script's output")?);
        }
    }
    let status = child.wait().with_context(|| format!("wait for {name}"))?;
    if !status.success() {
        bail!("{name} ended with {status}; its messages are above");
    }
    Ok(())
}
