//! Devices by Dynamic Resource Allocation: what a pod's claims were given, and what this node's drivers publish
//! (spec/multus.md §3 "DRA"). Two kinds of API calls, made only for a pod whose network needs a device and only where
//! the key `dra` says so. Which device belongs to which resource is the planner's business.

use std::collections::BTreeSet;

use futures::future::{join_all, try_join_all};
use kube::Client;

use crate::api;
use crate::api::claim::{self, ClaimDevice, ResourceSlice};
use crate::api::pod::{Pod, RequestMapping};
use crate::known::Found;
use crate::sources::API_WAIT;

/// Attribute of a device: what a delegate calls it, mostly a PCI address.
const DEVICE_ID: &str = "k8s.cni.cncf.io/deviceID";
/// Attribute of a device: the resource name that NADs use for it.
const RESOURCE_NAME: &str = "k8s.cni.cncf.io/resourceName";

/// What is known of a pod's claims.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Claims {
    /// In the order of the pod; that for extended resources last.
    pub given: Vec<Claim>,
    /// Of this node: of the claims' drivers, or of all.
    pub published: Vec<Published>,
}

/// A claim of the pod.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Claim {
    /// Its name in the API.
    pub name: String,
    /// Its devices; `None`: the scheduler has not chosen any yet.
    pub devices: Option<Vec<ClaimDevice>>,
    /// Set if the claim stands for extended resources of containers.
    pub extended: Option<Vec<RequestMapping>>,
}

/// A device that a driver publishes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Published {
    /// Its key: driver, pool, name.
    pub key: [String; 3],
    /// Generation of the slice that has it.
    pub generation: i64,
    /// Its [`DEVICE_ID`].
    pub device_id: Option<String>,
    /// Its [`RESOURCE_NAME`].
    pub resource: Option<String>,
}

/// A claim of the pod before it is looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Named {
    name: String,
    extended: Option<Vec<RequestMapping>>,
}

/// The claims of `pod`, and the devices that their drivers publish on `node`; those of all drivers with `all`.
pub async fn look_up(client: &Client, pod: &Pod, node: &str, all: bool) -> Found<Claims> {
    match tokio::time::timeout(API_WAIT * 2, try_look_up(client, pod, node, all)).await {
        Ok(Ok(claims)) => Found::Here(claims),
        Ok(Err(cause)) => Found::Unknown(cause),
        Err(_) => Found::Unknown(format!(
            "the API server did not answer in {} ms",
            (API_WAIT * 2).as_millis()
        )),
    }
}

/// Whether every claim of the pod has its name; a watch may be a moment behind.
pub fn is_complete(pod: &Pod) -> bool {
    named(pod).is_ok()
}

async fn try_look_up(client: &Client, pod: &Pod, node: &str, all: bool) -> Result<Claims, String> {
    let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
    let found = join_all(named(pod)?.into_iter().map(async |named| {
        let found = claim::find(client, namespace, &named.name).await;
        let claim =
            found.map_err(|error| format!("claim {}: {}", named.name, api::words(&error)))?;
        let status = claim
            .ok_or(format!("claim {} does not exist", named.name))?
            .status;
        let allocation = status.and_then(|status| status.allocation);
        Ok(Claim {
            name: named.name,
            devices: allocation
                .map(|given| given.devices.and_then(|d| d.results).unwrap_or_default()),
            extended: named.extended,
        })
    }))
    .await;
    let given: Vec<Claim> = found.into_iter().collect::<Result<_, String>>()?;
    let drivers: BTreeSet<&str> = given
        .iter()
        .flat_map(|claim| claim.devices.iter().flatten())
        .map(|device| device.driver.as_str())
        .collect();
    let selections: Vec<Option<&str>> = if all {
        vec![None]
    } else {
        drivers.into_iter().map(Some).collect()
    };
    let lists = selections
        .into_iter()
        .map(|driver| claim::slices(client, node, driver));
    let slices = try_join_all(lists)
        .await
        .map_err(|error| format!("resource slices: {}", api::words(&error)))?;
    Ok(Claims {
        given,
        published: slices.into_iter().flatten().flat_map(published).collect(),
    })
}

/// Claims by the name that they have in the API: those that the pod names, those made for it from a template, and
/// that of its extended resources. Each once.
fn named(pod: &Pod) -> Result<Vec<Named>, String> {
    let asked = pod.spec.as_ref().and_then(|s| s.resource_claims.as_deref());
    let made = pod
        .status
        .as_ref()
        .and_then(|s| s.resource_claim_statuses.as_deref());
    let (asked, made) = (asked.unwrap_or_default(), made.unwrap_or_default());
    let mut names: Vec<&str> = Vec::new();
    for claim in asked {
        if let Some(name) = &claim.resource_claim_name {
            names.push(name);
        } else if let Some(status) = made.iter().find(|status| status.name == claim.name) {
            // No name: none had to be made.
            names.extend(status.resource_claim_name.as_deref());
        } else {
            return Err(format!(
                "claim {} of the pod has not been made yet",
                claim.name
            ));
        }
    }
    names.extend(
        made.iter()
            .filter_map(|status| status.resource_claim_name.as_deref()),
    );
    let mut all: Vec<Named> = Vec::new();
    for name in names {
        if !all.iter().any(|named| named.name == name) {
            all.push(Named {
                name: name.to_owned(),
                extended: None,
            });
        }
    }
    let extended = pod
        .status
        .as_ref()
        .and_then(|s| s.extended_resource_claim_status.as_ref());
    all.extend(extended.map(|extended| Named {
        name: extended.resource_claim_name.clone(),
        extended: Some(extended.request_mappings.clone()),
    }));
    Ok(all)
}

fn published(slice: ResourceSlice) -> Vec<Published> {
    let spec = slice.spec;
    let devices = spec.devices.unwrap_or_default().into_iter();
    devices
        .map(|device| Published {
            key: [
                spec.driver.clone(),
                spec.pool.name.clone(),
                device.name.clone(),
            ],
            generation: spec.pool.generation,
            device_id: device.attribute(DEVICE_ID).map(str::to_owned),
            resource: device.attribute(RESOURCE_NAME).map(str::to_owned),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(json: &str) -> Result<Vec<String>, String> {
        let pod: Pod = serde_json::from_str(json).unwrap();
        named(&pod).map(|all| all.into_iter().map(|named| named.name).collect())
    }

    #[test]
    fn row_38_claims_are_those_named_those_made_and_that_of_extended_resources_each_once() {
        let pod = r#"{"metadata":{},
            "spec":{"resourceClaims":[{"name":"b","resourceClaimTemplateName":"t"},{"name":"a","resourceClaimName":"own"},
                {"name":"none","resourceClaimTemplateName":"t"}]},
            "status":{"resourceClaimStatuses":[{"name":"none"},{"name":"b","resourceClaimName":"made-1"}],
                "extendedResourceClaimStatus":{"resourceClaimName":"ext","requestMappings":[]}}}"#;
        assert_eq!(names(pod).unwrap(), ["made-1", "own", "ext"]);
        assert!(names(r#"{"metadata":{}}"#).unwrap().is_empty());
    }

    #[test]
    fn row_38_a_claim_that_was_not_made_yet_is_waited_for() {
        let pod = r#"{"metadata":{},"spec":{"resourceClaims":[{"name":"b","resourceClaimTemplateName":"t"}]}}"#;
        assert!(names(pod).unwrap_err().contains("claim b"));
    }

    #[test]
    fn attributes_that_are_no_strings_and_slices_without_devices_are_no_error() {
        let slice = r#"{"metadata":{"name":"s"},"spec":{"driver":"d","pool":{"name":"p","generation":2,"resourceSliceCount":1},
            "nodeName":"n1","devices":[{"name":"x","attributes":{"numa":{"int":1},"v":{"version":"1.0.0"},
            "k8s.cni.cncf.io/deviceID":{"string":"02.1"}}},{"name":"y"}]}}"#;
        let found = published(serde_json::from_str(slice).unwrap());
        assert_eq!(found[0].key, ["d", "p", "x"]);
        assert_eq!(found[0].device_id.as_deref(), Some("02.1"));
        assert_eq!(
            (found[0].generation, found[0].resource.as_deref()),
            (2, None)
        );
        assert_eq!(found[1].device_id, None);
        let empty = r#"{"metadata":{},"spec":{"driver":"d","pool":{"name":"p","generation":1}}}"#;
        assert!(published(serde_json::from_str(empty).unwrap()).is_empty());
    }
}
