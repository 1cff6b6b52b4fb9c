//! Answers, and what a selector lets through.

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::{Response, StatusCode};
use serde_json::{Value, json};

use super::Body;

pub(super) fn selected(object: &Value, query: &str) -> bool {
    let selector = query
        .split('&')
        .find_map(|pair| pair.strip_prefix("fieldSelector="));
    let terms = selector.into_iter().flat_map(|s| s.split(','));
    terms.into_iter().all(|term| match term.split_once('=') {
        Some(("spec.nodeName", node)) => object["spec"]["nodeName"] == node,
        Some(("spec.driver", driver)) => object["spec"]["driver"] == driver,
        Some(("spec.signerName", signer)) => object["spec"]["signerName"] == signer,
        Some(("metadata.name", name)) => object["metadata"]["name"] == name,
        other => panic!("selector {other:?}"),
    })
}

pub(super) fn json_response(code: u16, value: &Value) -> Response<Body> {
    let body = Full::new(Bytes::from(value.to_string()));
    let mut response = Response::new(BodyExt::boxed(body));
    *response.status_mut() = StatusCode::from_u16(code).unwrap();
    let kind = hyper::header::HeaderValue::from_static("application/json");
    response.headers_mut().insert("content-type", kind);
    response
}

pub(super) fn status(code: u16, reason: &str) -> Response<Body> {
    json_response(
        code,
        &json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": reason, "code": code, "message": reason}),
    )
}
