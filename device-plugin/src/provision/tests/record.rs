//! Rule (f): what every VF was is recorded for `sriov`.

use super::*;

fn baseline(bench: &Bench, vf: &str) -> Option<Baseline> {
    let path = Baseline::path(bench.state.path(), vf.parse().unwrap());
    host::file::read_record(&path).unwrap()
}

#[test]
fn f_a_baseline_of_every_vf_is_recorded_with_its_driver_and_attributes() {
    let bench = Bench::provisioned(TWO);
    let kernel = baseline(&bench, VF2).unwrap();
    assert_eq!(kernel.driver.as_deref(), Some("igbvf"));
    assert_eq!(kernel.boot, BOOT);
    assert_eq!(kernel.pf, PF.parse().unwrap());
    assert_eq!(kernel.original.attributes.unwrap().id, 2);
    assert_eq!(kernel.original.netdev.unwrap().name, "v000001104");
    let userspace = baseline(&bench, VF4).unwrap();
    assert_eq!(userspace.driver.as_deref(), Some("vfio-pci"));
    assert_eq!(userspace.original.netdev, None);
}

#[test]
fn f_a_baseline_has_the_shape_of_the_original_in_a_record_of_the_ledger() {
    let bench = Bench::provisioned(TWO);
    let path = Baseline::path(bench.state.path(), VF2.parse().unwrap());
    let text = host::file::read_text(&path).unwrap().unwrap();
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    let keys = |value: &serde_json::Value| {
        let members = value.as_object().unwrap();
        members.keys().cloned().collect::<Vec<_>>().join(" ")
    };
    assert_eq!(keys(&value["original"]), "attributes netdev");
    assert_eq!(
        keys(&value["original"]["netdev"]),
        "name alt_names address permanent_address mtu tx_queue_len up promiscuous all_multicast"
    );
}

#[test]
fn f_a_vf_in_use_is_not_recorded_because_it_shows_what_its_pod_made_of_it() {
    let bench = Bench::provisioned(TWO);
    let path = Baseline::path(bench.state.path(), VF2.parse().unwrap());
    host::file::remove(&path).unwrap();
    bench.hold(VF2);
    assert_eq!(bench.run(TWO)[0].result, Done::Matches);
    assert_eq!(baseline(&bench, VF2), None);
    *bench.holdings.borrow_mut() = Ok(Vec::new());
    bench.run(TWO);
    assert!(baseline(&bench, VF2).is_some());
}

#[test]
fn f_a_torn_baseline_or_one_of_another_boot_is_taken_anew() {
    let bench = Bench::provisioned(TWO);
    let path = format!("baseline/{VF2}");
    bench.state_file(&path, "{\"format\":1,");
    bench.run(TWO);
    let mut known = baseline(&bench, VF2).unwrap();
    known.boot = "an earlier one".to_owned();
    known.write(bench.state.path()).unwrap();
    bench.run(TWO);
    assert_eq!(baseline(&bench, VF2).unwrap().boot, BOOT);
}
