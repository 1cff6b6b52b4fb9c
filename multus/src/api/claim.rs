//! ResourceClaims and ResourceSlices (`resource.k8s.io/v1`, DRA), trimmed to what planning reads. Own types, because
//! the API is younger than the oldest server that we serve.

use std::borrow::Cow;
use std::collections::BTreeMap;

use k8s_openapi::{ClusterResourceScope, NamespaceResourceScope};
use kube::api::{Api, ListParams};
use kube::core::ObjectMeta;
use kube::{Client, Error, Resource};
use serde::{Deserialize, Serialize};

/// Group of both.
const GROUP: &str = "resource.k8s.io";

/// A claim of devices.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct ResourceClaim {
    /// Name and namespace.
    #[serde(default)]
    pub metadata: ObjectMeta,
    /// What was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<ClaimStatus>,
}

/// Status of a claim.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct ClaimStatus {
    /// Absent until the scheduler has chosen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allocation: Option<ClaimAllocation>,
}

/// The scheduler's choice.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct ClaimAllocation {
    /// Devices, by request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub devices: Option<ClaimDevices>,
}

/// Devices of a claim.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct ClaimDevices {
    /// One per device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub results: Option<Vec<ClaimDevice>>,
}

/// A device of a claim: its key in the slices, and the request that it answers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ClaimDevice {
    /// Name of the request, or `<request>/<alternative>`.
    pub request: String,
    /// Name of the driver.
    pub driver: String,
    /// Name of the driver's pool.
    pub pool: String,
    /// Name of the device in its pool.
    pub device: String,
    /// Given for looking only, and to another pod for use.
    pub admin_access: Option<bool>,
}

/// Devices that a driver publishes.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct ResourceSlice {
    /// Name.
    #[serde(default)]
    pub metadata: ObjectMeta,
    /// The devices.
    #[serde(default)]
    pub spec: SliceSpec,
}

/// Spec of a slice.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct SliceSpec {
    /// Name of the driver.
    pub driver: String,
    /// The pool that the slice is a part of.
    pub pool: SlicePool,
    /// The devices.
    pub devices: Option<Vec<SliceDevice>>,
}

/// The pool of a slice.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct SlicePool {
    /// Its name, unique for the driver.
    pub name: String,
    /// Slices of an older generation than the newest do not count any more.
    pub generation: i64,
}

/// A published device.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct SliceDevice {
    /// Its name in the pool.
    pub name: String,
    /// What is said about it.
    pub attributes: Option<BTreeMap<String, Attribute>>,
}

/// An attribute; those that are no string are not read.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Attribute {
    /// The value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub string: Option<String>,
}

impl SliceDevice {
    /// The value of a string attribute.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.as_ref()?.get(name)?.string.as_deref()
    }
}

/// The claim of that name.
pub async fn find(
    client: &Client,
    namespace: &str,
    name: &str,
) -> Result<Option<ResourceClaim>, Error> {
    let api: Api<ResourceClaim> = Api::namespaced(client.clone(), namespace);
    api.get_opt(name).await
}

/// Slices of this node; of this driver only, if one is named.
pub async fn slices(
    client: &Client,
    node: &str,
    driver: Option<&str>,
) -> Result<Vec<ResourceSlice>, Error> {
    let api: Api<ResourceSlice> = Api::all(client.clone());
    let selector = match driver {
        Some(driver) => format!("spec.nodeName={node},spec.driver={driver}"),
        None => format!("spec.nodeName={node}"),
    };
    let found = api.list(&ListParams::default().fields(&selector)).await?;
    Ok(found.items)
}

impl Resource for ResourceClaim {
    type DynamicType = ();
    type Scope = NamespaceResourceScope;

    fn kind((): &()) -> Cow<'_, str> {
        "ResourceClaim".into()
    }
    fn group((): &()) -> Cow<'_, str> {
        GROUP.into()
    }
    fn version((): &()) -> Cow<'_, str> {
        "v1".into()
    }
    fn plural((): &()) -> Cow<'_, str> {
        "resourceclaims".into()
    }
    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }
    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

impl Resource for ResourceSlice {
    type DynamicType = ();
    type Scope = ClusterResourceScope;

    fn kind((): &()) -> Cow<'_, str> {
        "ResourceSlice".into()
    }
    fn group((): &()) -> Cow<'_, str> {
        GROUP.into()
    }
    fn version((): &()) -> Cow<'_, str> {
        "v1".into()
    }
    fn plural((): &()) -> Cow<'_, str> {
        "resourceslices".into()
    }
    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }
    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}
