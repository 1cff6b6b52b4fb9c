use k8s_openapi::ByteString;
use rcgen::{CertificateParams, DnType, KeyPair};

use super::super::request::tests::asked;
use super::*;

/// What node `n1` asks for with its kubelet's rights.
fn good() -> CertificateSigningRequest {
    let mut found = asked("n1", &KeyPair::generate().unwrap());
    found.spec.username = Some("system:node:n1".into());
    found.spec.groups = Some(vec!["system:nodes".into(), "system:authenticated".into()]);
    found
}

#[track_caller]
fn denied(found: &CertificateSigningRequest, word: &str) {
    match judge(found) {
        Verdict::Deny(why) => assert!(why.contains(word), "{why}"),
        other => panic!("{other:?}"),
    }
}

fn subject(change: impl FnOnce(&mut CertificateParams)) -> ByteString {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    let name = &mut params.distinguished_name;
    name.push(DnType::OrganizationName, ORGANIZATION);
    name.push(DnType::CommonName, "system:multus:n1");
    change(&mut params);
    let request = params
        .serialize_request(&KeyPair::generate().unwrap())
        .unwrap();
    ByteString(request.pem().unwrap().into_bytes())
}

#[test]
fn row_56_a_node_gets_its_own_certificate_at_first_and_at_renewal() {
    let mut found = good();
    assert_eq!(judge(&found), Verdict::Approve);
    found.spec.username = Some("system:multus:n1".into());
    found.spec.groups = Some(vec!["system:multus".into(), "system:authenticated".into()]);
    assert_eq!(judge(&found), Verdict::Approve);
}

#[test]
fn row_56_a_requester_that_is_no_node_or_another_node_gets_nothing() {
    for (user, word) in [
        ("system:node:n2", "system:multus:n2"),
        (
            "system:serviceaccount:kube-system:multus",
            "which is no node",
        ),
        ("system:node:N1", "no name of a node"),
        ("system:node:", "no name of a node"),
        ("system:node:a..b", "no name of a node"),
    ] {
        let mut found = good();
        found.spec.username = Some(user.into());
        denied(&found, word);
    }
    let mut found = good();
    found.spec.groups = Some(vec!["system:nodes".into(), "system:masters".into()]);
    denied(&found, "system:masters");
}

#[test]
fn row_56_other_usages_and_lifetimes_are_denied() {
    for usages in [
        None,
        Some(vec!["client auth"]),
        Some(vec!["client auth", "digital signature", "server auth"]),
    ] {
        let mut found = good();
        found.spec.usages = usages.map(|u| u.into_iter().map(str::to_owned).collect());
        denied(&found, "usages");
    }
    for seconds in [None, Some(LONGEST_LIFE + 1)] {
        let mut found = good();
        found.spec.expiration_seconds = seconds;
        denied(&found, "expirationSeconds");
    }
}

#[test]
fn row_56_a_subject_with_more_or_other_than_the_nodes_name_is_denied() {
    let with = |request: ByteString| {
        let mut found = good();
        found.spec.request = request;
        found
    };
    assert_eq!(judge(&with(subject(|_| ()))), Verdict::Approve);
    let masters = subject(|params| {
        params
            .distinguished_name
            .push(DnType::OrganizationName, "system:masters");
    });
    denied(&with(masters), "system:masters");
    let country = subject(|params| params.distinguished_name.push(DnType::CountryName, "XX"));
    denied(&with(country), "more than");
    let san = subject(|params| {
        let name = "api.example".try_into().unwrap();
        params.subject_alt_names = vec![rcgen::SanType::DnsName(name)];
    });
    denied(&with(san), "more than");
}

#[test]
fn row_56_what_does_not_claim_to_be_ours_is_left_alone() {
    let mut found = good();
    found.spec.signer_name = "kubernetes.io/kubelet-serving".into();
    assert_eq!(judge(&found), Verdict::Ignore);
    let mut found = good();
    found.spec.request = subject(|params| {
        params
            .distinguished_name
            .push(DnType::CommonName, "system:node:n1");
    });
    assert_eq!(judge(&found), Verdict::Ignore);
    let mut found = good();
    found.spec.request = ByteString(b"junk".to_vec());
    assert_eq!(judge(&found), Verdict::Ignore);
    let mut found = good();
    let denied = condition(&Verdict::Deny("no".into())).unwrap();
    found.status = Some(CertificateSigningRequestStatus {
        conditions: Some(vec![denied]),
        certificate: None,
    });
    assert_eq!(judge(&found), Verdict::Ignore);
}
