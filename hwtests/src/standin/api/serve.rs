//! One HTTP request: from path, query and body to an answer.

use std::convert::Infallible;

use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited, StreamBody};
use hyper::body::{Bytes, Incoming};
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName};
use hyper::{Method, Request, Response, StatusCode};
use serde_json::{Value, json};

use super::access;
use super::accounts::Accounts;
use super::admit::Part;
use super::error::ApiError;
use super::fault::Fault;
use super::object::{self, text};
use super::patch::Patch;
use super::resource::Resource;
use super::route::{Query, Route, Sub};
use super::selector::Selection;
use super::store::{DeleteOptions, Store};
use super::view::View;
use super::{discovery, watch};

pub(crate) type Body = UnsyncBoxBody<Bytes, Infallible>;

/// The largest request a server reads (etcd's limit with room for the patch formats).
const LIMIT: usize = 3 << 20;

/// The object or collection a request is about.
struct Target {
    view: View,
    namespace: Option<String>,
    name: String,
    part: Sub,
}

/// Answers a request; never fails, refusals are answers. With accounts, only their tokens let in.
pub(crate) async fn answer(
    store: Store,
    fault: Fault,
    accounts: Option<Accounts>,
    request: Request<Incoming>,
) -> Response<Body> {
    let path = request.uri().path().to_owned();
    let token = header(request.headers(), &AUTHORIZATION).strip_prefix("Bearer ");
    let caller = match accounts.map(|accounts| accounts.holder(&store, token)) {
        None => access::Caller::Administrator,
        Some(Some(account)) => access::Caller::Account(account),
        Some(None) => return refuse(&ApiError::unauthorized()),
    };
    tracing::debug!(method = %request.method(), uri = %request.uri(), "api request");
    let target = match Route::of(&path) {
        Route::Unknown => return plain(StatusCode::NOT_FOUND, "404 page not found\n"),
        Route::Document(path) if path.ends_with('z') => return plain(StatusCode::OK, "ok"),
        Route::Document(path) => {
            return discovery::document(&path).map_or_else(
                || plain(StatusCode::NOT_FOUND, "404 page not found\n"),
                |found| reply(StatusCode::OK, &found),
            );
        }
        Route::Collection {
            resource,
            events_group,
            namespace,
        } => {
            let view = View::of(resource, events_group, header(request.headers(), &ACCEPT));
            Target {
                view,
                namespace,
                name: String::new(),
                part: Sub::None,
            }
        }
        Route::Object {
            resource,
            events_group,
            namespace,
            name,
            part,
        } => {
            let view = View::of(resource, events_group, header(request.headers(), &ACCEPT));
            Target {
                view,
                namespace: Some(namespace),
                name,
                part,
            }
        }
    };
    if let Err(refusal) = target.check(&store, &caller, &request) {
        return refuse(&refusal);
    }
    match target.answer(&store, &fault, request).await {
        Ok(response) => response,
        Err(refusal) => refuse(&refusal),
    }
}

fn refuse(refusal: &ApiError) -> Response<Body> {
    let code = StatusCode::from_u16(refusal.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    reply(code, &refusal.status())
}

impl Target {
    /// Whether the caller's roles let it do this.
    fn check(
        &self,
        store: &Store,
        caller: &access::Caller,
        request: &Request<Incoming>,
    ) -> Result<(), ApiError> {
        let query = Query::of(request.uri().query().unwrap_or_default());
        let one = !self.name.is_empty();
        let verb = match *request.method() {
            Method::GET if one => "get",
            Method::GET if query.flag("watch") => "watch",
            Method::GET => "list",
            Method::POST => "create",
            Method::PUT => "update",
            Method::PATCH => "patch",
            Method::DELETE if one => "delete",
            Method::DELETE => "deletecollection",
            _ => return Err(ApiError::method_not_allowed()),
        };
        // A collection that is asked for one name only is that object, for rules that name objects.
        let named = query.text("fieldSelector").strip_prefix("metadata.name=");
        let name = if one { Some(self.name.as_str()) } else { named };
        caller.may(
            store,
            &access::Request {
                verb,
                view: self.view,
                part: self.part,
                namespace: self.namespace.as_deref().filter(|given| !given.is_empty()),
                name: name.filter(|name| !name.contains(',')),
            },
        )
    }

    async fn answer(
        &self,
        store: &Store,
        fault: &Fault,
        request: Request<Incoming>,
    ) -> Result<Response<Body>, ApiError> {
        let query = Query::of(request.uri().query().unwrap_or_default());
        if !query.text("dryRun").is_empty() {
            return Err(ApiError::bad_request(
                "dryRun is not offered by this server",
            ));
        }
        let method = request.method().clone();
        let content_type = header(request.headers(), &CONTENT_TYPE).to_owned();
        let one = !self.name.is_empty();
        if method == Method::GET {
            return if one {
                self.get(store)
            } else {
                self.list_or_watch(store, &query)
            };
        }
        let body = read(request.into_body()).await?;
        match method {
            Method::POST if !one => self.create(store, parse(&body)?),
            Method::POST if self.part == Sub::Binding => self.bind(store, &parse(&body)?),
            Method::PUT if one && self.part != Sub::Binding => self.replace(store, parse(&body)?),
            Method::PATCH if one && self.part != Sub::Binding => {
                let patch = Patch::parse(self.view.resource, &content_type, &body)?;
                self.patch(store, fault, patch)
            }
            Method::DELETE if self.part == Sub::None => self.delete(store, &query, &body),
            _ => Err(ApiError::method_not_allowed()),
        }
    }

    fn resource(&self) -> Resource {
        self.view.resource
    }

    fn namespace(&self) -> &str {
        self.namespace.as_deref().unwrap_or_default()
    }

    fn show(&self, object: &Value) -> Response<Body> {
        reply(StatusCode::OK, &self.view.show(object))
    }

    fn selection(&self, query: &Query) -> Result<Selection, ApiError> {
        Selection::of(self.namespace.as_deref())
            .with_fields(self.resource(), query.text("fieldSelector"))?
            .with_labels(query.text("labelSelector"))
    }

    fn get(&self, store: &Store) -> Result<Response<Body>, ApiError> {
        Ok(self.show(&*store.get(self.resource(), self.namespace(), &self.name)?))
    }

    fn list_or_watch(&self, store: &Store, query: &Query) -> Result<Response<Body>, ApiError> {
        let selection = self.selection(query)?;
        if query.flag("watch") {
            let lines = watch::open(store, selection, self.view, query)?;
            return Ok(typed(
                StatusCode::OK,
                "application/json",
                StreamBody::new(lines).boxed_unsync(),
            ));
        }
        let (objects, version) = store.list(self.resource(), &selection);
        let items: Vec<Value> = objects
            .iter()
            .map(|object| self.view.show(object))
            .collect();
        Ok(reply(StatusCode::OK, &self.view.list(&items, version)))
    }

    fn create(&self, store: &Store, object: Value) -> Result<Response<Body>, ApiError> {
        if self.resource().namespaced() && self.namespace.is_none() {
            return Err(ApiError::method_not_allowed());
        }
        let created = store.create(self.resource(), self.namespace(), self.view.read(object))?;
        Ok(reply(StatusCode::CREATED, &self.view.show(&created)))
    }

    fn bind(&self, store: &Store, binding: &Value) -> Result<Response<Body>, ApiError> {
        let node = text(binding, "/target/name");
        if node.is_empty() {
            return Err(ApiError::bad_request("target.name: Required value"));
        }
        store.update(
            Resource::Pods,
            self.namespace(),
            &self.name,
            Part::Binding,
            |current| {
                let bound = text(current, "/spec/nodeName");
                if !bound.is_empty() {
                    let why = format!("pod {} is already assigned to node \"{bound}\"", self.name);
                    return Err(ApiError::conflict(Resource::Pods, &self.name, &why));
                }
                let mut next = current.clone();
                next["spec"]["nodeName"] = json!(node);
                Ok(next)
            },
        )?;
        Ok(reply(StatusCode::CREATED, &success()))
    }

    fn part(&self) -> Part {
        if self.part == Sub::Status {
            Part::Status
        } else {
            Part::Main
        }
    }

    fn replace(&self, store: &Store, object: Value) -> Result<Response<Body>, ApiError> {
        let wanted = self.view.read(object);
        let stored = store.update(
            self.resource(),
            self.namespace(),
            &self.name,
            self.part(),
            |current| {
                let uid = object::uid(&wanted);
                if !uid.is_empty() && uid != object::uid(current) {
                    let why = format!(
                        "Precondition failed: UID in precondition: {uid}, UID in object meta: {}",
                        object::uid(current)
                    );
                    return Err(ApiError::conflict(self.resource(), &self.name, &why));
                }
                Ok(wanted.clone())
            },
        )?;
        Ok(self.show(&stored))
    }

    fn patch(
        &self,
        store: &Store,
        fault: &Fault,
        patch: Patch,
    ) -> Result<Response<Body>, ApiError> {
        let patch = if self.resource() == Resource::Pods && self.part == Sub::Status {
            fault.misdirect(store, self.namespace(), &self.name, patch)
        } else {
            patch
        };
        let stored = store.update(
            self.resource(),
            self.namespace(),
            &self.name,
            self.part(),
            |current| {
                Ok(self.view.read(patch.apply(
                    self.resource(),
                    &self.name,
                    &self.view.show_whole(current),
                )?))
            },
        )?;
        Ok(self.show(&stored))
    }

    fn delete(
        &self,
        store: &Store,
        query: &Query,
        body: &[u8],
    ) -> Result<Response<Body>, ApiError> {
        let options = if body.is_empty() {
            json!({})
        } else {
            parse(body)?
        };
        let policy = options["propagationPolicy"]
            .as_str()
            .unwrap_or_else(|| query.text("propagationPolicy"));
        if !matches!(policy, "" | "Background") {
            return Err(ApiError::bad_request(format!(
                "propagationPolicy {policy} is not offered by this server"
            )));
        }
        let how = DeleteOptions {
            grace: options["gracePeriodSeconds"]
                .as_i64()
                .or_else(|| query.number("gracePeriodSeconds")),
            uid: options["preconditions"]["uid"].as_str().map(str::to_owned),
            version: options["preconditions"]["resourceVersion"]
                .as_str()
                .map(str::to_owned),
        };
        if !self.name.is_empty() {
            let object = store.delete(self.resource(), self.namespace(), &self.name, &how)?;
            let body = if self.resource() == Resource::Pods {
                self.view.show(&object)
            } else {
                success()
            };
            return Ok(reply(StatusCode::OK, &body));
        }
        let (objects, version) = store.list(self.resource(), &self.selection(query)?);
        let mut gone = Vec::new();
        for object in objects {
            match store.delete(
                self.resource(),
                object::namespace(&object),
                object::name(&object),
                &how,
            ) {
                Ok(object) => gone.push(self.view.show(&object)),
                // Somebody else was quicker.
                Err(refusal) if refusal.is_not_found() => {}
                Err(refusal) => return Err(refusal),
            }
        }
        Ok(reply(StatusCode::OK, &self.view.list(&gone, version)))
    }
}

fn success() -> Value {
    json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"})
}

async fn read(body: Incoming) -> Result<Bytes, ApiError> {
    let read = Limited::new(body, LIMIT).collect().await;
    read.map(http_body_util::Collected::to_bytes)
        .map_err(|cause| {
            if cause.is::<LengthLimitError>() {
                ApiError::too_large()
            } else {
                ApiError::bad_request(format!("unable to read the body: {cause}"))
            }
        })
}

fn parse(body: &[u8]) -> Result<Value, ApiError> {
    serde_json::from_slice(body).map_err(|cause| {
        ApiError::bad_request(format!(
            "couldn't get version/kind; json parse error: {cause}"
        ))
    })
}

fn header<'a>(headers: &'a HeaderMap, name: &HeaderName) -> &'a str {
    headers
        .get(name)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
}

fn reply(code: StatusCode, value: &Value) -> Response<Body> {
    typed(
        code,
        "application/json",
        Full::new(Bytes::from(value.to_string())).boxed_unsync(),
    )
}

fn plain(code: StatusCode, text: &'static str) -> Response<Body> {
    typed(
        code,
        "text/plain; charset=utf-8",
        Full::new(Bytes::from_static(text.as_bytes())).boxed_unsync(),
    )
}

fn typed(code: StatusCode, content_type: &'static str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = code;
    response.headers_mut().insert(
        CONTENT_TYPE,
        hyper::header::HeaderValue::from_static(content_type),
    );
    response
}
