//! One entry of `resourceList`.

use std::collections::BTreeMap;

use super::{
    AdditionalInfo, Defaults, DeviceType, Object, Pool, ResourceName, VfioNodes,
    document::{Members, Node, Problem},
    fallback, object, watchful,
};

/// The resource of an entry.
pub(super) fn name(node: &Node<'_>, defaults: &Defaults) -> Result<ResourceName, Problem> {
    let members = node.members()?;
    let text = |key| members.get(key).map(Node::string).transpose();
    let Some(name) = text("resourceName")? else {
        return Err(node.problem("resourceName is missing: pods request the pool by it"));
    };
    let prefix = text("resourcePrefix")?.filter(|prefix| !prefix.is_empty());
    let prefix = prefix.as_ref().unwrap_or(&defaults.prefix);
    let at = members.get("resourceName").unwrap_or(node);
    ResourceName::new(prefix, &name, &defaults.socket_directory).map_err(|text| at.problem(text))
}

/// The rest of an entry.
pub(super) fn read(
    node: &Node<'_>,
    name: &ResourceName,
    warnings: &mut Vec<Problem>,
) -> Result<Pool, Problem> {
    let members = node.members()?;
    let device_type = device_type(&members)?;
    let flag = |key| {
        Ok(members
            .get(key)
            .map(Node::boolean)
            .transpose()?
            .unwrap_or(false))
    };
    let objects = objects(node, &members, device_type, warnings)?;
    Ok(Pool {
        name: name.clone(),
        device_type,
        topology: !flag("excludeTopology")?,
        fallback: fallback::slots(&members, device_type, &objects)?,
        objects,
        additional_info: members
            .get("additionalInfo")
            .map(additional_info)
            .transpose()?,
        allow_host_nics: object::strings(&members, "allowHostNics")?,
        vfio: vfio(&members)?,
        cdi: members.get("cdi").map(Node::boolean).transpose()?,
        health: watchful::health(&members)?,
        preference: watchful::preference(&members)?,
    })
}

/// The type's name matters in every letter, as in the program that this one replaces.
fn device_type(members: &Members<'_>) -> Result<DeviceType, Problem> {
    let Some(node) = members.get("deviceType") else {
        return Ok(DeviceType::default());
    };
    match node.string()?.as_str() {
        "" | "netDevice" => Ok(DeviceType::NetDevice),
        "accelerator" => Ok(DeviceType::Accelerator),
        "auxNetDevice" => Ok(DeviceType::AuxNetDevice),
        kind => Err(node.problem(format!(
            "deviceType {kind:?} is unknown: write netDevice, accelerator or auxNetDevice (the letters' case matters)"
        ))),
    }
}

fn vfio(members: &Members<'_>) -> Result<VfioNodes, Problem> {
    let Some(node) = members.get("vfioMode") else {
        return Ok(VfioNodes::default());
    };
    match node.string()?.as_str() {
        "group" => Ok(VfioNodes::Group),
        "cdev" => Ok(VfioNodes::Cdev),
        "both" => Ok(VfioNodes::Both),
        other => Err(node.problem(format!(
            "vfioMode {other:?} is unknown: write group, cdev or both"
        ))),
    }
}

fn objects(
    pool: &Node<'_>,
    members: &Members<'_>,
    device_type: DeviceType,
    warnings: &mut Vec<Problem>,
) -> Result<Vec<Object>, Problem> {
    let Some(node) = members.get("selectors") else {
        return Err(
            pool.problem("selectors is missing: write {} if every network function is meant")
        );
    };
    if !node.is_list() {
        return Ok(vec![object::read(node, device_type, warnings)?]);
    }
    let items = node.items()?;
    if items.is_empty() {
        return Err(node.problem(
            "selectors is an empty list, so nothing can match: write [{}] if every network function is meant",
        ));
    }
    items
        .iter()
        .map(|item| object::read(item, device_type, warnings))
        .collect()
}

fn additional_info(node: &Node<'_>) -> Result<AdditionalInfo, Problem> {
    let mut info = AdditionalInfo::default();
    for (id, facts) in node.members()?.iter() {
        let facts = if facts.is_null() {
            BTreeMap::new()
        } else {
            strings_by_key(facts)?
        };
        if id == "*" {
            info.all = facts;
            continue;
        }
        let address = object::address(id).map_err(|_| {
            node.problem(format!(
                "key {id:?} is neither \"*\" nor a PCI address like 0000:3b:02.1"
            ))
        })?;
        info.one.insert(address, facts);
    }
    Ok(info)
}

fn strings_by_key(node: &Node<'_>) -> Result<BTreeMap<String, String>, Problem> {
    let members = node.members()?;
    members
        .iter()
        .map(|(key, value)| Ok((key.to_owned(), value.string()?)))
        .collect()
}
