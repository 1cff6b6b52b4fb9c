//! GC and STATUS.

use super::*;

pub(super) fn gc(world: &mut World, network: &str, valid: &Value) -> Result<(), Error> {
    let extra = json!({ "name": network, "cni.dev/valid-attachments": valid });
    let call = world.call(Command::Gc, "", "", &extra);
    super::super::gc::gc(&world.site, &mut (&mut world.machine), &call)
}

#[test]
fn gc_takes_back_what_is_not_valid() {
    let mut world = World::igb();
    world.ipam(GIVES_AN_ADDRESS);
    let before = world.machine.baseline();
    world
        .add(
            "c1",
            NETNS,
            &json!({ "vlan": 100, "ipam": { "type": "test-ipam" } }),
        )
        .unwrap();
    gc(
        &mut world,
        "net",
        &json!([{ "containerID": "c2", "ifname": "net1" }]),
    )
    .unwrap();
    assert_eq!(
        (world.machine.baseline(), world.leftovers()),
        (before, vec![])
    );
    assert_eq!(world.ipam_calls().last().unwrap(), "DEL c1 net1");
}

#[test]
fn gc_leaves_valid_attachments_and_other_networks_alone() {
    let mut world = World::igb();
    world.add("c1", NETNS, &json!({ "vlan": 100 })).unwrap();
    let owned = world.machine.baseline();
    gc(
        &mut world,
        "net",
        &json!([{ "containerID": "c1", "ifname": "net1" }]),
    )
    .unwrap();
    gc(&mut world, "other", &json!([])).unwrap();
    assert_eq!(world.machine.baseline(), owned);
    assert!(world.leftovers().contains(&"ledger/c1@net1".to_owned()));
}

#[test]
fn gc_without_the_list_of_valid_attachments_is_refused() {
    let mut world = World::igb();
    world.add("c1", NETNS, &json!({})).unwrap();
    let call = world.call(Command::Gc, "", "", &json!({}));
    let error = super::super::gc::gc(&world.site, &mut (&mut world.machine), &call).unwrap_err();
    assert_eq!(error.code(), 7);
    assert!(!world.leftovers().is_empty());
}

#[test]
fn status_tells_whether_an_add_could_be_served() {
    let mut world = World::igb();
    let call = world.call(Command::Status, "", "", &json!({}));
    super::super::status::status(&world.site, &mut (&mut world.machine), &call).unwrap();
    assert_eq!(world.leftovers(), [""; 0]);
    world.machine.function = crate::node::Found::Nothing;
    let error =
        super::super::status::status(&world.site, &mut (&mut world.machine), &call).unwrap_err();
    assert_eq!(error.code(), 50);
}

#[test]
fn status_of_an_unusable_state_directory_is_50() {
    let mut world = World::igb();
    write(&world.state("").with_file_name("state"), b"a file");
    let call = world.call(Command::Status, "", "", &json!({}));
    let error =
        super::super::status::status(&world.site, &mut (&mut world.machine), &call).unwrap_err();
    assert_eq!(error.code(), 50);
}

#[test]
fn status_passes_the_ipam_plugins_answer_on() {
    let mut world = World::igb();
    world.ipam(r#"echo '{"code":51,"msg":"no lease left"}'; exit 1"#);
    let call = world.call(
        Command::Status,
        "",
        "",
        &json!({ "ipam": { "type": "test-ipam" } }),
    );
    let error =
        super::super::status::status(&world.site, &mut (&mut world.machine), &call).unwrap_err();
    assert_eq!(error.code(), 51);
}
