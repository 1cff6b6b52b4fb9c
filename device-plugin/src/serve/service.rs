//! What the kubelet calls on a pool's socket.

use std::{pin::Pin, sync::Arc};

use futures::{Stream, StreamExt};
use proto::{
    deviceplugin::{
        AllocateRequest, AllocateResponse, Device as Offered, DevicePluginOptions, Empty, HEALTHY,
        ListAndWatchResponse, NumaNode, PreStartContainerRequest, PreStartContainerResponse,
        PreferredAllocationRequest, PreferredAllocationResponse, TopologyInfo, UNHEALTHY, VERSION,
        device_plugin_server::DevicePlugin,
    },
    pluginregistration::{
        DEVICE_PLUGIN, InfoRequest, PluginInfo, RegistrationStatus, RegistrationStatusResponse,
        registration_server::Registration,
    },
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::WatchStream;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};
use tracing::{debug, info, warn};

use super::pool::Context;
use crate::{
    access::{self, Access},
    allocate, failure,
    inventory::{Listed, Listing},
    node::DeviceId,
    plan::Device,
};

/// What happens on a socket, for the pool's task.
#[derive(Debug)]
pub(super) enum Event {
    /// The kubelet follows the list.
    StreamOpened,
    /// It does not any more.
    StreamEnded,
    /// It took the pool.
    Registered,
    /// It did not.
    Refused(String),
}

/// One socket's service.
#[derive(Debug, Clone)]
pub(super) struct Service {
    pub(super) context: Arc<Context>,
    /// Full path of the socket.
    pub(super) endpoint: String,
    /// Ends with the socket.
    pub(super) stop: CancellationToken,
    pub(super) events: mpsc::UnboundedSender<Event>,
}

/// Tells of the end of a stream when it is dropped, however that comes about.
struct Opened(mpsc::UnboundedSender<Event>);

impl Drop for Opened {
    fn drop(&mut self) {
        // Nobody listens once the socket is closed.
        let _late = self.0.send(Event::StreamEnded);
    }
}

#[tonic::async_trait]
impl DevicePlugin for Service {
    type ListAndWatchStream =
        Pin<Box<dyn Stream<Item = Result<ListAndWatchResponse, Status>> + Send>>;

    async fn get_device_plugin_options(
        &self,
        _: Request<Empty>,
    ) -> Result<Response<DevicePluginOptions>, Status> {
        Ok(Response::new(DevicePluginOptions::default()))
    }

    async fn list_and_watch(
        &self,
        _: Request<Empty>,
    ) -> Result<Response<Self::ListAndWatchStream>, Status> {
        let _told = self.events.send(Event::StreamOpened);
        let opened = Opened(self.events.clone());
        let name = self.context.name.clone();
        let lists = WatchStream::new(self.context.listing.clone()).map(move |listing| {
            let _alive = &opened;
            debug!(resource = %name, devices = listing.len(), "list sent to the kubelet");
            Ok(list(&listing))
        });
        Ok(Response::new(Box::pin(
            lists.take_until(self.stop.clone().cancelled_owned()),
        )))
    }

    async fn get_preferred_allocation(
        &self,
        _: Request<PreferredAllocationRequest>,
    ) -> Result<Response<PreferredAllocationResponse>, Status> {
        Ok(Response::new(PreferredAllocationResponse::default()))
    }

    async fn allocate(
        &self,
        request: Request<AllocateRequest>,
    ) -> Result<Response<AllocateResponse>, Status> {
        let context = Arc::clone(&self.context);
        // Reads sysfs and writes files.
        let work = move || allocate_all(&context, &request.into_inner());
        let done = tokio::task::spawn_blocking(work).await;
        let answer = done.map_err(|_| Status::internal("allocation ended by a defect"))?;
        answer.map(Response::new).inspect_err(|status| {
            warn!(resource = %self.context.name, error = status.message(), "allocation refused");
        })
    }

    async fn pre_start_container(
        &self,
        _: Request<PreStartContainerRequest>,
    ) -> Result<Response<PreStartContainerResponse>, Status> {
        Ok(Response::new(PreStartContainerResponse::default()))
    }
}

#[tonic::async_trait]
impl Registration for Service {
    async fn get_info(&self, _: Request<InfoRequest>) -> Result<Response<PluginInfo>, Status> {
        Ok(Response::new(PluginInfo {
            r#type: DEVICE_PLUGIN.to_owned(),
            name: self.context.name.to_string(),
            endpoint: self.endpoint.clone(),
            supported_versions: vec!["v1alpha1".to_owned(), VERSION.to_owned()],
        }))
    }

    async fn notify_registration_status(
        &self,
        request: Request<RegistrationStatus>,
    ) -> Result<Response<RegistrationStatusResponse>, Status> {
        let status = request.into_inner();
        let event = if status.plugin_registered {
            Event::Registered
        } else {
            Event::Refused(status.error)
        };
        let _told = self.events.send(event);
        Ok(Response::new(RegistrationStatusResponse {}))
    }
}

fn list(listing: &Listing) -> ListAndWatchResponse {
    let offered = |(id, listed): (&DeviceId, &Listed)| Offered {
        id: id.to_string(),
        health: if listed.unwell.is_none() {
            HEALTHY
        } else {
            UNHEALTHY
        }
        .to_owned(),
        topology: listed
            .device
            .as_ref()
            .and_then(|device| device.numa)
            .map(|node| TopologyInfo {
                nodes: vec![NumaNode {
                    id: i64::from(node),
                }],
            }),
    };
    ListAndWatchResponse {
        devices: listing.iter().map(offered).collect(),
    }
}

/// All or nothing: an error refuses the whole request.
fn allocate_all(context: &Context, request: &AllocateRequest) -> Result<AllocateResponse, Status> {
    let listing = Arc::clone(&context.listing.borrow());
    let mut answer = AllocateResponse::default();
    for container in &request.container_requests {
        let devices = allocate::devices(&context.name, &listing, &container.devices_ids)
            .map_err(|refused| Status::not_found(refused.to_string()))?;
        let mut granted: Vec<(&Device, Access)> = Vec::new();
        for device in devices {
            let access = access::access(&context.shared.roots, device).map_err(|error| {
                // The node is not what the last scan saw.
                context.shared.device_changes.announce();
                Status::failed_precondition(failure::chain(&error))
            })?;
            granted.push((device, access));
        }
        let handover = &context.shared.handover;
        for (device, access) in &granted {
            let given = handover.give(&context.name, device, access);
            given.map_err(|error| Status::internal(failure::chain(&*error)))?;
        }
        let ids: Vec<String> = granted
            .iter()
            .map(|(device, _)| device.function.id.to_string())
            .collect();
        info!(resource = %context.name, devices = ids.join(","), "allocated");
        answer
            .container_responses
            .push(allocate::response(&context.name, &granted, &handover.cdi));
    }
    Ok(answer)
}
