//! The inventory with its memory on disk, behind one lock: what Allocate gives away and what the kubelet
//! is told to have must not pass each other.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;
use tracing::warn;

use crate::{failure, inventory::Inventory, memory::Memory};

/// Inventory and memory.
#[derive(Debug)]
pub struct Book(Mutex<Pages>);

/// What the lock guards.
#[derive(Debug)]
pub struct Pages {
    /// The state machine.
    pub inventory: Inventory,
    memory: Memory,
}

impl Book {
    /// Begins with what the process before this one wrote.
    pub fn open(mut memory: Memory) -> Self {
        let mut inventory = Inventory::default();
        inventory.restore(memory.read(), Instant::now());
        Self(Mutex::new(Pages { inventory, memory }))
    }

    /// The pages, for as long as the guard lives. Nothing in here waits for anybody.
    pub fn lock(&self) -> MutexGuard<'_, Pages> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pages {
    /// Writes what the next process needs, if that changed. A disk that is full costs the memory, not the
    /// allocation.
    pub fn save(&mut self) {
        if let Err(error) = self.memory.write(self.inventory.records()) {
            warn!(error = %failure::chain(&error), "what pods hold is not remembered across a restart");
        }
    }
}
