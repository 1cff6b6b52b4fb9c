//! Writing network-status: a merge patch of the one annotation on `pods/status`, guarded by UID.
//!
//! Upstream replaces the whole object (spec/multus.md §2.4) and so fights with every other writer
//! of the pod's status; a patch of one annotation cannot.

use kube::api::{Api, Patch, PatchParams};
use kube::{Client, Resource};
use multus_plugin::wire::PodRef;
use serde_json::json;

use super::code;
use super::pod::Pod;
use cni::net_attach::STATUS_ANNOTATION;

/// What became of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// The annotation has the value.
    Yes,
    /// There is no such pod, or another pod has its name by now: nothing was written.
    PodGone,
}

/// Sets the annotation to `value` if the pod is still the one of `pod.uid`. A static pod counts as
/// the same: the runtime knows its UID of the file, the API one of its own.
pub async fn write(client: &Client, pod: &PodRef, value: &str) -> Result<Written, kube::Error> {
    let api: Api<Pod> = Api::namespaced(client.clone(), &pod.namespace);
    if let Some(uid) = &pod.uid {
        match patch(&api, &pod.name, uid, value).await {
            Ok(()) => return Ok(Written::Yes),
            Err(error) => match code(&error) {
                404 => return Ok(Written::PodGone),
                // The API server's answers to a patch whose metadata.uid is not the object's.
                409 | 422 => {}
                _ => return Err(error),
            },
        }
    }
    let Some(present) = super::pod::find(client, &pod.namespace, &pod.name).await? else {
        return Ok(Written::PodGone);
    };
    let uid = present.meta().uid.as_deref().unwrap_or_default();
    let same = pod.uid.as_deref().is_none_or(|known| known == uid);
    if !same && !present.is_static() {
        return Ok(Written::PodGone);
    }
    match patch(&api, &pod.name, uid, value).await {
        Ok(()) => Ok(Written::Yes),
        Err(error) if code(&error) == 404 => Ok(Written::PodGone),
        Err(error) => Err(error),
    }
}

async fn patch(api: &Api<Pod>, name: &str, uid: &str, value: &str) -> Result<(), kube::Error> {
    let body = json!({
        "metadata": { "uid": uid, "annotations": { STATUS_ANNOTATION: value } }
    });
    api.patch_status(name, &PatchParams::default(), &Patch::Merge(&body))
        .await
        .map(drop)
}
