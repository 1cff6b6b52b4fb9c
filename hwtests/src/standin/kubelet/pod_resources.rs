//! The PodResources service: what pods hold, and what could be held; rate-limited as the kubelet's is.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use proto::podresources::pod_resources_lister_server::PodResourcesLister;
use proto::podresources::{
    AllocatableResourcesRequest, AllocatableResourcesResponse, ContainerDevices,
    ContainerResources, GetPodResourcesRequest, GetPodResourcesResponse, ListPodResourcesRequest,
    ListPodResourcesResponse, NumaNode, PodResources, TopologyInfo,
};
use tokio::time::Instant;
use tonic::{Request, Response, Status, async_trait};

use super::devices::{Devices, Holder, shuffled};
use super::rate::{Bucket, Calls, Rate};
use super::table::Table;

/// Serves `v1.PodResourcesLister`.
#[derive(Debug, Clone)]
pub(crate) struct PodResourcesService {
    table: Table,
    bucket: Arc<Mutex<Bucket>>,
}

impl PodResourcesService {
    pub(crate) fn new(table: Table, rate: Rate) -> PodResourcesService {
        PodResourcesService {
            table,
            bucket: Arc::new(Mutex::new(Bucket::full(rate, Instant::now()))),
        }
    }

    pub(crate) fn calls(&self) -> Calls {
        self.bucket().calls()
    }

    fn bucket(&self) -> MutexGuard<'_, Bucket> {
        self.bucket.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn admit(&self) -> Result<(), Status> {
        if self.bucket().take(Instant::now()) {
            Ok(())
        } else {
            Err(Status::resource_exhausted("rejected by rate limit"))
        }
    }
}

#[async_trait]
impl PodResourcesLister for PodResourcesService {
    async fn list(
        &self,
        _: Request<ListPodResourcesRequest>,
    ) -> Result<Response<ListPodResourcesResponse>, Status> {
        self.admit()?;
        let pods = self.table.read(|devices| {
            devices
                .holders()
                .map(|holder| describe(devices, holder))
                .collect()
        });
        Ok(Response::new(ListPodResourcesResponse {
            pod_resources: pods,
        }))
    }

    async fn get_allocatable_resources(
        &self,
        _: Request<AllocatableResourcesRequest>,
    ) -> Result<Response<AllocatableResourcesResponse>, Status> {
        self.admit()?;
        let devices = self.table.read(|devices| {
            let healthy = devices
                .healthy()
                .map(|(resource, device)| (resource.clone(), device.id.clone()));
            shuffled(healthy.collect())
                .iter()
                .flat_map(|(resource, id)| entries(devices, resource, id))
                .collect()
        });
        Ok(Response::new(AllocatableResourcesResponse {
            devices,
            ..AllocatableResourcesResponse::default()
        }))
    }

    async fn get(
        &self,
        request: Request<GetPodResourcesRequest>,
    ) -> Result<Response<GetPodResourcesResponse>, Status> {
        self.admit()?;
        let wanted = request.into_inner();
        let is_wanted = |holder: &&Holder| {
            holder.name == wanted.pod_name && holder.namespace == wanted.pod_namespace
        };
        let found = self.table.read(|devices| {
            devices
                .holders()
                .find(is_wanted)
                .map(|holder| describe(devices, holder))
        });
        match found {
            Some(pod) => Ok(Response::new(GetPodResourcesResponse {
                pod_resources: Some(pod),
            })),
            None => Err(Status::unknown(format!(
                "pod {} in namespace {} not found",
                wanted.pod_name, wanted.pod_namespace
            ))),
        }
    }
}

fn describe(devices: &Devices, holder: &Holder) -> PodResources {
    let containers = holder.containers.iter().map(|(name, held)| {
        let ids = held.iter().flat_map(|held| {
            held.ids
                .iter()
                .map(|id| (held.resource.clone(), id.clone()))
        });
        let devices = shuffled(ids.collect())
            .iter()
            .flat_map(|(resource, id)| entries(devices, resource, id))
            .collect();
        ContainerResources {
            name: name.clone(),
            devices,
            ..ContainerResources::default()
        }
    });
    PodResources {
        name: holder.name.clone(),
        namespace: holder.namespace.clone(),
        containers: containers.collect(),
        ..PodResources::default()
    }
}

/// One entry per device and memory node, as the kubelet sends them: a device near two nodes comes twice.
fn entries(devices: &Devices, resource: &str, id: &str) -> Vec<ContainerDevices> {
    let entry = |topology| ContainerDevices {
        resource_name: resource.to_owned(),
        device_ids: vec![id.to_owned()],
        topology,
    };
    let topology = devices
        .device(resource, id)
        .and_then(|device| device.topology.as_ref());
    let nodes = topology
        .map(|topology| topology.nodes.as_slice())
        .unwrap_or_default();
    if nodes.is_empty() {
        return vec![entry(None)];
    }
    nodes
        .iter()
        .map(|node| {
            entry(Some(TopologyInfo {
                nodes: vec![NumaNode { id: node.id }],
            }))
        })
        .collect()
}
