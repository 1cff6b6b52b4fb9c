//! A kubelet that has given devices to pods.

use std::path::Path;
use std::pin::Pin;

use proto::podresources::pod_resources_lister_server::{
    PodResourcesLister, PodResourcesListerServer,
};
use proto::podresources::{
    AllocatableResourcesRequest, AllocatableResourcesResponse, ContainerDevices,
    ContainerResources, GetPodResourcesRequest, GetPodResourcesResponse, ListPodResourcesRequest,
    ListPodResourcesResponse, PodResources,
};
use tokio_stream::wrappers::UnixListenerStream;
use tonic::{Request, Response, Status};

#[derive(Debug, Clone)]
struct Kubelet(Vec<PodResources>);

type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<Response<T>, Status>> + Send + 'a>>;

impl PodResourcesLister for Kubelet {
    fn list<'a, 'b>(
        &'a self,
        _: Request<ListPodResourcesRequest>,
    ) -> Answer<'b, ListPodResourcesResponse>
    where
        'a: 'b,
        Self: 'b,
    {
        let pod_resources = self.0.clone();
        Box::pin(async { Ok(Response::new(ListPodResourcesResponse { pod_resources })) })
    }

    fn get_allocatable_resources<'a, 'b>(
        &'a self,
        _: Request<AllocatableResourcesRequest>,
    ) -> Answer<'b, AllocatableResourcesResponse>
    where
        'a: 'b,
        Self: 'b,
    {
        Box::pin(async { Ok(Response::new(AllocatableResourcesResponse::default())) })
    }

    fn get<'a, 'b>(
        &'a self,
        _: Request<GetPodResourcesRequest>,
    ) -> Answer<'b, GetPodResourcesResponse>
    where
        'a: 'b,
        Self: 'b,
    {
        Box::pin(async { Err(Status::unimplemented("no Get")) })
    }
}

/// Serves devices of `intel.com/r`, one container per pod.
pub(crate) fn start(socket: &Path, pods: &[(&str, &[&str])]) {
    let pods = pods.iter().map(|(name, ids)| PodResources {
        name: (*name).into(),
        namespace: "d".into(),
        containers: vec![ContainerResources {
            name: "c".into(),
            devices: vec![ContainerDevices {
                resource_name: "intel.com/r".into(),
                device_ids: ids.iter().map(|id| (*id).to_owned()).collect(),
                ..ContainerDevices::default()
            }],
            ..ContainerResources::default()
        }],
        ..PodResources::default()
    });
    let service = PodResourcesListerServer::new(Kubelet(pods.collect()));
    let listener = tokio::net::UnixListener::bind(socket).unwrap();
    tokio::spawn(async move {
        let incoming = UnixListenerStream::new(listener);
        tonic::transport::Server::builder()
            .serve_with_incoming_shutdown(service, incoming, std::future::pending())
            .await
            .unwrap();
    });
}
