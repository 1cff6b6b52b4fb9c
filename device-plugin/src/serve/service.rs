//! What the kubelet calls on a pool's socket.

use std::{pin::Pin, sync::Arc, time::Instant};

use futures::{Stream, StreamExt};
use proto::{
    deviceplugin::{
        AllocateRequest, AllocateResponse, ContainerPreferredAllocationRequest,
        ContainerPreferredAllocationResponse, Device as Offered, DevicePluginOptions, Empty,
        HEALTHY, ListAndWatchResponse, NumaNode, PreStartContainerRequest,
        PreStartContainerResponse, PreferredAllocationRequest, PreferredAllocationResponse,
        TopologyInfo, UNHEALTHY, VERSION, device_plugin_server::DevicePlugin,
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
use tracing::{debug, warn};

use super::{grant, pool::Context};
use crate::{
    inventory::{Listed, Listing},
    node::DeviceId,
    preferred,
};

/// What the kubelet may ask of a pool. A pool without a preference answers with none.
pub(super) const OPTIONS: DevicePluginOptions = DevicePluginOptions {
    pre_start_required: false,
    get_preferred_allocation_available: true,
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
        Ok(Response::new(OPTIONS))
    }

    async fn list_and_watch(
        &self,
        _: Request<Empty>,
    ) -> Result<Response<Self::ListAndWatchStream>, Status> {
        let _told = self.events.send(Event::StreamOpened);
        let opened = Opened(self.events.clone());
        let name = self.context.name.clone();
        let lists = WatchStream::new(self.context.offer.clone()).map(move |offer| {
            let _alive = &opened;
            debug!(resource = %name, devices = offer.listing.len(), "list sent to the kubelet");
            Ok(list(&offer.listing))
        });
        Ok(Response::new(Box::pin(
            lists.take_until(self.stop.clone().cancelled_owned()),
        )))
    }

    async fn get_preferred_allocation(
        &self,
        request: Request<PreferredAllocationRequest>,
    ) -> Result<Response<PreferredAllocationResponse>, Status> {
        let offer = Arc::clone(&self.context.offer.borrow());
        let prefer = |wanted: ContainerPreferredAllocationRequest| {
            let request = preferred::Request {
                available: wanted.available_device_i_ds,
                must_include: wanted.must_include_device_i_ds,
                size: usize::try_from(wanted.allocation_size).unwrap_or(0),
            };
            ContainerPreferredAllocationResponse {
                device_i_ds: preferred::prefer(offer.preference, &offer.listing, &request),
            }
        };
        let requests = request.into_inner().container_requests;
        Ok(Response::new(PreferredAllocationResponse {
            container_responses: requests.into_iter().map(prefer).collect(),
        }))
    }

    async fn allocate(
        &self,
        request: Request<AllocateRequest>,
    ) -> Result<Response<AllocateResponse>, Status> {
        let context = Arc::clone(&self.context);
        let begun = Instant::now();
        // Reads sysfs and writes files.
        let work = move || grant::grant(&context, &request.into_inner());
        let done = tokio::task::spawn_blocking(work).await;
        let answer = done.map_err(|_| Status::internal("allocation ended by a defect"))?;
        if let Some(pool) = self
            .context
            .shared
            .status
            .lock()
            .pools
            .get_mut(&self.context.name)
        {
            match &answer {
                Ok(_) => pool.allocations.observe(begun.elapsed()),
                Err(_) => pool.refused += 1,
            }
        }
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
