//! The volumes of a pod: folders of the host, folders that live as long as the pod, and content of the API.
#![expect(
    clippy::disallowed_methods,
    reason = "boundary: makes folders and mounts"
)]

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};

use k8s_openapi::api::core::v1::{EmptyDirVolumeSource, HostPathVolumeSource, Pod, Volume};
use nix::mount::{MntFlags, MsFlags, mount, umount2};

use super::content::{self, ContentError, Supply};
use super::limits::{self, BadQuantity};

/// A volume that cannot be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum VolumeError {
    #[error(
        "MountVolume.SetUp failed for volume {volume:?} : hostPath type check failed: {path} is not a {wanted}"
    )]
    WrongType {
        volume: String,
        path: String,
        wanted: String,
    },
    #[error("MountVolume.SetUp failed for volume {volume:?}")]
    Content {
        volume: String,
        #[source]
        source: ContentError,
    },
    #[error("size of volume {volume}")]
    Size {
        volume: String,
        #[source]
        source: BadQuantity,
    },
    #[error("volume {volume}: {verb} {path}")]
    Io {
        volume: String,
        verb: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

/// Makes the volumes of a pod; gives each volume's place on the host.
pub(crate) fn prepare(
    supply: Supply<'_>,
    pod: &Pod,
    pod_folder: &Path,
) -> Result<BTreeMap<String, PathBuf>, VolumeError> {
    let mut places = refresh(supply, pod, pod_folder)?;
    let spec = pod.spec.as_ref();
    for volume in spec.iter().flat_map(|spec| &spec.volumes).flatten() {
        let place = match (&volume.host_path, &volume.empty_dir) {
            (Some(host), _) => host_path(volume, host)?,
            (None, Some(empty)) => empty_dir(volume, empty, pod_folder)?,
            // Content of the API, or refused before, by name.
            (None, None) => continue,
        };
        places.insert(volume.name.clone(), place);
    }
    Ok(places)
}

/// Brings the content of the API up to date; gives the places of these volumes.
pub(crate) fn refresh(
    supply: Supply<'_>,
    pod: &Pod,
    pod_folder: &Path,
) -> Result<BTreeMap<String, PathBuf>, VolumeError> {
    let mut places = BTreeMap::new();
    let spec = pod.spec.as_ref();
    for volume in spec.iter().flat_map(|spec| &spec.volumes).flatten() {
        let Some(folder) = content::folder(volume) else {
            continue;
        };
        let files =
            content::of_volume(supply, pod, volume).map_err(|source| VolumeError::Content {
                volume: volume.name.clone(),
                source,
            })?;
        let path = pod_folder.join(folder).join(&volume.name);
        content::write(&path, &files.unwrap_or_default(), content::mode(volume)).map_err(
            |source| VolumeError::Io {
                volume: volume.name.clone(),
                verb: "write",
                path: path.clone(),
                source,
            },
        )?;
        places.insert(volume.name.clone(), path);
    }
    Ok(places)
}

/// Removes what [`prepare`] made.
pub(crate) fn remove(pod_folder: &Path) -> Result<(), VolumeError> {
    let failed = |verb, path: &Path, source| VolumeError::Io {
        volume: "all".to_owned(),
        verb,
        path: path.to_owned(),
        source,
    };
    let folder = empty_dirs(pod_folder);
    for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
        // Not a mount point: nothing to unmount.
        let _ = umount2(&entry.path(), MntFlags::MNT_DETACH);
    }
    match fs::remove_dir_all(pod_folder) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            Err(failed("remove", pod_folder, source))
        }
        _ => Ok(()),
    }
}

fn empty_dirs(pod_folder: &Path) -> PathBuf {
    pod_folder.join("volumes/kubernetes.io~empty-dir")
}

fn host_path(volume: &Volume, host: &HostPathVolumeSource) -> Result<PathBuf, VolumeError> {
    let path = PathBuf::from(&host.path);
    let kind = host.type_.as_deref().unwrap_or_default();
    if kind == "DirectoryOrCreate" && !path.exists() {
        let failed = |source| VolumeError::Io {
            volume: volume.name.clone(),
            verb: "create",
            path: path.clone(),
            source,
        };
        fs::create_dir_all(&path).map_err(failed)?;
    }
    let found = fs::metadata(&path).map(|found| found.file_type()).ok();
    let fits = match kind {
        "" => true,
        "Directory" | "DirectoryOrCreate" => found.is_some_and(|found| found.is_dir()),
        "File" => found.is_some_and(|found| found.is_file()),
        "Socket" => found.is_some_and(|found| found.is_socket()),
        "CharDevice" => found.is_some_and(|found| found.is_char_device()),
        "BlockDevice" => found.is_some_and(|found| found.is_block_device()),
        _ => false,
    };
    if fits {
        return Ok(path);
    }
    let wanted = kind.to_lowercase();
    Err(VolumeError::WrongType {
        volume: volume.name.clone(),
        path: host.path.clone(),
        wanted,
    })
}

fn empty_dir(
    volume: &Volume,
    empty: &EmptyDirVolumeSource,
    pod_folder: &Path,
) -> Result<PathBuf, VolumeError> {
    let path = empty_dirs(pod_folder).join(&volume.name);
    if path.is_dir() {
        return Ok(path);
    }
    let failed = |verb| {
        let path = path.clone();
        move |source: io::Error| VolumeError::Io {
            volume: volume.name.clone(),
            verb,
            path,
            source,
        }
    };
    fs::create_dir_all(&path).map_err(failed("create"))?;
    match empty.medium.as_deref().unwrap_or_default() {
        "" => {}
        "Memory" => {
            let limit = empty.size_limit.as_ref().map(limits::bytes).transpose();
            let limit = limit.map_err(|source| VolumeError::Size {
                volume: volume.name.clone(),
                source,
            })?;
            let size = limit.map(|limit| format!("size={limit}"));
            mounted(&path, "tmpfs", size.as_deref()).map_err(failed("mount"))?;
        }
        pages => {
            let size = pages
                .strip_prefix("HugePages-")
                .map(|size| format!("pagesize={}", size.trim_end_matches('i')));
            mounted(&path, "hugetlbfs", size.as_deref()).map_err(failed("mount"))?;
        }
    }
    // Any user of the pod may write here.
    fs::set_permissions(&path, fs::Permissions::from_mode(0o777)).map_err(failed("open up"))?;
    Ok(path)
}

fn mounted(path: &Path, kind: &str, options: Option<&str>) -> io::Result<()> {
    Ok(mount(
        Some(kind),
        path,
        Some(kind),
        MsFlags::empty(),
        options,
    )?)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    use crate::standin::api::Store;

    fn spec(volumes: &serde_json::Value) -> Pod {
        let spec = json!({"containers": [], "volumes": volumes});
        serde_json::from_value(json!({"metadata": {"namespace": "default"}, "spec": spec})).unwrap()
    }

    fn prepare(pod: &Pod, folder: &Path) -> Result<BTreeMap<String, PathBuf>, VolumeError> {
        let store = Store::new();
        let supply = Supply {
            store: &store,
            service: None,
        };
        super::prepare(supply, pod, folder)
    }

    #[test]
    fn an_empty_folder_is_made_and_goes_with_the_pod() {
        let root = tempfile::tempdir().unwrap();
        let pod = root.path().join("uid");
        let spec = spec(&json!([{"name": "scratch", "emptyDir": {}}]));
        let place = prepare(&spec, &pod).unwrap()["scratch"].clone();
        fs::write(place.join("file"), "x").unwrap();
        assert_eq!(prepare(&spec, &pod).unwrap()["scratch"], place);
        assert!(place.join("file").exists());
        remove(&pod).unwrap();
        assert!(!pod.exists());
        remove(&pod).unwrap();
    }

    #[test]
    fn a_path_of_the_host_must_be_what_was_said() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().to_str().unwrap();
        let volume =
            |kind: &str| spec(&json!([{"name": "v", "hostPath": {"path": path, "type": kind}}]));
        assert_eq!(
            prepare(&volume("Directory"), root.path()).unwrap()["v"],
            root.path()
        );
        assert_eq!(prepare(&volume(""), root.path()).unwrap()["v"], root.path());
        let refusal = prepare(&volume("Socket"), root.path())
            .unwrap_err()
            .to_string();
        assert!(refusal.ends_with("is not a socket"), "{refusal}");
    }
}
