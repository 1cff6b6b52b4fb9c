//! Cases A of spec/device-plugin.md §8.6 beyond plain functions: vDPA, sub-functions, accelerators, iommufd.

use super::*;

const FUNCTION: &str = "0000:65:00.3";

fn vdpa(kind: &str, bus: &str) -> Pool {
    let fake = FakeSysfs::parse(&format!(
        "pci 0000:65:00.3{{15b3:101e, 0200, drv=mlx5_core}}\n{bus}"
    ));
    Pool::on(fake, &format!(r#""selectors":{{"vdpaType":"{kind}"}}"#))
}

const VHOST: &str = "vdpa vdpa1{on=0000:65:00.3, drv=vhost_vdpa, node=vhost-vdpa-1}";
const VIRTIO: &str = "vdpa vdpa1{on=0000:65:00.3, drv=virtio_vdpa}";

#[test]
fn a10_a_vhost_vdpa_device_tells_its_node_on_the_first_call() {
    let pool = vdpa("vhost", VHOST).with_node("vhost-vdpa-1");
    let response = pool.allocate(&[FUNCTION]);
    assert_eq!(nodes(&response), ["/dev/vhost-vdpa-1"]);
    assert_eq!(
        info(&response),
        r#"{"0000:65:00.3":{"generic":{"deviceID":"0000:65:00.3"},"vdpa":{"mount":"/dev/vhost-vdpa-1"}}}"#
    );
}

#[test]
fn a10_a_virtio_vdpa_device_has_no_node() {
    let response = vdpa("virtio", VIRTIO).allocate(&[FUNCTION]);
    assert!(response.devices.is_empty());
    assert!(info(&response).contains(r#""vdpa":{}"#));
}

#[test]
fn a10_a_vdpa_device_that_is_not_what_the_pool_offered_is_refused() {
    let refused = |pool: &Pool, change: &dyn Fn(&FakeSysfs)| {
        let listing = pool.listing();
        change(&pool.fake);
        pool.try_allocate(&listing, &[FUNCTION]).unwrap_err()
    };
    let pool = vdpa("vhost", VHOST).with_node("vhost-vdpa-1");
    let error = refused(&pool, &|fake| {
        fake.add(VIRTIO);
    });
    assert_eq!(
        error,
        "allocate 0000:65:00.3: its vDPA device vdpa1 has virtio_vdpa, not vhost_vdpa"
    );
    let pool = vdpa("vhost", VHOST).with_node("vhost-vdpa-1");
    let error = refused(&pool, &|fake| {
        fake.unplug("vdpa", "vdpa1");
    });
    assert_eq!(
        error,
        "allocate 0000:65:00.3: it has no vDPA device any more"
    );
    let error = refused(&vdpa("vhost", VHOST), &|_| {});
    assert_eq!(
        error,
        "allocate 0000:65:00.3: its vDPA device vdpa1 has no node in /dev"
    );
}

/// A pool of sub-functions.
fn sub_functions(members: &str) -> Pool {
    let fake = FakeSysfs::parse(
        "pci 0000:af:00.0{15b3:1017, 0200, drv=mlx5_core, numa=1, net=[pf1]}
         aux mlx5_core.sf.0{on=0000:af:00.0, sfnum=7, net=[sfnet], ib=[mlx5_9]}",
    );
    fake.file("class/infiniband_verbs/uverbs9/ibdev", "mlx5_9\n");
    Pool::on(fake, &format!(r#""deviceType":"auxNetDevice",{members}"#))
}

const SF: &str = "mlx5_core.sf.0";

#[test]
fn a17_a_sub_function_with_vhost_net_and_additional_info() {
    let pool = sub_functions(
        r#""selectors":{"auxTypes":["sf"],"needVhostNet":true},"additionalInfo":{"*":{"a":"1"},"0000:af:00.0":{"a":"2"}}"#,
    );
    let response = pool
        .with_node("vhost-net")
        .with_node("net/tun")
        .allocate(&[SF]);
    assert_eq!(nodes(&response), ["/dev/vhost-net", "/dev/net/tun"]);
    assert_eq!(response.envs["PCIDEVICE_INTEL_COM_NET"], SF);
    assert_eq!(
        info(&response),
        r#"{"mlx5_core.sf.0":{"extra":{"a":"2"},"generic":{"deviceID":"mlx5_core.sf.0"},"vhost":{"net-mount":"/dev/vhost-net","tun-mount":"/dev/net/tun"}}}"#
    );
}

#[test]
fn a6_an_rdma_device_of_a_sub_function_gets_its_character_devices() {
    let pool = sub_functions(r#""selectors":{"auxTypes":["sf"],"isRdma":true}"#);
    let response = pool.allocate(&[SF]);
    assert_eq!(nodes(&response), ["/dev/infiniband/uverbs9"]);
    assert!(info(&response).contains(r#""rdma_dev":"mlx5_9""#));
}

#[test]
fn a_sub_function_that_was_deleted_is_refused() {
    let pool = sub_functions(r#""selectors":{"auxTypes":["sf"]}"#);
    let listing = pool.listing();
    pool.fake.unplug("auxiliary", SF);
    assert_eq!(
        pool.try_allocate(&listing, &[SF]).unwrap_err(),
        "allocate mlx5_core.sf.0: there is no such sub-function any more"
    );
}

#[test]
fn a15_unknown_ids_are_errors_in_pools_of_every_type() {
    for (pool, known) in [
        (
            Pool::new(r#""deviceType":"accelerator","selectors":{}"#),
            "0000:b1:00.0",
        ),
        (sub_functions(r#""selectors":{"auxTypes":["sf"]}"#), SF),
    ] {
        let listing = pool.listing();
        assert!(pool.try_allocate(&listing, &[known]).is_ok());
        for id in [KERNEL, "mlx5_core.sf.1", "software-0"] {
            let error = pool.try_allocate(&listing, &[known, id]).unwrap_err();
            assert_eq!(error, format!("intel.com/net has no device {id:?}"));
        }
    }
}

#[test]
fn a1_an_accelerator_on_vfio_gets_its_group() {
    let pool = Pool::new(r#""deviceType":"accelerator","selectors":{}"#);
    let response = pool.allocate(&["0000:b1:00.0"]);
    assert_eq!(nodes(&response), ["/dev/vfio/vfio", "/dev/vfio/40"]);
    assert!(info(&response).contains(r#""dev-mount":"/dev/vfio/40""#));
}

/// A VF whose kernel shows VFIO devices of their own.
fn iommufd(members: &str) -> Pool {
    let fake = FakeSysfs::parse(F1);
    fake.add(
        "pci 0000:18:02.2{8086:154c, 0200, drv=vfio-pci, iommu=17, vfio=[vfio3], pf=0000:18:00.0}",
    );
    Pool::on(fake, &format!(r#""selectors":{{}}{members}"#))
}

#[test]
fn a_vfio_device_gets_its_own_node_and_iommufd_where_the_kernel_has_them() {
    let group = ["/dev/vfio/vfio", "/dev/vfio/17"];
    let own = ["/dev/vfio/devices/vfio3", "/dev/iommu"];
    let with = |members: &str| {
        iommufd(members)
            .with_node("vfio/devices/vfio3")
            .with_node("iommu")
    };
    let response = with("").allocate(&[VFIO]);
    assert_eq!(nodes(&response), [group, own].concat());
    assert!(info(&response).contains(
        r#""vfio":{"cdev-mount":"/dev/vfio/devices/vfio3","dev-mount":"/dev/vfio/17","iommu-mount":"/dev/iommu","mount":"/dev/vfio/vfio"}"#
    ));
    let response = with(r#","vfioMode":"group""#).allocate(&[VFIO]);
    assert_eq!(nodes(&response), group);
    let response = with(r#","vfioMode":"cdev""#).allocate(&[VFIO]);
    assert_eq!(nodes(&response), own);
    // Half of it is of no use.
    let half = iommufd("").with_node("vfio/devices/vfio3");
    assert_eq!(nodes(&half.allocate(&[VFIO])), group);
    let none = iommufd(r#","vfioMode":"cdev""#);
    let error = none.try_allocate(&none.listing(), &[VFIO]).unwrap_err();
    assert!(error.contains("vfioMode is cdev"), "{error}");
}

#[test]
fn a_driver_of_any_name_that_makes_a_vfio_device_is_one_of_vfio() {
    let pool = iommufd("");
    pool.fake.set_driver(VFIO, Some("nvgrace_gpu"));
    assert_eq!(
        nodes(&pool.allocate(&[VFIO])),
        ["/dev/vfio/vfio", "/dev/vfio/17"]
    );
}

#[test]
fn an_rdma_device_that_is_in_another_pods_namespace_is_refused() {
    let pool = Pool::on(rdma(), r#""selectors":{"isRdma":true}"#);
    let listing = pool.listing();
    pool.fake
        .remove("bus/pci/devices/0000:af:00.3/infiniband/mlx5_3");
    let error = pool.try_allocate(&listing, &["0000:af:00.3"]).unwrap_err();
    assert!(error.contains("it has no RDMA device here"), "{error}");
}
