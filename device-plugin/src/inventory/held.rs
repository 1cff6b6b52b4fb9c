//! One device that a pod holds, from Allocate until PodResources shows it no more.

use std::{path::Path, sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::{Seen, Unwell};
use crate::{
    config::{Object, Pool, ResourceName},
    node::{DeviceId, Function},
    plan::Device,
};

/// How long a device that was given in Allocate may be missing in PodResources. A pod that the kubelet
/// refuses after Allocate never shows up there.
pub(super) const PATIENCE: Duration = Duration::from_mins(1);

/// What is known of it.
#[derive(Debug, Clone)]
pub(super) struct Held {
    /// What it was when it was given away or first seen held; `None` if it was gone by then.
    pub(super) identity: Option<Identity>,
    /// As it was offered then; `None` after a restart.
    pub(super) device: Option<Arc<Device>>,
    /// The pool's selectors then; 0 if they did not select it.
    pub(super) selectors: u64,
    /// Kept until no pod holds it.
    pub(super) unwell: Option<Unwell>,
    /// When Allocate gave it away, until PodResources shows it.
    pub(super) granted: Option<Instant>,
    /// It is listed only because a pod holds it.
    pub(super) waits: bool,
}

/// What tells a function from another at the same address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Identity {
    incarnation: u64,
    driver: Option<String>,
}

/// A held device as it is kept on disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The resource.
    pub resource: String,
    /// The device.
    pub device: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    identity: Option<Identity>,
    selectors: u64,
    /// Why it must not be given away.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unwell: Option<Unwell>,
    /// PodResources showed it.
    confirmed: bool,
}

impl Identity {
    fn of(function: &Function) -> Self {
        Self {
            incarnation: function.incarnation,
            driver: function.driver.clone(),
        }
    }
}

impl Held {
    /// A device that Allocate gives away.
    pub(super) fn granted(device: &Arc<Device>, selectors: u64, now: Instant) -> Self {
        Self {
            identity: Some(Identity::of(&device.function)),
            device: Some(Arc::clone(device)),
            selectors,
            unwell: None,
            granted: Some(now),
            waits: false,
        }
    }

    /// A device that is seen held and was not given away by this program as far as it knows.
    pub(super) fn found(
        seen: &Seen<'_>,
        id: &DeviceId,
        planned: Option<&Arc<Device>>,
        pool: &Pool,
    ) -> Self {
        let function = seen.node.function(id);
        Self {
            identity: function.map(|function| Identity::of(function)),
            device: planned.cloned(),
            selectors: planned.map_or(0, |_| fingerprint(&pool.objects)),
            unwell: None,
            granted: None,
            waits: false,
        }
    }

    /// What lasts until no pod holds it, whatever comes back.
    pub(super) fn lasting(&self, seen: &Seen<'_>, id: &DeviceId, driver: bool) -> Option<Unwell> {
        let Some(now) = seen.node.function(id) else {
            // A slot of the software fallback is no function.
            let is_function = !matches!(id, DeviceId::Software(_));
            return is_function.then_some(Unwell::Gone);
        };
        let before = self.identity.as_ref()?;
        // 0 is "not readable".
        let both_known = before.incarnation != 0 && now.incarnation != 0;
        if both_known && before.incarnation != now.incarnation {
            return Some(Unwell::Recreated);
        }
        if driver && before.driver != now.driver {
            let name = |driver: &Option<String>| driver.clone().unwrap_or("none".to_owned());
            return Some(Unwell::DriverChanged {
                was: name(&before.driver),
                now: name(&now.driver),
            });
        }
        None
    }

    /// What an edit of the configuration can bring and take away.
    pub(super) fn edited(
        &self,
        planned: Option<&Arc<Device>>,
        pool: Option<&Pool>,
    ) -> Option<Unwell> {
        let Some(pool) = pool else {
            return Some(Unwell::PoolRemoved);
        };
        // A device looks different inside its pod, so only other selectors count.
        let edited = planned.is_none() && self.selectors != fingerprint(&pool.objects);
        edited.then_some(Unwell::Deselected)
    }

    pub(super) fn record(&self, (resource, id): (&ResourceName, &DeviceId)) -> Record {
        Record {
            resource: resource.to_string(),
            device: id.to_string(),
            identity: self.identity.clone(),
            selectors: self.selectors,
            unwell: self.unwell.clone(),
            confirmed: self.granted.is_none(),
        }
    }
}

impl Record {
    /// The device and what is known of it; `None` if the record cannot be ours.
    pub(super) fn read(self, now: Instant) -> Option<((ResourceName, DeviceId), Held)> {
        let (prefix, name) = self.resource.split_once('/')?;
        let resource = ResourceName::new(prefix, name, Path::new("/")).ok()?;
        let held = Held {
            identity: self.identity,
            device: None,
            selectors: self.selectors,
            unwell: self.unwell,
            granted: (!self.confirmed).then_some(now),
            waits: false,
        };
        Some(((resource, self.device.parse().ok()?), held))
    }
}

/// A number that differs for other selectors (FNV-1a); never 0.
pub(super) fn fingerprint(objects: &[Object]) -> u64 {
    let text = format!("{objects:?}");
    let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    hash.max(1)
}
