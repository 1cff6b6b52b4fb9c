//! What devlink is asked, and what its answers and silences make of a device.

use std::collections::BTreeMap;

use super::*;

/// A devlink that knows some devices and counts the questions.
#[derive(Default)]
pub(crate) struct Known {
    pub(crate) rdma: Vec<&'static str>,
    pub(crate) profiles: BTreeMap<&'static str, &'static str>,
    pub(crate) questions: Vec<String>,
}

impl Devlink for Known {
    fn can_rdma(&mut self, device: &DeviceId) -> bool {
        let name = device.to_string();
        self.questions.push(format!("rdma {name}"));
        self.rdma.contains(&name.as_str())
    }

    fn ddp_profile(&mut self, pf: PciAddress) -> Option<String> {
        let name = pf.to_string();
        self.questions.push(format!("ddp {name}"));
        self.profiles
            .get(name.as_str())
            .map(|profile| (*profile).to_owned())
    }
}

fn ask(devlink: &mut Known) -> Node {
    let fake = FakeSysfs::parse(F1);
    // The RDMA device of one VF is in a pod's namespace.
    fake.remove("bus/pci/devices/0000:af:00.2/infiniband")
        .directory("bus/pci/devices/0000:af:00.2/infiniband");
    scan_asking(&fake.sysfs(), &f1_network(), devlink).unwrap()
}

#[test]
fn l11_devlink_tells_of_rdma_where_sysfs_shows_no_device() {
    let mut devlink = Known {
        rdma: vec!["0000:af:00.2"],
        ..Known::default()
    };
    let node = ask(&mut devlink);
    let vf = function(&node, "0000:af:00.2");
    assert!(vf.can_rdma && vf.rdma.is_empty());
    assert!(!function(&node, "0000:18:02.0").can_rdma);
    assert!(function(&node, "0000:af:00.3").can_rdma);
    let asked = |name: &str| devlink.questions.contains(&format!("rdma {name}"));
    assert!(asked("0000:af:00.2"));
    assert!(!asked("0000:af:00.3"), "sysfs shows its device");
    assert!(!asked("0000:b1:00.0"), "an accelerator");
}

#[test]
fn s21_the_profile_of_a_pf_is_that_of_its_vfs_and_asked_for_once() {
    let mut devlink = Known {
        profiles: BTreeMap::from([("0000:18:00.0", "GTP")]),
        ..Known::default()
    };
    let node = ask(&mut devlink);
    let profile = |name: &str| function(&node, name).ddp_profile.clone();
    for name in ["0000:18:00.0", "0000:18:02.0", "0000:18:02.2"] {
        assert_eq!(profile(name).as_deref(), Some("GTP"), "{name}");
    }
    assert_eq!(profile("0000:af:00.2"), None);
    let asked = devlink
        .questions
        .iter()
        .filter(|asked| *asked == "ddp 0000:18:00.0");
    assert_eq!(asked.count(), 1);
}

#[test]
fn s22_without_an_answer_of_devlink_there_is_no_profile_and_no_tool_is_run_for_it() {
    // The only source of a profile is the trait: a scan that nobody answers gives none.
    let node = scan(&FakeSysfs::parse(F1).sysfs(), &f1_network()).unwrap();
    assert!(
        node.functions
            .iter()
            .all(|function| function.ddp_profile.is_none())
    );
    let node = ask(&mut Known::default());
    assert!(
        node.functions
            .iter()
            .all(|function| function.ddp_profile.is_none())
    );
}

#[test]
fn a_kernel_that_is_asked_nothing_or_knows_no_such_device_says_no() {
    let (pf, vf) = (
        "0000:ff:1f.0".parse().unwrap(),
        DeviceId::Pci("0000:ff:1f.7".parse().unwrap()),
    );
    for asked in [false, true] {
        let mut kernel = Kernel::new(asked, asked);
        assert_eq!(kernel.ddp_profile(pf), None);
        assert!(!kernel.can_rdma(&vf));
        assert!(!kernel.can_rdma(&"mlx5_core.sf.4".parse().unwrap()));
    }
}
