use super::*;

#[test]
fn a_reason_is_written_as_its_own_name() {
    for reason in Reason::ALL {
        let json = serde_json::to_string(&reason).unwrap();
        assert_eq!(json, format!("\"{reason}\""));
    }
}

#[test]
fn the_reason_leads_the_details_of_an_error() {
    assert_eq!(Reason::of_details("VFInUse"), Some(Reason::VFInUse));
    assert_eq!(
        Reason::of_details("PoolExhausted: 2 of 2 devices are taken"),
        Some(Reason::PoolExhausted)
    );
    assert_eq!(Reason::of_details("VFInUseful"), None);
    assert_eq!(Reason::of_details(""), None);
}

#[test]
fn a_plan_of_the_smallest_form_is_accepted_and_keeps_the_configuration_byte_for_byte() {
    let plan: Plan = serde_json::from_str(
        r#"{"version":1,"pod":{"namespace":"d","name":"p"},"later":true,
            "attachments":[{"name":"d/n","ifname":"net1","config":{ "type":"x", "big": 12345678901234567890.10 }}]}"#,
    )
    .unwrap();
    let attachment = &plan.attachments[0];
    assert_eq!(
        attachment.config.get(),
        r#"{ "type":"x", "big": 12345678901234567890.10 }"#
    );
    assert!(!attachment.default);
    assert_eq!(
        attachment.keep_default_route,
        Families { v4: true, v6: true }
    );
}

#[test]
fn cni_args_are_pairs_in_order() {
    let attachment: Attachment = serde_json::from_str(
        r#"{"name":"n","ifname":"net1","config":{},"cni_args":[["MAC","02:00:00:00:00:01"],["IP","10.0.0.1/24"]]}"#,
    )
    .unwrap();
    assert_eq!(attachment.cni_args[1], ("IP".into(), "10.0.0.1/24".into()));
}

#[test]
fn i7_a_document_of_another_version_is_known_by_that_and_one_of_ours_by_nothing_else() {
    assert_eq!(other_version(br#"{"version":2,"all":"else"}"#), Some(2));
    assert_eq!(other_version(br#"{"version":1,"all":"else"}"#), None);
    for nothing in ["", "{", "{}", "[]", r#"{"version":"2"}"#] {
        assert_eq!(other_version(nothing.as_bytes()), None, "{nothing}");
    }
}

#[test]
fn i7_a_reason_of_a_newer_release_is_read_as_a_failure_of_the_delegate() {
    let read = |word: &str| serde_json::from_str::<Reason>(&format!("\"{word}\"")).unwrap();
    assert_eq!(read("AReasonOfLater"), Reason::DelegateFailed);
    for reason in Reason::ALL {
        assert_eq!(read(reason.as_str()), reason);
    }
}
