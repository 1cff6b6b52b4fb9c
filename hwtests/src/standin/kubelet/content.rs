//! Volumes whose files come from the API: what is in them, and how they are replaced whole.
#![expect(
    clippy::disallowed_methods,
    reason = "boundary: writes the files of volumes"
)]

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use k8s_openapi::api::core::v1::{KeyToPath, Pod, Volume, VolumeProjection};

use super::environment::{Facts, field_of};
use crate::standin::api::{ApiError, Resource, Service, Store, object};

/// Files by their path in the volume.
pub(crate) type Files = BTreeMap<String, Vec<u8>>;

/// Where contents come from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Supply<'a> {
    pub(crate) store: &'a Store,
    pub(crate) service: Option<&'a Service>,
}

/// Content that cannot be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ContentError {
    #[error(transparent)]
    Api(#[from] ApiError),
    #[error("references non-existent config key: {0}")]
    NoKey(String),
    #[error("field {0} is not known")]
    NoField(String),
    #[error("there is no API server that takes tokens of pods")]
    NoService,
    #[error("the pod cannot be read: {0}")]
    Pod(#[from] serde_json::Error),
}

/// The files of a volume; `None` when its files do not come from the API.
pub(crate) fn of_volume(
    supply: Supply<'_>,
    pod: &Pod,
    volume: &Volume,
) -> Result<Option<Files>, ContentError> {
    let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
    if let Some(map) = &volume.config_map {
        let optional = map.optional == Some(true);
        let data = config_map(supply.store, namespace, &map.name, optional)?;
        return chosen(&data, map.items.as_deref(), optional).map(Some);
    }
    let Some(projected) = &volume.projected else {
        return Ok(None);
    };
    let mut files = Files::new();
    for source in projected.sources.iter().flatten() {
        files.extend(of_source(supply, pod, namespace, source)?);
    }
    Ok(Some(files))
}

fn of_source(
    supply: Supply<'_>,
    pod: &Pod,
    namespace: &str,
    source: &VolumeProjection,
) -> Result<Files, ContentError> {
    let mut files = Files::new();
    if let Some(map) = &source.config_map {
        let optional = map.optional == Some(true);
        let data = config_map(supply.store, namespace, &map.name, optional)?;
        files.extend(chosen(&data, map.items.as_deref(), optional)?);
    }
    if let Some(account) = &source.service_account_token {
        let service = supply.service.ok_or(ContentError::NoService)?;
        let token = service.token_of(supply.store, &serde_json::to_value(pod)?)?;
        files.insert(account.path.clone(), token.into_bytes());
    }
    for file in source
        .downward_api
        .iter()
        .flat_map(|api| &api.items)
        .flatten()
    {
        let field = file
            .field_ref
            .as_ref()
            .map_or("", |field| &field.field_path);
        let facts = Facts {
            pod,
            pod_ips: &[],
            node_ip: std::net::Ipv4Addr::UNSPECIFIED.into(),
            service: None,
        };
        let value =
            field_of(field, facts).ok_or_else(|| ContentError::NoField(field.to_owned()))?;
        files.insert(file.path.clone(), value.into_bytes());
    }
    Ok(files)
}

fn config_map(
    store: &Store,
    namespace: &str,
    name: &str,
    optional: bool,
) -> Result<Files, ContentError> {
    match store.get(Resource::ConfigMaps, namespace, name) {
        Err(missing) if optional && missing.is_not_found() => Ok(Files::new()),
        Err(refusal) => Err(refusal.into()),
        Ok(map) => {
            let data = map["data"].as_object().into_iter().flatten();
            Ok(data
                .map(|(key, value)| (key.clone(), value.as_str().unwrap_or_default().into()))
                .collect())
        }
    }
}

/// All keys, or the items under their paths.
fn chosen(
    data: &Files,
    items: Option<&[KeyToPath]>,
    optional: bool,
) -> Result<Files, ContentError> {
    let Some(items) = items else {
        return Ok(data.clone());
    };
    let mut files = Files::new();
    for item in items {
        match data.get(&item.key) {
            Some(bytes) => {
                files.insert(item.path.clone(), bytes.clone());
            }
            None if optional => {}
            None => return Err(ContentError::NoKey(item.key.clone())),
        }
    }
    Ok(files)
}

/// Puts files into a volume as the kubelet does: a folder per content, one link that says which is current, and a link
/// per file through that one. So readers see all of the old or all of the new content. Nothing is written when the
/// content is the current one.
pub(crate) fn write(folder: &Path, files: &Files, mode: u32) -> io::Result<()> {
    let current = folder.join("..data");
    if read(&current)? == Some(files.clone()) {
        return Ok(());
    }
    fs::create_dir_all(folder)?;
    let name = format!("..{}", object::nanoseconds());
    let fresh = folder.join(&name);
    fs::create_dir(&fresh)?;
    for (path, bytes) in files {
        let file = fresh.join(path);
        fs::write(&file, bytes)?;
        fs::set_permissions(&file, fs::Permissions::from_mode(mode))?;
    }
    let old = fs::read_link(&current).ok();
    let next = folder.join("..data_tmp");
    symlink(&name, &next)?;
    fs::rename(&next, &current)?;
    for path in files.keys() {
        let link = folder.join(path);
        if fs::symlink_metadata(&link).is_err() {
            symlink(Path::new("..data").join(path), &link)?;
        }
    }
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if !name.starts_with("..") && !files.contains_key(&name) {
            fs::remove_file(entry.path())?;
        }
    }
    if let Some(old) = old {
        fs::remove_dir_all(folder.join(old))?;
    }
    Ok(())
}

fn read(folder: &Path) -> io::Result<Option<Files>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut files = Files::new();
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        files.insert(name, fs::read(entry.path())?);
    }
    Ok(Some(files))
}

/// The default mode of a volume's files.
pub(crate) fn mode(volume: &Volume) -> u32 {
    let map = volume.config_map.as_ref().and_then(|map| map.default_mode);
    let projected = volume.projected.as_ref();
    let mode = map.or_else(|| projected.and_then(|projected| projected.default_mode));
    mode.and_then(|mode| u32::try_from(mode).ok())
        .unwrap_or(0o644)
}

/// The folder in a pod's, by the kind of volume; `None` when its files do not come from the API.
pub(crate) fn folder(volume: &Volume) -> Option<&'static str> {
    match (&volume.config_map, &volume.projected) {
        (Some(_), _) => Some("volumes/kubernetes.io~configmap"),
        (None, Some(_)) => Some("volumes/kubernetes.io~projected"),
        (None, None) => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn pod(volume: &Value) -> Pod {
        let pod = json!({
            "metadata": {"name": "p", "namespace": "default", "uid": "u"},
            "spec": {"serviceAccountName": "a", "containers": [], "volumes": [volume]},
        });
        serde_json::from_value(pod).unwrap()
    }

    fn files(store: &Store, volume: &Value) -> Result<Files, ContentError> {
        let supply = Supply {
            store,
            service: None,
        };
        let pod = pod(volume);
        let volume = &pod.spec.as_ref().unwrap().volumes.as_ref().unwrap()[0];
        of_volume(supply, &pod, volume).map(Option::unwrap)
    }

    fn store() -> Store {
        let store = Store::new();
        let map = json!({"metadata": {"name": "m"}, "data": {"config.json": "{}", "other": "x"}});
        store.create(Resource::ConfigMaps, "default", map).unwrap();
        store
    }

    #[test]
    fn a_volume_has_the_keys_of_its_map() {
        let whole = files(&store(), &json!({"name": "v", "configMap": {"name": "m"}})).unwrap();
        assert_eq!(whole["config.json"], b"{}");
        assert_eq!(whole.len(), 2);
        let items = json!([{"key": "other", "path": "renamed"}]);
        let one = json!({"name": "v", "configMap": {"name": "m", "items": items}});
        assert_eq!(
            files(&store(), &one).unwrap().keys().collect::<Vec<_>>(),
            ["renamed"]
        );
        let missing = json!({"name": "v", "configMap": {"name": "gone"}});
        assert!(
            files(&store(), &missing)
                .unwrap_err()
                .to_string()
                .contains("\"gone\" not found")
        );
        let optional = json!({"name": "v", "configMap": {"name": "gone", "optional": true}});
        assert!(files(&store(), &optional).unwrap().is_empty());
    }

    #[test]
    fn several_sources_become_one_volume_and_a_token_needs_a_server() {
        let sources = json!([
            {"configMap": {"name": "m", "items": [{"key": "other", "path": "ca.crt"}]}},
            {"downwardAPI": {"items": [{"path": "namespace", "fieldRef": {"fieldPath": "metadata.namespace"}}]}},
        ]);
        let volume = |sources: &Value| json!({"name": "v", "projected": {"sources": sources}});
        let both = files(&store(), &volume(&sources)).unwrap();
        assert_eq!(both["namespace"], b"default");
        assert_eq!(both["ca.crt"], b"x");
        let token = json!([{"serviceAccountToken": {"path": "token"}}]);
        assert!(matches!(
            files(&store(), &volume(&token)),
            Err(ContentError::NoService)
        ));
    }

    #[test]
    fn content_is_replaced_whole_and_only_when_it_changed() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("v");
        let content = |pairs: &[(&str, &str)]| -> Files {
            pairs
                .iter()
                .map(|(key, value)| ((*key).to_owned(), (*value).into()))
                .collect()
        };
        let current = || fs::read_link(folder.join("..data")).unwrap();
        write(&folder, &content(&[("a", "1"), ("b", "2")]), 0o644).unwrap();
        let first = current();
        write(&folder, &content(&[("a", "1"), ("b", "2")]), 0o644).unwrap();
        assert_eq!(current(), first);
        write(&folder, &content(&[("a", "3")]), 0o600).unwrap();
        assert_ne!(current(), first);
        assert_eq!(fs::read_to_string(folder.join("a")).unwrap(), "3");
        let mode = fs::metadata(folder.join("a")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let mut left: Vec<String> = fs::read_dir(&folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| !name.starts_with("..1"))
            .collect();
        left.sort();
        assert_eq!(left, ["..data", "a"]);
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 3);
    }
}
