use base64::Engine as _;
use host::file::{Durability, PRIVATE};

use super::*;
use crate::journal::record::tests::record;
use crate::lifecycle::generated;
use crate::lifecycle::intent::UninstallPolicy;

struct Lab {
    root: tempfile::TempDir,
    store: Store,
}

impl Lab {
    fn new(intent: Intent) -> Self {
        let root = tempfile::tempdir().unwrap();
        for dir in ["net.d", "bin", "cache/results"] {
            file::create_dir(&root.path().join(dir), 0o755).unwrap();
        }
        let lab = Self {
            store: Store::new(&root.path().join("multus")),
            root,
        };
        lab.put("net.d/00-multus.conflist", "{}");
        lab.put(
            "net.d/10-flannel.conf",
            r#"{"name":"cbr0","type":"flannel"}"#,
        );
        lab.put("bin/multus", "x");
        lab.put("bin/multus-shim", "x");
        let installation = Installation {
            intent,
            uninstall_policy: UninstallPolicy::Block,
            conf_dir: lab.path("net.d"),
            conf_file: generated::FILE.to_owned(),
            programs: vec![lab.path("bin/multus"), lab.path("bin/multus-shim")],
            settings: serde_json::Map::new(),
        };
        lab.store.write(&installation).unwrap();
        lab
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    fn put(&self, name: &str, text: &str) {
        file::write(
            &self.path(name),
            text.as_bytes(),
            PRIVATE,
            Durability::Process,
        )
        .unwrap();
    }

    fn leave(&self) -> Left {
        leave(
            &self.store,
            &HostView::same(),
            &self.path("cache"),
            Duration::ZERO,
        )
        .unwrap()
    }

    fn has(&self, name: &str) -> bool {
        self.path(name).exists()
    }
}

#[test]
fn i6_the_last_record_takes_configuration_programs_and_state_with_it() {
    let lab = Lab::new(Intent::Drain);
    let journal = Journal::new(lab.store.cni_dir());
    journal
        .write(Shelf::Live, &record("c1"), Durability::Process)
        .unwrap();
    assert_eq!(lab.leave(), Left::Sandboxes(vec!["c1".into()]));
    assert!(lab.has("net.d/00-multus.conflist") && lab.has("bin/multus"));
    journal.remove(Shelf::Live, "c1").unwrap();
    assert_eq!(lab.leave(), Left::Gone { kept: vec![] });
    for gone in [
        "net.d/00-multus.conflist",
        "bin/multus",
        "bin/multus-shim",
        "multus",
    ] {
        assert!(!lab.has(gone), "{gone}");
    }
    assert!(lab.has("net.d/10-flannel.conf"));
    assert_eq!(lab.leave(), Left::NotAsked);
}

#[test]
fn i6_what_is_kept_damaged_or_of_go_multus_keeps_us_too() {
    for file in [
        "multus/kept/k",
        "multus/damaged/d",
        "multus/0123456789abcdef",
    ] {
        let lab = Lab::new(Intent::Drain);
        let path = lab.path(file);
        file::create_dir(path.parent().unwrap(), 0o700).unwrap();
        lab.put(file, "[]");
        assert!(matches!(lab.leave(), Left::Sandboxes(_)), "{file}");
        assert!(lab.has("net.d/00-multus.conflist"));
    }
}

#[test]
fn i6_nothing_goes_while_no_other_configuration_would_serve() {
    let lab = Lab::new(Intent::Drain);
    lab.put("net.d/10-flannel.conf", "{");
    assert!(matches!(lab.leave(), Left::NoOtherConfiguration(_)));
    assert!(lab.has("net.d/00-multus.conflist") && lab.has("bin/multus") && lab.has("multus"));
}

#[test]
fn i6_on_crio_a_program_that_its_cache_names_stays() {
    for as_text in [true, false] {
        let lab = Lab::new(Intent::Drain);
        let config = r#"{"name":"n","plugins":[{"type":"multus"}]}"#;
        let cached = if as_text {
            config.to_owned()
        } else {
            let encoded = base64::engine::general_purpose::STANDARD.encode(config);
            format!(r#"{{"kind":"cniCacheV1","config":"{encoded}"}}"#)
        };
        lab.put("cache/results/multus-cni-network-c1-eth0", &cached);
        let kept = vec![lab.path("bin/multus")];
        assert_eq!(lab.leave(), Left::Gone { kept });
        assert!(lab.has("bin/multus") && !lab.has("bin/multus-shim"));
    }
}

/// A cached attachment of containerd, made by a configuration whose plugin is `kind`.
fn of_containerd(network: &str, kind: &str) -> String {
    let config = format!(r#"{{"name":"{network}","plugins":[{{"type":"{kind}"}}]}}"#);
    let encoded = base64::engine::general_purpose::STANDARD.encode(config);
    format!(
        r#"{{"kind":"cniCacheV1","networkName":"{network}","config":"{encoded}","capabilityArgs":{{"io.kubernetes.cri.pod-annotations":{{}}}}}}"#
    )
}

#[test]
fn i6_containerd_needs_no_program_for_the_sandboxes_in_its_cache() {
    let lab = Lab::new(Intent::Drain);
    lab.put(
        "cache/results/multus-cni-network-c1-eth0",
        &of_containerd("multus-cni-network", "multus"),
    );
    assert_eq!(lab.leave(), Left::Gone { kept: vec![] });
    assert!(!lab.has("bin/multus"));
}

#[test]
fn row_64_cached_results_of_our_network_that_containerd_will_never_read_go_with_us() {
    let lab = Lab::new(Intent::Drain);
    for (name, text) in [
        ("ours-c1-eth0", of_containerd("ours", "multus")),
        ("ours-c2-eth0", of_containerd("ours", "multus-shim")),
        ("cbr0-c3-eth0", of_containerd("cbr0", "flannel")),
        ("other-c4-eth0", of_containerd("other", "bridge")),
        ("torn-c5-eth0", "{".to_owned()),
    ] {
        lab.put(&format!("cache/results/{name}"), &text);
    }
    assert_eq!(lab.leave(), Left::Gone { kept: vec![] });
    let stay = ["cbr0-c3-eth0", "other-c4-eth0", "torn-c5-eth0"];
    assert_eq!(file::list(&lab.path("cache/results")).unwrap(), stay);
}

#[test]
fn row_64_under_the_primarys_own_name_containerd_reads_the_cached_results_and_they_stay() {
    let lab = Lab::new(Intent::Drain);
    lab.put(
        "cache/results/cbr0-c1-eth0",
        &of_containerd("cbr0", "multus"),
    );
    assert_eq!(lab.leave(), Left::Gone { kept: vec![] });
    assert!(lab.has("cache/results/cbr0-c1-eth0"));
}

#[test]
fn row_64_a_departure_that_was_cut_short_is_finished_by_the_next_try() {
    let lab = Lab::new(Intent::Drain);
    file::remove(&lab.path("net.d/00-multus.conflist")).unwrap();
    file::remove(&lab.path("net.d/10-flannel.conf")).unwrap();
    lab.put(
        "cache/results/ours-c1-eth0",
        &of_containerd("ours", "multus"),
    );
    assert_eq!(lab.leave(), Left::Gone { kept: vec![] });
    assert!(!lab.has("bin/multus") && !lab.has("cache/results/ours-c1-eth0"));
}

#[test]
fn i3_while_serving_nothing_goes() {
    let lab = Lab::new(Intent::Serve);
    assert_eq!(lab.leave(), Left::NotAsked);
    assert!(lab.has("net.d/00-multus.conflist") && lab.has("bin/multus"));
}
