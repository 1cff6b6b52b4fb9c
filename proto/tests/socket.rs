//! Sockets: binding, serving, dialling, and whose file is whose.

#![expect(clippy::disallowed_methods, reason = "tests lay out files")]

use std::{os::unix::fs::PermissionsExt, time::Duration};

use proto::{
    deviceplugin::{
        Empty, RegisterRequest,
        registration_client::RegistrationClient,
        registration_server::{Registration, RegistrationServer},
    },
    pluginregistration::{
        InfoRequest, PluginInfo, RegistrationStatus, RegistrationStatusResponse,
        registration_client::RegistrationClient as WatcherClient,
        registration_server::{Registration as Watched, RegistrationServer as WatchedServer},
    },
    podresources::{
        ListPodResourcesRequest, pod_resources_lister_client::PodResourcesListerClient,
    },
    uds::{Error, Pair, Socket, dial, serve},
};
use tokio_util::sync::CancellationToken;
use tonic::{Code, Request, Response, Status};

const LIMIT: Duration = Duration::from_secs(5);

struct Named(&'static str);

#[tonic::async_trait]
impl Registration for Named {
    async fn register(&self, request: Request<RegisterRequest>) -> Result<Response<Empty>, Status> {
        let resource = request.into_inner().resource_name;
        if resource == self.0 {
            Ok(Response::new(Empty {}))
        } else {
            Err(Status::invalid_argument(resource))
        }
    }
}

#[tonic::async_trait]
impl Watched for Named {
    async fn get_info(&self, _: Request<InfoRequest>) -> Result<Response<PluginInfo>, Status> {
        let name = self.0.to_owned();
        Ok(Response::new(PluginInfo {
            name,
            ..PluginInfo::default()
        }))
    }

    async fn notify_registration_status(
        &self,
        _: Request<RegistrationStatus>,
    ) -> Result<Response<RegistrationStatusResponse>, Status> {
        Ok(Response::new(RegistrationStatusResponse {}))
    }
}

fn request(resource: &str) -> RegisterRequest {
    let resource_name = resource.to_owned();
    RegisterRequest {
        resource_name,
        ..RegisterRequest::default()
    }
}

#[tokio::test]
async fn one_service_is_served_and_its_socket_removed_at_stop() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.sock");
    let socket = Socket::bind(&path).unwrap();
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let stop = CancellationToken::new();
    let server = tokio::spawn(serve(
        socket,
        RegistrationServer::new(Named("a")),
        stop.clone(),
    ));
    let mut client = RegistrationClient::new(dial(&path, LIMIT).await.unwrap());
    client.register(request("a")).await.unwrap();
    let refused = client.register(request("b")).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    stop.cancel();
    server.await.unwrap().unwrap();
    assert!(!path.exists());
}

#[tokio::test]
async fn two_services_share_a_socket_and_a_third_is_unimplemented() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.sock");
    let stop = CancellationToken::new();
    let both = Pair::new(
        RegistrationServer::new(Named("a")),
        WatchedServer::new(Named("w")),
    );
    let server = tokio::spawn(serve(Socket::bind(&path).unwrap(), both, stop.clone()));
    let channel = dial(&path, LIMIT).await.unwrap();
    RegistrationClient::new(channel.clone())
        .register(request("a"))
        .await
        .unwrap();
    let info = WatcherClient::new(channel.clone())
        .get_info(InfoRequest {})
        .await
        .unwrap();
    assert_eq!(info.into_inner().name, "w");
    let unknown = PodResourcesListerClient::new(channel)
        .list(ListPodResourcesRequest {})
        .await;
    assert_eq!(unknown.unwrap_err().code(), Code::Unimplemented);
    stop.cancel();
    server.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_stale_regular_file_is_replaced() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.sock");
    std::fs::write(&path, "left behind").unwrap();
    let socket = Socket::bind(&path).unwrap();
    assert!(socket.file().is_present());
}

#[tokio::test]
async fn a_socket_that_was_replaced_is_not_removed_by_its_first_owner() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.sock");
    let first = Socket::bind(&path).unwrap();
    let second = Socket::bind(&path).unwrap();
    assert!(!first.file().is_present());
    drop(first);
    assert!(second.file().is_present());
    drop(second);
    assert!(!path.exists());
}

#[tokio::test]
async fn dialling_where_nobody_listens_names_the_path() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("none.sock");
    let error = dial(&path, LIMIT).await.unwrap_err();
    assert!(matches!(error, Error::Dial { .. }));
    assert!(error.to_string().ends_with("none.sock"), "{error}");
}

#[tokio::test]
async fn a_path_longer_than_linux_allows_is_an_error_that_names_it() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("x".repeat(120));
    let error = Socket::bind(&path).unwrap_err();
    assert!(error.to_string().starts_with("listen on /"), "{error}");
}
