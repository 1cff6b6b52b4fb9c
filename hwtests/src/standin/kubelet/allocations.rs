//! PodResources without the rest of a kubelet: what pods hold, where nobody runs them.

use std::path::Path;

use anyhow::{Context, Result};
use proto::{
    deviceplugin::{Device, HEALTHY},
    podresources::pod_resources_lister_server::PodResourcesListerServer,
    uds::{self, Socket},
};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{
    devices::{Held, Holder},
    pod_resources::PodResourcesService,
    rate::{Calls, Rate},
    table::Table,
};

/// Serves until it is dropped.
#[derive(Debug)]
pub struct Allocations {
    table: Table,
    service: PodResourcesService,
    _stop: DropGuard,
}

impl Allocations {
    /// Serves an empty node on a socket; calls beyond the rate are refused.
    ///
    /// # Errors
    /// When the socket cannot be listened on.
    pub fn serve(socket: &Path, rate: Rate) -> Result<Self> {
        let table = Table::new();
        let service = PodResourcesService::new(table.clone(), rate);
        let socket = Socket::bind(socket).context("serve PodResources")?;
        let stop = CancellationToken::new();
        let server = PodResourcesListerServer::new(service.clone());
        tokio::spawn(uds::serve(socket, server, stop.clone()));
        Ok(Self {
            table,
            service,
            _stop: stop.drop_guard(),
        })
    }

    /// A device plugin offers these devices, all healthy.
    pub fn offer(&self, resource: &str, ids: &[String]) {
        let devices = ids.iter().map(|id| Device {
            id: id.clone(),
            health: HEALTHY.to_owned(),
            topology: None,
        });
        self.table.edit(|all| {
            let connection = all.connect(resource);
            all.report(resource, connection, devices.collect())
        });
    }

    /// A pod's only container gets a device.
    pub fn give(&self, uid: &str, (namespace, name): (&str, &str), resource: &str, id: &str) {
        let container = "main".to_owned();
        let holder = Holder {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            containers: vec![(container.clone(), Vec::new())],
        };
        let held = Held {
            resource: resource.to_owned(),
            ids: vec![id.to_owned()],
            ..Held::default()
        };
        self.table.edit(|all| {
            all.admit(uid, holder);
            all.give(uid, &container, held);
        });
    }

    /// Calls so far.
    pub fn calls(&self) -> Calls {
        self.service.calls()
    }
}
