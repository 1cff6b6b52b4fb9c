//! One connected device plugin: its options, its list as it changes, and the calls for allocations.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use proto::deviceplugin::device_plugin_client::DevicePluginClient;
use proto::deviceplugin::{
    AllocateRequest, ContainerAllocateRequest, ContainerAllocateResponse,
    ContainerPreferredAllocationRequest, DevicePluginOptions, Empty, PreStartContainerRequest,
    PreferredAllocationRequest,
};
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::transport::Channel;
use tonic::{Code, Request, Status};

use super::table::Table;

/// Time for connecting and for each short call.
const CALL: Duration = Duration::from_secs(10);

/// A connection to a plugin; the last clone that goes ends it.
#[derive(Debug, Clone)]
pub(crate) struct Endpoint {
    client: DevicePluginClient<Channel>,
    options: DevicePluginOptions,
    _listening: Arc<DropGuard>,
}

impl Endpoint {
    /// Connects to the plugin behind a socket and follows its list.
    pub(crate) async fn connect(
        resource: &str,
        socket: &Path,
        table: &Table,
    ) -> Result<Endpoint, Status> {
        let channel = proto::uds::dial(socket, CALL)
            .await
            .map_err(|error| Status::unavailable(chain(&error)))?;
        let mut client = DevicePluginClient::new(channel);
        let options = within(CALL, client.get_device_plugin_options(Empty {})).await?;
        let stop = CancellationToken::new();
        let listening = Arc::new(stop.clone().drop_guard());
        let connection = table.edit(|devices| devices.connect(resource));
        let (resource, table, listener) = (resource.to_owned(), table.clone(), client.clone());
        tokio::spawn(async move {
            let ended = tokio::select! {
                ended = follow(listener, &resource, connection, &table) => ended,
                () = stop.cancelled() => Ok(()),
            };
            tracing::info!(resource, ?ended, "device plugin stopped reporting");
            table.edit(|devices| devices.disconnect(&resource, connection));
        });
        Ok(Endpoint {
            client,
            options,
            _listening: listening,
        })
    }

    /// Which of the available devices the plugin would take; all of them when it has no opinion.
    pub(crate) async fn prefer(
        &self,
        available: Vec<String>,
        wanted: usize,
    ) -> Result<Vec<String>, Status> {
        if !self.options.get_preferred_allocation_available {
            return Ok(available);
        }
        let request = ContainerPreferredAllocationRequest {
            available_device_i_ds: available.clone(),
            must_include_device_i_ds: Vec::new(),
            allocation_size: i32::try_from(wanted).unwrap_or(i32::MAX),
        };
        let request = PreferredAllocationRequest {
            container_requests: vec![request],
        };
        let answer = within(CALL, self.client.clone().get_preferred_allocation(request)).await?;
        let preferred = answer
            .container_responses
            .into_iter()
            .next()
            .map(|one| one.device_i_ds)
            .unwrap_or_default();
        let (mut first, rest): (Vec<_>, Vec<_>) =
            available.into_iter().partition(|id| preferred.contains(id));
        first.extend(rest);
        Ok(first)
    }

    /// Tells the plugin which devices a container gets.
    pub(crate) async fn allocate(
        &self,
        ids: Vec<String>,
    ) -> Result<ContainerAllocateResponse, Status> {
        let request = AllocateRequest {
            container_requests: vec![ContainerAllocateRequest { devices_ids: ids }],
        };
        let answer = self.client.clone().allocate(request).await?.into_inner();
        let response = answer.container_responses.into_iter().next();
        response.ok_or_else(|| Status::internal("the plugin answered for no container"))
    }

    /// Announces the start of a container, if the plugin wants to know.
    pub(crate) async fn before_start(&self, ids: Vec<String>) -> Result<(), Status> {
        if self.options.pre_start_required {
            let request = PreStartContainerRequest { devices_ids: ids };
            // Longer than the others: resetting devices takes time (the kubelet allows 30 s).
            within(3 * CALL, self.client.clone().pre_start_container(request)).await?;
        }
        Ok(())
    }
}

async fn follow(
    mut client: DevicePluginClient<Channel>,
    resource: &str,
    connection: u64,
    table: &Table,
) -> Result<(), Status> {
    let mut lists = client
        .list_and_watch(Request::new(Empty {}))
        .await?
        .into_inner();
    while let Some(list) = lists.message().await? {
        tracing::debug!(resource, devices = list.devices.len(), "device list");
        table.edit(|devices| devices.report(resource, connection, list.devices));
    }
    Ok(())
}

pub(crate) async fn within<T>(
    limit: Duration,
    call: impl Future<Output = Result<tonic::Response<T>, Status>>,
) -> Result<T, Status> {
    match timeout(limit, call).await {
        Ok(answer) => answer.map(tonic::Response::into_inner),
        Err(_) => Err(Status::new(
            Code::DeadlineExceeded,
            "context deadline exceeded",
        )),
    }
}

pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}
