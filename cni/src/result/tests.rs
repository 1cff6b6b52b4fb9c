use proptest::prelude::*;

use super::*;

const FULL: &str = r#"{"cniVersion":"1.1.0","interfaces":[{"name":"cni0"},{"name":"net1","mac":"02:00:00:00:00:01","mtu":9000,"sandbox":"/var/run/netns/a","socketPath":"/s","pciID":"0000:3b:02.0"}],"ips":[{"interface":1,"address":"10.1.2.3/24","gateway":"10.1.2.1"},{"interface":0,"address":"fd00::5/64"},{"address":"10.9.9.9/32"}],"routes":[{"dst":"0.0.0.0/0","gw":"10.1.2.1","mtu":1400,"advmss":1360,"priority":10,"table":0,"scope":253},{"dst":"fd01::/64"}],"dns":{"nameservers":["10.0.0.10"],"domain":"a.b","search":["b"],"options":["ndots:5"]}}"#;

fn full() -> AddResult {
    parse(FULL.as_bytes(), Version::V0_1_0).unwrap()
}

fn printed(text: &str, version: Version) -> String {
    parse(text.as_bytes(), Version::V0_1_0)
        .unwrap()
        .to_json(version)
        .unwrap()
}

#[test]
fn a_full_result_prints_as_it_was_read() {
    assert_eq!(full().to_json(Version::V1_1_0).unwrap(), FULL);
}

#[test]
fn between_1_1_and_1_0_only_the_version_changes() {
    let wanted = FULL.replace("1.1.0", "1.0.0");
    assert_eq!(full().to_json(Version::V1_0_0).unwrap(), wanted);
    assert_eq!(printed(&wanted, Version::V1_1_0), FULL);
}

#[test]
fn down_to_0_4_interfaces_lose_keys_and_addresses_get_a_family() {
    for version in [Version::V0_3_0, Version::V0_3_1, Version::V0_4_0] {
        let wanted = format!(
            r#"{{"cniVersion":"{version}","interfaces":[{{"name":"cni0"}},{{"name":"net1","mac":"02:00:00:00:00:01","sandbox":"/var/run/netns/a"}}],"ips":[{{"version":"4","interface":1,"address":"10.1.2.3/24","gateway":"10.1.2.1"}},{{"version":"6","interface":0,"address":"fd00::5/64"}},{{"version":"4","address":"10.9.9.9/32"}}],"routes":[{{"dst":"0.0.0.0/0","gw":"10.1.2.1","mtu":1400,"advmss":1360,"priority":10,"table":0,"scope":253}},{{"dst":"fd01::/64"}}],"dns":{{"nameservers":["10.0.0.10"],"domain":"a.b","search":["b"],"options":["ndots:5"]}}}}"#
        );
        assert_eq!(full().to_json(version).unwrap(), wanted);
    }
}

#[test]
fn an_empty_dns_is_printed_below_1_0_only() {
    let empty = AddResult::default();
    assert_eq!(
        empty.to_json(Version::V1_1_0).unwrap(),
        r#"{"cniVersion":"1.1.0"}"#
    );
    assert_eq!(
        empty.to_json(Version::V1_0_0).unwrap(),
        r#"{"cniVersion":"1.0.0"}"#
    );
    assert_eq!(
        empty.to_json(Version::V0_4_0).unwrap(),
        r#"{"cniVersion":"0.4.0","dns":{}}"#
    );
}

#[test]
fn down_to_0_2_the_first_address_of_each_family_stays_with_its_routes() {
    for version in [Version::V0_1_0, Version::V0_2_0] {
        let wanted = format!(
            r#"{{"cniVersion":"{version}","ip4":{{"ip":"10.1.2.3/24","gateway":"10.1.2.1","routes":[{{"dst":"0.0.0.0/0","gw":"10.1.2.1"}}]}},"ip6":{{"ip":"fd00::5/64","routes":[{{"dst":"fd01::/64"}}]}},"dns":{{"nameservers":["10.0.0.10"],"domain":"a.b","search":["b"],"options":["ndots:5"]}}}}"#
        );
        assert_eq!(full().to_json(version).unwrap(), wanted);
    }
}

#[test]
fn a_result_without_addresses_cannot_be_told_below_0_3() {
    let result = AddResult {
        interfaces: full().interfaces,
        ..AddResult::default()
    };
    for version in [Version::V0_1_0, Version::V0_2_0] {
        assert!(matches!(result.to_json(version), Err(ResultError::NoAddress(v)) if v == version));
        assert!(result.convertible_to(version).is_err());
    }
    assert!(result.convertible_to(Version::V0_3_0).is_ok());
}

#[test]
fn up_from_0_2_addresses_have_no_interface_and_routes_are_merged() {
    let old = r#"{"cniVersion":"0.2.0","ip4":{"ip":"10.0.0.2/24","gateway":"10.0.0.1","routes":[{"dst":"10.8.0.0/16"}]},"ip6":{"ip":"fd00::2/64","routes":[{"dst":"::/0","gw":"fd00::1"}]},"dns":{}}"#;
    assert_eq!(
        printed(old, Version::V1_0_0),
        r#"{"cniVersion":"1.0.0","ips":[{"address":"10.0.0.2/24","gateway":"10.0.0.1"},{"address":"fd00::2/64"}],"routes":[{"dst":"10.8.0.0/16"},{"dst":"::/0","gw":"fd00::1"}]}"#
    );
    assert_eq!(printed(old, Version::V0_2_0), old);
}

#[test]
fn a_result_without_version_takes_that_of_the_configuration() {
    let bare = br#"{"ips":[{"address":"10.0.0.1/8"}]}"#;
    assert_eq!(parse(bare, Version::V1_0_0).unwrap().ips.len(), 1);
    assert_eq!(parse(bare, Version::V0_2_0).unwrap().ips.len(), 0);
    // A configuration without version is of 0.1.0, so a result with none at all is read as that.
    let oldest = parse(
        br#"{"ip4":{"ip":"10.0.0.1/8"}}"#,
        Version::of_config("").unwrap(),
    )
    .unwrap();
    assert_eq!(oldest.ips.len(), 1);
    let empty = br#"{"cniVersion":"","ips":[{"address":"10.0.0.1/8"}]}"#;
    assert_eq!(parse(empty, Version::V1_0_0).unwrap().ips.len(), 1);
}

#[test]
fn interface_index_0_is_printed() {
    let text = r#"{"cniVersion":"1.0.0","interfaces":[{"name":"a"}],"ips":[{"interface":0,"address":"10.0.0.1/8"}]}"#;
    assert_eq!(printed(text, Version::V1_0_0), text);
}

#[test]
fn nulls_and_empty_addresses_mean_absent() {
    let text = r#"{"cniVersion":"1.0.0","interfaces":null,"ips":[{"interface":null,"address":"10.0.0.1/8","gateway":""}],"routes":[{"dst":"10.0.0.0/8","gw":null}],"dns":{"nameservers":null}}"#;
    assert_eq!(
        printed(text, Version::V1_0_0),
        r#"{"cniVersion":"1.0.0","ips":[{"address":"10.0.0.1/8"}],"routes":[{"dst":"10.0.0.0/8"}]}"#
    );
}

#[test]
fn a_route_without_destination_is_a_default_route() {
    let text = br#"{"cniVersion":"1.0.0","routes":[{"gw":"10.0.0.1"},{"gw":"fd00::1"},{"gw":"::ffff:10.0.0.2"}]}"#;
    let result = parse(text, Version::V1_0_0).unwrap();
    assert!(result.routes.iter().all(Route::is_default));
    assert_eq!(result.routes[1].dst.to_string(), "::/0");
    assert_eq!(result.routes[2].gw.unwrap().to_string(), "10.0.0.2");
}

#[test]
fn nothing_and_garbage_are_told_apart() {
    assert!(matches!(
        parse(b" \n", Version::CURRENT),
        Err(ResultError::Empty)
    ));
    for text in [
        "hello",
        "[]",
        "[null]",
        "null",
        "{",
        r#"{"ips":[{"address":"10.0.0.1"}]}"#,
        r#"{"ips":[{"address":"10.0.0.1/8","gateway":"x"}]}"#,
    ] {
        assert!(
            matches!(
                parse(text.as_bytes(), Version::CURRENT),
                Err(ResultError::Garbage { .. })
            ),
            "{text}"
        );
    }
    let unknown = parse(br#"{"cniVersion":"9.9.9"}"#, Version::CURRENT);
    assert!(matches!(unknown, Err(ResultError::Version(_))));
}

fn word() -> impl Strategy<Value = String> {
    "[a-z0-9.:/]{0,8}"
}

fn network() -> impl Strategy<Value = IpNet> {
    prop_oneof![
        (any::<[u8; 4]>(), 0..=32u8).prop_map(|(a, p)| IpNet::new(IpAddr::from(a), p).unwrap()),
        (any::<[u16; 8]>(), 0..=128u8).prop_map(|(a, p)| IpNet::new(IpAddr::from(a), p).unwrap()),
    ]
}

fn gateway() -> impl Strategy<Value = Option<IpAddr>> {
    proptest::option::of(network().prop_map(|net| net.addr().to_canonical()))
}

prop_compose! {
    fn interface()(name in word(), mac in word(), mtu in 0..3u32, sandbox in word(), socket_path in word(), pci_id in word()) -> Interface {
        Interface { name, mac, mtu, sandbox, socket_path, pci_id }
    }
}

prop_compose! {
    fn ip()(interface in proptest::option::of(0..4usize), address in network(), gateway in gateway()) -> IpConfig {
        IpConfig { interface, address, gateway }
    }
}

prop_compose! {
    fn route()(dst in network(), gw in gateway(), n in proptest::array::uniform3(0..3u32), table in proptest::option::of(0..3u32), scope in proptest::option::of(0..3u32)) -> Route {
        Route { dst, gw, mtu: n[0], advmss: n[1], priority: n[2], table, scope }
    }
}

prop_compose! {
    fn result()(
        interfaces in proptest::collection::vec(interface(), 0..3),
        ips in proptest::collection::vec(ip(), 0..4),
        routes in proptest::collection::vec(route(), 0..4),
        domain in word(),
        nameservers in proptest::collection::vec(word(), 0..2),
    ) -> AddResult {
        AddResult { interfaces, ips, routes, dns: Dns { nameservers, domain, ..Dns::default() } }
    }
}

proptest! {
    #[test]
    fn printing_and_reading_is_lossless_from_1_0_on(result in result()) {
        for version in [Version::V1_0_0, Version::V1_1_0] {
            let text = result.to_json(version).unwrap();
            prop_assert_eq!(&parse(text.as_bytes(), Version::V0_1_0).unwrap(), &result);
        }
    }

    #[test]
    fn a_second_trip_through_an_old_version_changes_nothing(result in result()) {
        for version in Version::ALL {
            if result.convertible_to(version).is_err() {
                continue;
            }
            let once = result.to_json(version).unwrap();
            let read = parse(once.as_bytes(), Version::CURRENT).unwrap();
            prop_assert_eq!(read.to_json(version).unwrap(), once);
        }
    }

    #[test]
    fn addresses_and_routes_survive_every_version_from_0_3_on(result in result()) {
        for version in [Version::V0_3_0, Version::V0_3_1, Version::V0_4_0] {
            let text = result.to_json(version).unwrap();
            let read = parse(text.as_bytes(), Version::CURRENT).unwrap();
            prop_assert_eq!(&read.ips, &result.ips);
            prop_assert_eq!(&read.routes, &result.routes);
            prop_assert_eq!(&read.dns, &result.dns);
            prop_assert_eq!(read.interfaces.len(), result.interfaces.len());
        }
    }
}
