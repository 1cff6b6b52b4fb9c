//! The device table as the tasks of the kubelet share it, with word of each change.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

use super::devices::Devices;

/// A shared handle on the device table.
#[derive(Debug, Clone)]
pub(crate) struct Table {
    devices: Arc<Mutex<Devices>>,
    edits: watch::Sender<u64>,
}

impl Table {
    pub(crate) fn new() -> Table {
        Table {
            devices: Arc::default(),
            edits: watch::Sender::new(0),
        }
    }

    /// Changes the table and says so.
    pub(crate) fn edit<T>(&self, change: impl FnOnce(&mut Devices) -> T) -> T {
        let result = change(&mut self.devices.lock().unwrap_or_else(PoisonError::into_inner));
        self.edits.send_modify(|count| *count += 1);
        result
    }

    /// Reads the table.
    pub(crate) fn read<T>(&self, look: impl FnOnce(&Devices) -> T) -> T {
        look(&self.devices.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Changes with each edit.
    pub(crate) fn edits(&self) -> watch::Receiver<u64> {
        self.edits.subscribe()
    }
}
