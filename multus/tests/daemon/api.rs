//! An API server over plain HTTP: lists, watches, the status patch and events, with faults on demand.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use futures::stream::{self, StreamExt};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::watch;

// The state table has this file in another folder.
#[path = "api/body.rs"]
mod body;

use body::{json_response, selected, status};

const NADS: &str = "network-attachment-definitions";
pub(crate) const STATUS: &str = "k8s.v1.cni.cncf.io/network-status";

type Body = BoxBody<Bytes, Infallible>;

#[derive(Debug, Default)]
pub(crate) struct State {
    objects: BTreeMap<(String, String, String), Value>,
    /// Kind, type of change, object.
    log: Vec<(String, &'static str, Value)>,
    pub(crate) events: Vec<Value>,
    pub(crate) calls: Vec<String>,
    /// Every request fails, and watches end.
    pub(crate) down: bool,
    /// The token has expired: every new request is answered with 401, watches go on.
    pub(crate) expired: bool,
    /// The only token that is taken; `None`: any.
    pub(crate) token: Option<String>,
    /// Requests with another one.
    pub(crate) unauthorized: usize,
    /// Who called with a certificate (common name and serial number), and what.
    pub(crate) certified: Vec<(String, String)>,
    /// Whoever has no certificate is unauthorized.
    pub(crate) only_certified: bool,
    /// Each answer takes so long.
    pub(crate) latency: Duration,
    /// The next so many patches are answered with a conflict.
    pub(crate) conflicts: usize,
}

impl State {
    /// An object; null if there is none.
    pub(crate) fn object(&self, kind: &str, namespace: &str, name: &str) -> Value {
        let key = (kind.to_owned(), namespace.to_owned(), name.to_owned());
        self.objects.get(&key).cloned().unwrap_or_default()
    }

    /// All objects of a kind.
    pub(crate) fn all(&self, kind: &str) -> Vec<Value> {
        let found = self.objects.iter().filter(|((of, _, _), _)| of == kind);
        found.map(|(_, object)| object.clone()).collect()
    }
}

/// The server. It ends with the test's runtime.
#[derive(Debug, Clone)]
pub(crate) struct Api {
    state: Arc<Mutex<State>>,
    changed: watch::Sender<usize>,
    pub(crate) url: String,
}

impl Api {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let api = Self {
            state: Arc::default(),
            changed: watch::Sender::new(0),
            url: format!("http://{}", listener.local_addr().unwrap()),
        };
        let serving = api.clone();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(serving.clone().serve(stream, None));
            }
        });
        api
    }

    /// Serves a connection of `caller`, if a certificate says who that is.
    pub(crate) async fn serve(
        self,
        stream: impl AsyncRead + AsyncWrite + Unpin,
        caller: Option<String>,
    ) {
        let service = service_fn(move |request| {
            let (api, caller) = (self.clone(), caller.clone());
            async move { Ok::<_, Infallible>(api.answer(request, caller).await) }
        });
        let io = TokioIo::new(stream);
        let _closed = http1::Builder::new().serve_connection(io, service).await;
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn touch(&self) {
        self.changed.send_modify(|n| *n += 1);
    }

    /// Waits until `done`, which is asked again after every change.
    pub(crate) async fn until(&self, what: &str, mut done: impl FnMut(&State) -> bool) {
        let mut changes = self.changed.subscribe();
        let waiting = async {
            while !done(&self.state()) {
                changes.changed().await.unwrap();
            }
        };
        let result = tokio::time::timeout(Duration::from_secs(20), waiting).await;
        assert!(result.is_ok(), "waited for: {what}\n{:#?}", self.state());
    }

    pub(crate) fn set_down(&self, down: bool) {
        self.state().down = down;
        self.touch();
    }

    pub(crate) fn put(&self, kind: &str, object: Value) {
        let text = |key: &str| {
            object["metadata"][key]
                .as_str()
                .unwrap_or_default()
                .to_owned()
        };
        let key = (kind.to_owned(), text("namespace"), text("name"));
        let mut state = self.state();
        let mut object = object;
        object["metadata"]["resourceVersion"] = json!((state.log.len() + 1).to_string());
        let before = state.objects.insert(key, object.clone());
        let change = if before.is_some() {
            "MODIFIED"
        } else {
            "ADDED"
        };
        state.log.push((kind.to_owned(), change, object));
        drop(state);
        self.touch();
    }

    pub(crate) fn delete(&self, kind: &str, namespace: &str, name: &str) {
        let key = (kind.to_owned(), namespace.to_owned(), name.to_owned());
        let mut state = self.state();
        let object = state.objects.remove(&key).unwrap();
        state.log.push((kind.to_owned(), "DELETED", object));
        drop(state);
        self.touch();
    }

    pub(crate) fn nad(&self, name: &str, config: &str, resource: Option<&str>) {
        let (namespace, name) = name.split_once('/').unwrap();
        let mut annotations = json!({"unread": "x"});
        if let Some(resource) = resource {
            annotations["k8s.v1.cni.cncf.io/resourceName"] = json!(resource);
        }
        self.put(
            NADS,
            json!({
                "apiVersion": "k8s.cni.cncf.io/v1", "kind": "NetworkAttachmentDefinition",
                "metadata": {"namespace": namespace, "name": name, "annotations": annotations},
                "spec": {"config": config}
            }),
        );
    }

    /// A namespace that the daemon may get; it may get no other.
    pub(crate) fn namespace(&self, name: &str, annotations: &Value) {
        self.put(
            "namespaces",
            json!({
                "apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata",
                "metadata": {"name": name, "annotations": annotations}
            }),
        );
    }

    /// A pod on node `n1`, its UID made of its name.
    pub(crate) fn pod(&self, name: &str, annotations: &Value) {
        self.put("pods", pod(name, "n1", annotations));
    }

    pub(crate) fn pod_value(&self, name: &str) -> Value {
        let key = ("pods".to_owned(), "d".to_owned(), name.to_owned());
        self.state().objects[&key].clone()
    }

    /// Value of network-status.
    pub(crate) fn status(&self, name: &str) -> Option<String> {
        let pod = self.pod_value(name);
        pod["metadata"]["annotations"][STATUS]
            .as_str()
            .map(str::to_owned)
    }

    /// The only object of its kind.
    pub(crate) fn only(&self, kind: &str) -> Value {
        let state = self.state();
        let mut found = state.objects.iter().filter(|((of, _, _), _)| of == kind);
        let (_, object) = found.next().unwrap();
        assert_eq!(found.count(), 0, "{state:#?}");
        object.clone()
    }

    pub(crate) async fn until_status(&self, name: &str) -> Value {
        let key = ("pods".to_owned(), "d".to_owned(), name.to_owned());
        self.until(&format!("network-status of {name}"), |state| {
            state.objects[&key]["metadata"]["annotations"][STATUS].is_string()
        })
        .await;
        serde_json::from_str(&self.status(name).unwrap()).unwrap()
    }

    /// Waits for an event of that reason; its message.
    pub(crate) async fn until_event(&self, reason: &str) -> String {
        self.until(&format!("event {reason}"), |state| {
            state.events.iter().any(|e| e["reason"] == reason)
        })
        .await;
        let state = self.state();
        let event = state.events.iter().find(|e| e["reason"] == reason).unwrap();
        event["message"].as_str().unwrap().to_owned()
    }

    async fn answer(&self, request: Request<Incoming>, caller: Option<String>) -> Response<Body> {
        let (parts, body) = request.into_parts();
        let path = parts.uri.path().to_owned();
        let query = parts
            .uri
            .query()
            .unwrap_or_default()
            .replace("%3D", "=")
            .replace("%2C", ",")
            .replace("%2F", "/");
        let bytes = body
            .collect()
            .await
            .map(http_body_util::Collected::to_bytes)
            .unwrap_or_default();
        let accept = parts.headers.get("accept");
        let metadata = accept
            .and_then(|value| value.to_str().ok())
            .is_some_and(|value| value.contains("as=PartialObjectMetadata;"));
        let form = if metadata { " (metadata only)" } else { "" };
        self.state()
            .calls
            .push(format!("{} {path}?{query}{form}", parts.method));
        self.touch();
        let latency = self.state().latency;
        tokio::time::sleep(latency).await;
        if self.state().down {
            return status(503, "ServiceUnavailable");
        }
        let bearer = parts.headers.get("authorization");
        let bearer = bearer.and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
        let wrong = |token: &String| bearer != Some(token.as_str());
        let refused = self.state().token.as_ref().is_some_and(wrong)
            || (self.state().only_certified && caller.is_none());
        if let Some(caller) = caller {
            let call = format!("{} {path}", parts.method);
            self.state().certified.push((caller, call));
            self.touch();
        }
        if refused || self.state().expired {
            self.state().unauthorized += 1;
            self.touch();
            return status(401, "Unauthorized");
        }
        let segments: Vec<&str> = path.split('/').filter(|s| !s.is_empty()).collect();
        // /api/v1/... or /apis/<group>/v1/...
        let rest = &segments[if segments[0] == "api" { 2 } else { 3 }..];
        match (&parts.method, rest) {
            (&Method::GET, [kind]) if query.contains("watch=") => self.watch(kind, &query),
            (&Method::GET, ["namespaces", _, kind]) if query.contains("watch=") => {
                self.watch(kind, &query)
            }
            (&Method::GET, [kind]) => self.list(kind, "", &query),
            (&Method::GET, ["namespaces", name]) => {
                let key = ("namespaces".to_owned(), String::new(), (*name).to_owned());
                match self.state().objects.get(&key) {
                    Some(object) => json_response(200, object),
                    None => status(403, "Forbidden"),
                }
            }
            (&Method::GET, ["namespaces", ns, kind]) => self.list(kind, ns, &query),
            (&Method::GET, ["namespaces", ns, kind, name]) => {
                let key = ((*kind).to_owned(), (*ns).to_owned(), (*name).to_owned());
                match self.state().objects.get(&key) {
                    Some(object) => json_response(200, object),
                    None => status(404, "NotFound"),
                }
            }
            (&Method::POST, [kind @ "certificatesigningrequests"])
            | (&Method::PUT, [kind @ "certificatesigningrequests", _, "approval"]) => {
                let object: Value = serde_json::from_slice(&bytes).unwrap();
                self.put(kind, object.clone());
                json_response(201, &object)
            }
            (&Method::GET, [kind @ "certificatesigningrequests", name]) => {
                match self.state().object(kind, "", name) {
                    Value::Null => status(404, "NotFound"),
                    object => json_response(200, &object),
                }
            }
            (&Method::PATCH, ["namespaces", ns, "pods", name, "status"]) => {
                self.patch(ns, name, &serde_json::from_slice(&bytes).unwrap())
            }
            (&Method::POST, ["namespaces", _, "events"]) => {
                let event: Value = serde_json::from_slice(&bytes).unwrap();
                self.state().events.push(event.clone());
                self.touch();
                json_response(201, &event)
            }
            _ => status(403, "Forbidden"),
        }
    }

    fn list(&self, kind: &str, namespace: &str, query: &str) -> Response<Body> {
        let state = self.state();
        let of = |(k, ns, _): &(String, String, String)| {
            k == kind && (namespace.is_empty() || ns == namespace)
        };
        let items: Vec<&Value> = state
            .objects
            .iter()
            .filter(|(key, object)| of(key) && selected(object, query))
            .map(|(_, object)| object)
            .collect();
        let version = state.log.len().to_string();
        json_response(
            200,
            &json!({"kind": "List", "apiVersion": "v1", "metadata": {"resourceVersion": version}, "items": items}),
        )
    }

    fn watch(&self, kind: &str, query: &str) -> Response<Body> {
        let from = query
            .split('&')
            .find_map(|pair| pair.strip_prefix("resourceVersion="))
            .and_then(|version| version.parse::<usize>().ok())
            .unwrap_or(0);
        let api = self.clone();
        let changes = self.changed.subscribe();
        let (kind, query) = (kind.to_owned(), query.to_owned());
        let lines = stream::unfold((from, changes), move |(mut at, mut changes)| {
            let (api, kind, query) = (api.clone(), kind.clone(), query.clone());
            async move {
                loop {
                    {
                        let state = api.state();
                        if state.down {
                            return None;
                        }
                        while let Some((of, change, object)) = state.log.get(at) {
                            at += 1;
                            if *of == kind && selected(object, &query) {
                                let line = json!({"type": change, "object": object});
                                return Some((format!("{line}\n"), (at, changes)));
                            }
                        }
                    }
                    changes.changed().await.ok()?;
                }
            }
        });
        let frames = lines.map(|line| Ok::<_, Infallible>(Frame::data(Bytes::from(line))));
        Response::new(BodyExt::boxed(StreamBody::new(frames)))
    }

    fn patch(&self, namespace: &str, name: &str, patch: &Value) -> Response<Body> {
        let key = ("pods".to_owned(), namespace.to_owned(), name.to_owned());
        let mut pod = {
            let mut state = self.state();
            if state.conflicts > 0 {
                state.conflicts -= 1;
                return status(409, "Conflict");
            }
            match state.objects.get(&key) {
                Some(pod) => pod.clone(),
                None => return status(404, "NotFound"),
            }
        };
        let uid = &patch["metadata"]["uid"];
        if !uid.is_null() && *uid != pod["metadata"]["uid"] {
            return status(422, "Invalid");
        }
        for (annotation, value) in patch["metadata"]["annotations"].as_object().unwrap() {
            pod["metadata"]["annotations"][annotation] = value.clone();
        }
        self.put("pods", pod.clone());
        json_response(200, &pod)
    }
}

pub(crate) fn pod(name: &str, node: &str, annotations: &Value) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "namespace": "d", "name": name, "uid": format!("uid-of-{name}"), "annotations": annotations,
            "managedFields": [{"manager": "x"}]
        },
        "spec": {"nodeName": node, "containers": [{"name": "c", "image": "i"}]}
    })
}
