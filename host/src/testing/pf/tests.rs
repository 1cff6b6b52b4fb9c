use super::*;
use crate::error::Kind;
use crate::netlink::vf::VlanProtocol;

const MAC: MacAddress = MacAddress([2, 0, 0, 0, 1, 1]);
const OTHER: MacAddress = MacAddress([2, 0, 0, 0, 1, 2]);

fn fake(driver: FakeDriver) -> (FakePf, Pf) {
    let pf = Pf {
        index: 4,
        name: "ens1f0".into(),
        address: "0000:3b:00.0".parse().unwrap(),
    };
    (FakePf::new(pf.clone(), driver, 7), pf)
}

fn errno(result: Result<()>) -> Option<i32> {
    result.unwrap_err().errno()
}

#[test]
fn igb_refuses_with_the_errnos_of_the_real_driver() {
    let (mut fake, pf) = fake(FakeDriver::igb());
    let mut set = |id, attribute| errno(fake.set_vf(&pf, id, &[attribute]));
    let vlan = Vlan {
        id: 100,
        qos: 0,
        protocol: VlanProtocol::Dot1Ad,
    };
    let rate = Rate { min: 10, max: 100 };
    assert_eq!(
        set(0, VfAttribute::LinkState(LinkState::Enable)),
        Some(Errno::EOPNOTSUPP as i32)
    );
    assert_eq!(
        set(0, VfAttribute::Vlan(vlan)),
        Some(Errno::EPROTONOSUPPORT as i32)
    );
    assert_eq!(set(0, VfAttribute::Rate(rate)), Some(Errno::EINVAL as i32));
    assert_eq!(set(7, VfAttribute::Trust(true)), Some(Errno::EINVAL as i32));
}

#[test]
fn an_error_names_attribute_value_vf_and_pf() {
    let (mut fake, pf) = fake(FakeDriver::igb());
    let error = fake
        .set_vf(&pf, 3, &[VfAttribute::LinkState(LinkState::Enable)])
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "set link state on vf 3 of ens1f0 (0000:3b:00.0) to enable"
    );
    assert_eq!(error.kind(), Kind::Unsupported);
}

#[test]
fn the_first_refusal_stops_and_what_came_before_stays() {
    let (mut fake, pf) = fake(FakeDriver::igb());
    let attributes = [
        VfAttribute::Trust(true),
        VfAttribute::LinkState(LinkState::Enable),
        VfAttribute::SpoofCheck(false),
    ];
    assert!(fake.set_vf(&pf, 1, &attributes).is_err());
    let state = fake.vf(&pf, 1).unwrap().unwrap();
    assert_eq!((state.trust, state.spoof_check), (Some(true), Some(true)));
}

#[test]
fn an_address_set_through_the_pf_pins_the_vfs_own_address_unless_trusted() {
    let (mut fake, pf) = fake(FakeDriver::igb());
    fake.set_own_mac(2, MAC).unwrap();
    fake.set_vf(&pf, 2, &[VfAttribute::Mac(MAC)]).unwrap();
    assert_eq!(
        errno(fake.set_own_mac(2, OTHER)),
        Some(Errno::EADDRNOTAVAIL as i32)
    );
    fake.set_vf(&pf, 2, &[VfAttribute::Trust(true)]).unwrap();
    fake.set_own_mac(2, OTHER).unwrap();
    assert_eq!(fake.own_mac(2), OTHER);
}

#[test]
fn a_zero_address_clears_the_mark_and_the_vf_keeps_its_address() {
    let (mut fake, pf) = fake(FakeDriver::igb());
    fake.set_own_mac(2, MAC).unwrap();
    fake.set_vf(&pf, 2, &[VfAttribute::Mac(OTHER)]).unwrap();
    assert_eq!(fake.own_mac(2), MAC);
    fake.set_vf(&pf, 2, &[VfAttribute::Mac(MacAddress::ZERO)])
        .unwrap();
    assert_eq!(fake.own_mac(2), MAC);
    fake.set_own_mac(2, OTHER).unwrap();
}

#[test]
fn a_silent_driver_obeys_and_reports_nothing() {
    let (mut fake, pf) = fake(FakeDriver::silent());
    fake.set_vf(&pf, 0, &[VfAttribute::Trust(true)]).unwrap();
    let state = fake.vf(&pf, 0).unwrap().unwrap();
    assert_eq!((state.trust, state.spoof_check), (None, None));
    assert_eq!(VfAttribute::Trust(true).holds(&state), None);
}

#[test]
fn an_injected_failure_happens_once() {
    let (mut fake, pf) = fake(FakeDriver::full());
    fake.fail_next(Attribute::Trust, Errno::EBUSY);
    assert_eq!(
        errno(fake.set_vf(&pf, 0, &[VfAttribute::Trust(true)])),
        Some(Errno::EBUSY as i32)
    );
    fake.set_vf(&pf, 0, &[VfAttribute::Trust(true)]).unwrap();
    assert_eq!(fake.messages().len(), 2);
}

#[test]
fn a_setting_that_is_ignored_does_not_hold_afterwards() {
    let mut driver = FakeDriver::full();
    driver.ignores.push(Attribute::Vlan);
    let (mut fake, pf) = fake(driver);
    let wanted = VfAttribute::Vlan(Vlan {
        id: 5,
        ..Vlan::default()
    });
    fake.set_vf(&pf, 0, &[wanted]).unwrap();
    let state = fake.vf(&pf, 0).unwrap().unwrap();
    assert_eq!(wanted.holds(&state), Some(false));
}

#[test]
fn a_limit_beyond_the_port_or_below_the_guarantee_is_refused() {
    let (mut igb, pf) = fake(FakeDriver::igb());
    let set = |fake: &mut FakePf, min, max| {
        fake.set_vf(&pf, 0, &[VfAttribute::Rate(Rate { min, max })])
            .is_ok()
    };
    assert!(set(&mut igb, 0, 1000) && !set(&mut igb, 0, 1001));
    let (mut full, _) = fake(FakeDriver::full());
    assert!(set(&mut full, 10, 100) && set(&mut full, 10, 0) && !set(&mut full, 100, 10));
}
