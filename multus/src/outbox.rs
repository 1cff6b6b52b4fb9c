//! network-status on its way to the API server: accepted means kept until written.
//!
//! An entry is a file until the API server took it or the pod is gone, so neither an API outage nor
//! a restart of the daemon loses it. Of several entries for one pod only the newest counts.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use host::file::{self, Durability};
use kube::Client;
use multus_plugin::wire::PodRef;
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;
use tracing::{debug, info, warn};

use crate::api::status::{self, Written};
use crate::metrics::Metrics;

/// Patches at the same time.
const AT_ONCE: usize = 8;
/// First and longest pause between attempts.
const PAUSES: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(30));
/// Longest part of a pod's name in a file's name; the rest of 255 is for what makes it unique.
const LONGEST_NAME: usize = 180;

/// A status to be written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The pod, with the UID that it must have.
    pub pod: PodRef,
    /// Value of the annotation.
    pub value: String,
}

/// What waits to be written.
pub struct Outbox {
    dir: PathBuf,
    client: Client,
    slots: Semaphore,
    waiting: Mutex<Queue>,
    /// Never repeats: an old entry may pause while newer ones come and go.
    next: AtomicU64,
    metrics: Arc<Metrics>,
}

impl std::fmt::Debug for Outbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outbox")
            .field("dir", &self.dir)
            .field("waiting", &self.waiting)
            .finish_non_exhaustive()
    }
}

/// By namespace and name of the pod.
type Queue = HashMap<(String, String), Waiting>;

#[derive(Debug)]
struct Waiting {
    number: u64,
    value: String,
}

impl Outbox {
    /// An outbox with its files in `dir`.
    pub fn new(dir: PathBuf, client: Client, metrics: Arc<Metrics>) -> Arc<Self> {
        Arc::new(Self {
            dir,
            client,
            slots: Semaphore::new(AT_ONCE),
            waiting: Mutex::default(),
            next: AtomicU64::default(),
            metrics,
        })
    }

    /// Takes up what an earlier process left.
    pub fn resume(self: &Arc<Self>) -> Result<(), host::error::Error> {
        for name in file::list(&self.dir)? {
            match file::read_record::<Entry>(&self.dir.join(&name)) {
                Ok(Some(entry)) => self.spawn(entry, name),
                Ok(None) => {}
                Err(error) => {
                    warn!(
                        error = cni::error::chain(&error),
                        "stored network-status dropped"
                    );
                    file::remove(&self.dir.join(&name))?;
                }
            }
        }
        Ok(())
    }

    /// Keeps the entry and writes it as soon as possible.
    ///
    /// # Errors
    /// When it cannot be stored: then it is not accepted.
    pub fn accept(self: &Arc<Self>, entry: Entry) -> Result<(), host::error::Error> {
        file::create_dir(&self.dir, file::PRIVATE_DIR)?;
        let name = file_name(&entry.pod);
        let mut waiting = self.lock();
        // Under the lock: a delivery that ends now would take the new file for its own and remove it.
        file::write_record(&self.dir.join(&name), &entry, Durability::Process)?;
        let number = self.enter(&mut waiting, &entry);
        drop(waiting);
        self.start(entry, number, name);
        Ok(())
    }

    /// Writes the entry as soon as possible, without a file: for what can be derived again.
    pub fn offer(self: &Arc<Self>, entry: Entry) {
        let same = self
            .lock()
            .get(&key(&entry.pod))
            .is_some_and(|waiting| waiting.value == entry.value);
        if !same {
            // Of the entry that it replaces: without this the next start would write that one again.
            let file = file_name(&entry.pod);
            self.spawn(entry, file);
        }
    }

    /// Number of entries that are not written yet.
    pub fn waiting(&self) -> usize {
        self.lock().len()
    }

    /// The pods whose status is not written yet, sorted.
    pub fn pods(&self) -> Vec<String> {
        let waiting = self.lock();
        let mut pods: Vec<String> = waiting
            .keys()
            .map(|(namespace, name)| format!("{namespace}/{name}"))
            .collect();
        pods.sort_unstable();
        pods
    }

    fn spawn(self: &Arc<Self>, entry: Entry, file: String) {
        let number = self.enter(&mut self.lock(), &entry);
        self.start(entry, number, file);
    }

    fn enter(&self, waiting: &mut Queue, entry: &Entry) -> u64 {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let value = entry.value.clone();
        waiting.insert(key(&entry.pod), Waiting { number, value });
        number
    }

    fn start(self: &Arc<Self>, entry: Entry, number: u64, file: String) {
        let outbox = Arc::clone(self);
        tokio::spawn(async move { outbox.deliver(&entry, number, file).await });
    }

    async fn deliver(&self, entry: &Entry, number: u64, file: String) {
        let pod = &entry.pod;
        let mut pause = PAUSES.0;
        loop {
            {
                let _slot = self.slots.acquire().await;
                if !self.is_newest(pod, number) {
                    return;
                }
                match status::write(&self.client, pod, &entry.value).await {
                    Ok(Written::Yes) => {
                        self.metrics.status("written");
                        debug!(%pod, "network-status written");
                        break;
                    }
                    Ok(Written::PodGone) => {
                        self.metrics.status("pod_gone");
                        info!(%pod, "network-status not written, the pod is gone");
                        break;
                    }
                    Err(error) => {
                        self.metrics.status("failed");
                        let error = cni::error::chain(&error);
                        if pause == PAUSES.0 {
                            warn!(%pod, error, "network-status will be written later");
                        } else {
                            debug!(%pod, error, "network-status");
                        }
                    }
                }
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSES.1);
        }
        self.settle(pod, number, &file);
    }

    /// Forgets what was written, unless something newer waits.
    fn settle(&self, pod: &PodRef, number: u64, file: &str) {
        let mut waiting = self.lock();
        if waiting.get(&key(pod)).is_some_and(|w| w.number == number) {
            waiting.remove(&key(pod));
            // Under the lock: a newer entry would have written the same file.
            if let Err(error) = file::remove(&self.dir.join(file)) {
                warn!(%pod, error = cni::error::chain(&error), "written network-status");
            }
        }
    }

    fn is_newest(&self, pod: &PodRef, number: u64) -> bool {
        self.lock()
            .get(&key(pod))
            .is_some_and(|waiting| waiting.number == number)
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn key(pod: &PodRef) -> (String, String) {
    (pod.namespace.clone(), pod.name.clone())
}

/// `_` occurs in neither part. Namespace and name together may be longer than a file's name.
fn file_name(pod: &PodRef) -> String {
    let safe = |text: &str| text.replace(['/', '_'], "-");
    let mut name = format!("{}_{}", safe(&pod.namespace), safe(&pod.name));
    if name.len() > LONGEST_NAME {
        let mut hasher = DefaultHasher::new();
        name.hash(&mut hasher);
        name.truncate(name.floor_char_boundary(LONGEST_NAME));
        name = format!("{name}_{:016x}", hasher.finish());
    }
    format!("{name}.json")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(value: &str) -> Entry {
        Entry {
            pod: PodRef {
                namespace: "d".into(),
                name: "p".into(),
                uid: Some("u".into()),
            },
            value: value.into(),
        }
    }

    fn outbox(dir: &std::path::Path) -> Arc<Outbox> {
        let nobody = kube::Config::new("http://127.0.0.1:1".parse().unwrap());
        let client = Client::try_from(nobody).unwrap();
        Outbox::new(dir.to_path_buf(), client, Arc::default())
    }

    #[tokio::test]
    async fn row_29_a_written_status_never_takes_the_file_of_a_newer_one_with_it() {
        let dir = tempfile::tempdir().unwrap();
        let outbox = outbox(dir.path());
        let stored = || {
            let name = file_name(&entry("").pod);
            file::read_record::<Entry>(&dir.path().join(name)).unwrap()
        };
        let newest = || outbox.lock()[&key(&entry("").pod)].number;
        outbox.accept(entry("old")).unwrap();
        let old = newest();
        outbox.accept(entry("newer")).unwrap();
        outbox.settle(&entry("").pod, old, &file_name(&entry("").pod));
        assert_eq!(stored(), Some(entry("newer")));
        assert_eq!(outbox.pods(), ["d/p"]);
        outbox.settle(&entry("").pod, newest(), &file_name(&entry("").pod));
        assert_eq!((stored(), outbox.waiting()), (None, 0));
    }

    #[tokio::test]
    async fn an_old_entry_whose_turn_comes_late_is_never_taken_for_the_newest() {
        let dir = tempfile::tempdir().unwrap();
        let outbox = outbox(dir.path());
        let newest = |outbox: &Outbox| outbox.lock()[&key(&entry("").pod)].number;
        outbox.accept(entry("old")).unwrap();
        let old = newest(&outbox);
        outbox.accept(entry("newer")).unwrap();
        // It is written, while the old one pauses.
        outbox.lock().clear();
        outbox.accept(entry("newest")).unwrap();
        assert!(!outbox.is_newest(&entry("").pod, old));
    }
}
