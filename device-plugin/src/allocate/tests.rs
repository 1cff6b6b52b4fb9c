//! Cases A of spec/device-plugin.md §8.6: nodes, environment and INFO of network devices.

use std::path::Path;

use host::testing::sysfs::{F1, FakeSysfs};

use super::*;

mod parts;
use crate::{
    access::{AccessError, Roots, access},
    config::{Config, Defaults, load},
    failure,
    health::Signs,
    inventory::{Allocated, Inventory, Seen},
    node::{scan, tests::f1_network},
    plan::plan,
};

const VFIO: &str = "0000:18:02.2";
const KERNEL: &str = "0000:18:02.0";

/// A node with device nodes, and one pool on it.
struct Pool {
    pub(super) fake: FakeSysfs,
    dev: tempfile::TempDir,
    config: Config,
}

impl Pool {
    fn new(members: &str) -> Self {
        Self::on(FakeSysfs::parse(F1), members)
    }

    fn on(fake: FakeSysfs, members: &str) -> Self {
        let text = format!(
            r#"{{"resourceList":[{{"resourceName":"net","resourcePrefix":"intel.com",{members}}}]}}"#
        );
        let defaults = Defaults {
            prefix: "x.org".to_owned(),
            socket_directory: "/".into(),
        };
        let loaded = load(text.as_bytes(), &defaults).unwrap();
        assert_eq!(loaded.rejected, []);
        Self {
            fake,
            dev: tempfile::tempdir().unwrap(),
            config: loaded.config,
        }
    }

    fn with_node(self, path: &str) -> Self {
        let path = self.dev.path().join(path);
        host::file::create_dir(path.parent().unwrap(), 0o700).unwrap();
        host::file::write(&path, b"", 0o600, host::file::Durability::Process).unwrap();
        self
    }

    fn roots(&self) -> Roots {
        Roots {
            sysfs: self.fake.sysfs(),
            dev: self.dev.path().to_owned(),
        }
    }

    fn listing(&self) -> Listing {
        let node = scan(&self.fake.sysfs(), &f1_network()).unwrap();
        let plan = plan(&self.config, &node);
        let mut inventory = Inventory::default();
        let pools = inventory.apply(
            &Seen {
                config: &self.config,
                plan: &plan,
                node: &node,
                signs: &Signs::default(),
            },
            &Allocated::new(),
        );
        pools.into_values().next().unwrap()
    }

    fn try_allocate(
        &self,
        listing: &Listing,
        ids: &[&str],
    ) -> Result<ContainerAllocateResponse, String> {
        let resource = &self.config.pools[0].name;
        let ids: Vec<String> = ids.iter().map(|id| (*id).to_owned()).collect();
        let devices = devices(resource, listing, &ids).map_err(|refused| refused.to_string())?;
        let mut granted = Vec::new();
        for device in devices {
            let access = access(&self.roots(), device).map_err(|error| failure::chain(&error))?;
            granted.push((device, access));
        }
        let cdi = Cdi::new(crate::handover::cdi::Settings::default());
        Ok(response(resource, &granted, &cdi))
    }

    fn allocate(&self, ids: &[&str]) -> ContainerAllocateResponse {
        self.try_allocate(&self.listing(), ids).unwrap()
    }
}

/// `host>container` per node, or one path if they are equal.
fn nodes(response: &ContainerAllocateResponse) -> Vec<String> {
    assert!(response.devices.iter().all(|spec| spec.permissions == "rw"));
    let show = |spec: &DeviceSpec| {
        if spec.host_path == spec.container_path {
            spec.host_path.clone()
        } else {
            format!("{}>{}", spec.host_path, spec.container_path)
        }
    };
    response.devices.iter().map(show).collect()
}

fn info(response: &ContainerAllocateResponse) -> &str {
    &response.envs["PCIDEVICE_INTEL_COM_NET_INFO"]
}

#[test]
fn a1_a_vfio_device_gets_its_group_and_the_container_node_on_the_first_call() {
    let response = Pool::new(r#""selectors":{}"#).allocate(&[VFIO]);
    assert_eq!(nodes(&response), ["/dev/vfio/vfio", "/dev/vfio/17"]);
    assert_eq!(response.envs["PCIDEVICE_INTEL_COM_NET"], VFIO);
    assert_eq!(
        info(&response),
        r#"{"0000:18:02.2":{"generic":{"deviceID":"0000:18:02.2"},"vfio":{"dev-mount":"/dev/vfio/17","mount":"/dev/vfio/vfio"}}}"#
    );
    assert!(response.mounts.is_empty() && response.annotations.is_empty());
}

#[test]
fn a2_two_vfio_devices_share_the_common_node() {
    let fake = FakeSysfs::parse(F1);
    fake.add("pci 0000:18:02.1{8086:154c, 0200, drv=vfio-pci, iommu=18, pf=0000:18:00.0}");
    let response = Pool::on(fake, r#""selectors":{}"#).allocate(&[VFIO, "0000:18:02.1"]);
    assert_eq!(
        nodes(&response),
        ["/dev/vfio/vfio", "/dev/vfio/17", "/dev/vfio/18"]
    );
    assert_eq!(
        response.envs["PCIDEVICE_INTEL_COM_NET"],
        "0000:18:02.2,0000:18:02.1"
    );
}

#[test]
fn s8_without_an_iommu_the_group_has_another_name_on_the_host() {
    let fake = FakeSysfs::parse(F1);
    fake.add("pci 0000:18:02.2{8086:154c, 0200, drv=vfio-pci, iommu=1!noiommu, pf=0000:18:00.0}");
    let response = Pool::on(fake, r#""selectors":{}"#).allocate(&[VFIO]);
    assert_eq!(
        nodes(&response),
        ["/dev/vfio/vfio", "/dev/vfio/noiommu-1>/dev/vfio/1"]
    );
    assert!(info(&response).contains(r#""dev-mount":"/dev/vfio/1""#));
}

#[test]
fn variant_drivers_of_vfio_get_their_group_too() {
    let fake = FakeSysfs::parse(F1);
    fake.set_driver(VFIO, Some("mlx5_vfio_pci"));
    let response = Pool::on(fake, r#""selectors":{}"#).allocate(&[VFIO]);
    assert_eq!(nodes(&response), ["/dev/vfio/vfio", "/dev/vfio/17"]);
}

#[test]
fn a3_a_vfio_device_whose_group_vanished_is_refused_with_the_reason() {
    let pool = Pool::new(r#""selectors":{}"#);
    let listing = pool.listing();
    pool.fake
        .remove(format!("bus/pci/devices/{VFIO}/iommu_group"));
    let error = pool.try_allocate(&listing, &[VFIO]).unwrap_err();
    assert!(error.starts_with("allocate 0000:18:02.2: "), "{error}");
    assert!(error.contains("in no IOMMU group"), "{error}");
}

#[test]
fn a4_a_group_that_is_renumbered_between_two_calls_is_followed() {
    let pool = Pool::new(r#""selectors":{}"#);
    let listing = pool.listing();
    assert!(info(&pool.try_allocate(&listing, &[VFIO]).unwrap()).contains("/dev/vfio/17"));
    pool.fake.directory("kernel/iommu_groups/10");
    let group = pool.fake.root().join("kernel/iommu_groups/10");
    pool.fake
        .link(format!("bus/pci/devices/{VFIO}/iommu_group"), group);
    let response = pool.try_allocate(&listing, &[VFIO]).unwrap();
    assert!(info(&response).contains(r#""dev-mount":"/dev/vfio/10""#));
    assert_eq!(nodes(&response), ["/dev/vfio/vfio", "/dev/vfio/10"]);
}

#[test]
fn a5_a_kernel_vf_gets_no_nodes() {
    let response = Pool::new(r#""selectors":{}"#).allocate(&[KERNEL]);
    assert!(response.devices.is_empty());
    assert_eq!(
        info(&response),
        r#"{"0000:18:02.0":{"generic":{"deviceID":"0000:18:02.0"}}}"#
    );
}

/// Two functions with an RDMA device each.
fn rdma() -> FakeSysfs {
    let fake = FakeSysfs::parse(F1);
    for (class, name, device) in [
        ("infiniband_mad", "issm4", "mlx5_3"),
        ("infiniband_mad", "umad4", "mlx5_3"),
        ("infiniband_verbs", "uverbs4", "mlx5_3"),
        ("infiniband_verbs", "uverbs2", "mlx5_2"),
        ("infiniband_verbs", "abi_version", "no entry of a device"),
    ] {
        fake.file(
            format!("class/{class}/{name}/ibdev"),
            &format!("{device}\n"),
        );
    }
    fake
}

#[test]
fn a6_an_rdma_device_gets_its_character_devices() {
    let pool = Pool::on(rdma(), r#""selectors":{"isRdma":true}"#).with_node("infiniband/rdma_cm");
    let response = pool.allocate(&["0000:af:00.3"]);
    assert_eq!(
        nodes(&response),
        [
            "/dev/infiniband/issm4",
            "/dev/infiniband/umad4",
            "/dev/infiniband/uverbs4",
            "/dev/infiniband/rdma_cm"
        ]
    );
    assert_eq!(
        info(&response),
        r#"{"0000:af:00.3":{"generic":{"deviceID":"0000:af:00.3"},"rdma":{"issm":"/dev/infiniband/issm4","rdma_cm":"/dev/infiniband/rdma_cm","rdma_dev":"mlx5_3","umad":"/dev/infiniband/umad4","uverbs":"/dev/infiniband/uverbs4"}}}"#
    );
}

#[test]
fn a7_two_rdma_devices_share_the_connection_manager() {
    let pool = Pool::on(rdma(), r#""selectors":{"isRdma":true}"#).with_node("infiniband/rdma_cm");
    let response = pool.allocate(&["0000:af:00.2", "0000:af:00.3"]);
    let shared = nodes(&response)
        .iter()
        .filter(|node| node.ends_with("rdma_cm"))
        .count();
    assert_eq!((shared, response.devices.len()), (1, 5));
}

#[test]
fn a8_an_rdma_device_of_an_object_without_is_rdma_gets_nothing_of_it() {
    let pool = Pool::on(
        rdma(),
        r#""selectors":[{"drivers":["iavf"]},{"vendors":["15b3"]}]"#,
    );
    let response = pool.allocate(&["0000:af:00.3"]);
    assert!(response.devices.is_empty());
    assert!(!info(&response).contains("rdma"));
}

#[test]
fn a9_vhost_net_needs_both_nodes() {
    let members = r#""selectors":{"needVhostNet":true}"#;
    let both = Pool::new(members)
        .with_node("vhost-net")
        .with_node("net/tun")
        .allocate(&[KERNEL]);
    assert_eq!(nodes(&both), ["/dev/vhost-net", "/dev/net/tun"]);
    assert!(
        info(&both)
            .contains(r#""vhost":{"net-mount":"/dev/vhost-net","tun-mount":"/dev/net/tun"}"#)
    );
    for present in ["vhost-net", "net/tun"] {
        let one = Pool::new(members).with_node(present).allocate(&[KERNEL]);
        assert!(one.devices.is_empty(), "{present}");
        assert!(!info(&one).contains("vhost"), "{present}");
    }
}

#[test]
fn a11_and_s9_a_uio_device_tells_its_node_on_the_first_call() {
    for driver in ["igb_uio", "uio_pci_generic", "uio"] {
        let fake = FakeSysfs::parse("pci 0000:00:06.0{8086:154c, 0200, uio=[uio1]}");
        fake.set_driver("0000:00:06.0", Some(driver));
        let response = Pool::on(fake, r#""selectors":{}"#).allocate(&["0000:00:06.0"]);
        assert_eq!(nodes(&response), ["/dev/uio1"]);
        assert!(info(&response).contains(r#""uio":{"mount":"/dev/uio1"}"#));
    }
}

#[test]
fn s9_a_uio_device_without_its_node_is_refused() {
    let fake = FakeSysfs::parse("pci 0000:00:06.0{8086:154c, 0200, drv=igb_uio}");
    let pool = Pool::on(fake, r#""selectors":{}"#);
    let error = pool
        .try_allocate(&pool.listing(), &["0000:00:06.0"])
        .unwrap_err();
    assert!(error.starts_with("allocate 0000:00:06.0: "), "{error}");
}

#[test]
fn a12_additional_info_is_told_as_extra_for_every_device_of_the_pool() {
    let pool = Pool::new(r#""selectors":{},"additionalInfo":{"0000:18:02.0":{"token":"y"}}"#);
    let response = pool.allocate(&[KERNEL, "0000:18:02.1"]);
    assert_eq!(
        info(&response),
        r#"{"0000:18:02.0":{"extra":{"token":"y"},"generic":{"deviceID":"0000:18:02.0"}},"0000:18:02.1":{"extra":{},"generic":{"deviceID":"0000:18:02.1"}}}"#
    );
}

#[test]
fn a14_the_name_of_the_variable() {
    let name = crate::config::ResourceName::new("a.b-c.io", "x-1_y", Path::new("/")).unwrap();
    assert_eq!(name.variable(), "PCIDEVICE_A_B-C_IO_X-1_Y");
}

#[test]
fn a15_an_unknown_id_is_an_error_that_names_it() {
    let pool = Pool::new(r#""selectors":{"drivers":["iavf"]}"#);
    let listing = pool.listing();
    for id in [VFIO, "0000:ff:00.0", "junk", "", "0000:18:02.0 "] {
        let error = pool.try_allocate(&listing, &[KERNEL, id]).unwrap_err();
        assert_eq!(error, format!("intel.com/net has no device {id:?}"));
    }
}

#[test]
fn an_unhealthy_device_is_refused_with_its_reason() {
    let pool = Pool::new(r#""selectors":{}"#);
    let mut listing = pool.listing();
    let address: DeviceId = KERNEL.parse().unwrap();
    listing.get_mut(&address).unwrap().unwell = Some(crate::inventory::Unwell::Gone);
    let error = pool.try_allocate(&listing, &[KERNEL]).unwrap_err();
    assert_eq!(
        error,
        "intel.com/net: device 0000:18:02.0 is unhealthy: it is gone while a pod holds it"
    );
}

#[test]
fn a_device_whose_driver_changed_since_the_last_scan_is_refused() {
    let pool = Pool::new(r#""selectors":{}"#);
    let listing = pool.listing();
    pool.fake.set_driver(KERNEL, Some("vfio-pci"));
    let address: DeviceId = KERNEL.parse().unwrap();
    let device = listing[&address].device.as_ref().unwrap();
    let error = access(&pool.roots(), device).unwrap_err();
    assert!(matches!(error, AccessError::DriverChanged { .. }));
    assert_eq!(
        error.to_string(),
        "allocate 0000:18:02.0: its driver is vfio-pci now, the pool offered it with iavf"
    );
}

#[test]
fn a_container_without_devices_gets_an_empty_list_and_an_empty_object() {
    let response = Pool::new(r#""selectors":{}"#).allocate(&[]);
    assert_eq!(response.envs["PCIDEVICE_INTEL_COM_NET"], "");
    assert_eq!(info(&response), "{}");
}
