//! A device plugin that does as it is told, by either way of registration.

use std::collections::HashMap;
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use futures::{Stream, StreamExt};
use proto::deviceplugin::device_plugin_server::{DevicePlugin, DevicePluginServer};
use proto::deviceplugin::registration_client::RegistrationClient;
use proto::deviceplugin::{
    AllocateRequest, AllocateResponse, CdiDevice, ContainerAllocateResponse,
    ContainerPreferredAllocationResponse, Device, DevicePluginOptions, DeviceSpec, Empty,
    ListAndWatchResponse, Mount, NumaNode, PreStartContainerRequest, PreStartContainerResponse,
    PreferredAllocationRequest, PreferredAllocationResponse, RegisterRequest, TopologyInfo,
};
use proto::pluginregistration::registration_server::{Registration, RegistrationServer};
use proto::pluginregistration::{
    InfoRequest, PluginInfo, RegistrationStatus, RegistrationStatusResponse,
};
use proto::uds::{self, Pair, Socket};
use tokio::sync::watch;
use tokio_stream::wrappers::WatchStream;
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::{Request, Response, Status, async_trait};

use crate::bench::NET;

/// Handle on a served plugin; its socket goes with it.
pub(crate) struct FakePlugin {
    plugin: Plugin,
    _serving: DropGuard,
}

#[derive(Clone)]
struct Plugin {
    devices: watch::Sender<Vec<Device>>,
    asked: Arc<Mutex<Asked>>,
    stop: CancellationToken,
    version: &'static str,
    /// Prefers this device and wants to know of starts.
    prefers: Option<&'static str>,
}

/// What the kubelet asked and told.
#[derive(Debug, Clone, Default)]
pub(crate) struct Asked {
    pub(crate) allocated: Vec<Vec<String>>,
    pub(crate) started: Vec<Vec<String>>,
    pub(crate) told: Vec<RegistrationStatus>,
}

pub(crate) fn device(id: &str, health: &str) -> Device {
    let topology = Some(TopologyInfo {
        nodes: vec![NumaNode { id: 0 }],
    });
    Device {
        id: id.to_owned(),
        health: health.to_owned(),
        topology,
    }
}

impl FakePlugin {
    pub(crate) fn serve(socket: &Path, ids: &[&str]) -> FakePlugin {
        FakePlugin::serve_as(socket, ids, "v1beta1", None)
    }

    pub(crate) fn serve_as(
        socket: &Path,
        ids: &[&str],
        version: &'static str,
        prefers: Option<&'static str>,
    ) -> FakePlugin {
        let devices = watch::Sender::new(ids.iter().map(|id| device(id, "Healthy")).collect());
        let stop = CancellationToken::new();
        let plugin = Plugin {
            devices,
            asked: Arc::default(),
            stop: stop.clone(),
            version,
            prefers,
        };
        let services = Pair::new(
            DevicePluginServer::new(plugin.clone()),
            RegistrationServer::new(plugin.clone()),
        );
        let socket = Socket::bind(socket).unwrap();
        tokio::spawn(uds::serve(socket, services, stop.clone()));
        FakePlugin {
            plugin,
            _serving: stop.drop_guard(),
        }
    }

    /// Registers the legacy way.
    pub(crate) async fn register(root: &Path, endpoint: &str, version: &str) -> Result<(), Status> {
        let socket = root.join("device-plugins/kubelet.sock");
        let channel = uds::dial(&socket, std::time::Duration::from_secs(10))
            .await
            .unwrap();
        let request = RegisterRequest {
            version: version.to_owned(),
            endpoint: endpoint.to_owned(),
            resource_name: NET.to_owned(),
            options: None,
        };
        RegistrationClient::new(channel)
            .register(request)
            .await
            .map(|_| ())
    }

    pub(crate) fn set(&self, devices: Vec<Device>) {
        self.plugin.devices.send_replace(devices);
    }

    pub(crate) fn asked(&self) -> Asked {
        self.plugin.asked.lock().unwrap().clone()
    }
}

#[async_trait]
impl DevicePlugin for Plugin {
    async fn get_device_plugin_options(
        &self,
        _: Request<Empty>,
    ) -> Result<Response<DevicePluginOptions>, Status> {
        let wants = self.prefers.is_some();
        Ok(Response::new(DevicePluginOptions {
            pre_start_required: wants,
            get_preferred_allocation_available: wants,
        }))
    }

    type ListAndWatchStream =
        Pin<Box<dyn Stream<Item = Result<ListAndWatchResponse, Status>> + Send>>;

    async fn list_and_watch(
        &self,
        _: Request<Empty>,
    ) -> Result<Response<Self::ListAndWatchStream>, Status> {
        let lists = WatchStream::new(self.devices.subscribe())
            .map(|devices| Ok(ListAndWatchResponse { devices }));
        let lists = lists.take_until(self.stop.clone().cancelled_owned());
        Ok(Response::new(Box::pin(lists)))
    }

    async fn get_preferred_allocation(
        &self,
        _: Request<PreferredAllocationRequest>,
    ) -> Result<Response<PreferredAllocationResponse>, Status> {
        let ids = self.prefers.iter().map(|id| (*id).to_owned()).collect();
        let container_responses = vec![ContainerPreferredAllocationResponse { device_i_ds: ids }];
        Ok(Response::new(PreferredAllocationResponse {
            container_responses,
        }))
    }

    async fn allocate(
        &self,
        request: Request<AllocateRequest>,
    ) -> Result<Response<AllocateResponse>, Status> {
        let ids = request
            .into_inner()
            .container_requests
            .remove(0)
            .devices_ids;
        if ids.iter().any(|id| id == "refused") {
            return Err(Status::unknown("device is broken"));
        }
        self.asked.lock().unwrap().allocated.push(ids.clone());
        let path = |id: &String| format!("/dev/vfio/{id}");
        let devices = ids.iter().map(|id| DeviceSpec {
            container_path: path(id),
            host_path: path(id),
            permissions: "rw".into(),
        });
        let response = ContainerAllocateResponse {
            envs: HashMap::from([("PCIDEVICE_INTEL_COM_SRIOV_NET".to_owned(), ids.join(","))]),
            mounts: vec![Mount {
                container_path: "/in".into(),
                host_path: "/out".into(),
                read_only: true,
            }],
            devices: devices.collect(),
            annotations: HashMap::from([("cdi.k8s.io/test".to_owned(), "a/b=c".to_owned())]),
            cdi_devices: vec![CdiDevice {
                name: "a/b=c".into(),
            }],
        };
        Ok(Response::new(AllocateResponse {
            container_responses: vec![response],
        }))
    }

    async fn pre_start_container(
        &self,
        request: Request<PreStartContainerRequest>,
    ) -> Result<Response<PreStartContainerResponse>, Status> {
        self.asked
            .lock()
            .unwrap()
            .started
            .push(request.into_inner().devices_ids);
        Ok(Response::new(PreStartContainerResponse {}))
    }
}

#[async_trait]
impl Registration for Plugin {
    async fn get_info(&self, _: Request<InfoRequest>) -> Result<Response<PluginInfo>, Status> {
        Ok(Response::new(PluginInfo {
            r#type: "DevicePlugin".to_owned(),
            name: NET.to_owned(),
            endpoint: String::new(),
            supported_versions: vec![self.version.to_owned()],
        }))
    }

    async fn notify_registration_status(
        &self,
        status: Request<RegistrationStatus>,
    ) -> Result<Response<RegistrationStatusResponse>, Status> {
        self.asked.lock().unwrap().told.push(status.into_inner());
        Ok(Response::new(RegistrationStatusResponse {}))
    }
}
