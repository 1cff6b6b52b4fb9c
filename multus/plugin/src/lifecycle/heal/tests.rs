use serde_json::{Value, json};

use super::*;
use crate::lifecycle::generated;
use crate::lifecycle::intent::UninstallPolicy;

const FLANNEL: &str = r#"{"cniVersion":"1.0.0","name":"cbr0","plugins":[{"type":"flannel"}]}"#;

struct Lab {
    root: tempfile::TempDir,
    store: Store,
}

impl Lab {
    fn new(intent: Option<Intent>) -> Self {
        let root = tempfile::tempdir().unwrap();
        file::create_dir(&root.path().join("net.d"), 0o755).unwrap();
        let store = Store::new(&root.path().join("multus"));
        let lab = Self { root, store };
        if let Some(intent) = intent {
            lab.intend(intent);
        }
        lab
    }

    fn intend(&self, intent: Intent) {
        let installation = Installation {
            intent,
            uninstall_policy: UninstallPolicy::Block,
            conf_dir: self.dir(),
            conf_file: generated::FILE.to_owned(),
            programs: Vec::new(),
            settings: serde_json::Map::new(),
        };
        self.store.write(&installation).unwrap();
    }

    fn dir(&self) -> PathBuf {
        self.root.path().join("net.d")
    }

    fn put(&self, name: &str, text: &str) {
        file::write(
            &self.dir().join(name),
            text.as_bytes(),
            PRIVATE,
            Durability::Process,
        )
        .unwrap();
    }

    fn heal(&self) -> Healed {
        self.heal_with(&json!({}))
    }

    fn heal_with(&self, daemon: &Value) -> Healed {
        let settings = Settings::of(daemon.as_object().unwrap());
        heal(&self.store, &self.dir(), &settings).unwrap()
    }

    fn ours(&self) -> Option<String> {
        file::read_text(&self.dir().join(generated::FILE)).unwrap()
    }
}

#[test]
fn i2_the_configuration_is_written_once_and_again_when_it_was_changed_or_removed() {
    let lab = Lab::new(Some(Intent::Serve));
    lab.put("10-flannel.conflist", FLANNEL);
    assert_eq!(lab.heal().done.len(), 2);
    let good = lab.ours().unwrap();
    assert_eq!(lab.heal().done, []);
    for damage in ["", "{", r#"{"name":"x","type":"bridge"}"#] {
        lab.put(generated::FILE, damage);
        lab.heal();
        assert_eq!(lab.ours().unwrap(), good, "{damage:?}");
    }
    file::remove(&lab.dir().join(generated::FILE)).unwrap();
    lab.heal();
    assert_eq!(lab.ours().unwrap(), good);
}

#[test]
fn i2_without_a_usable_primary_nothing_is_written_and_what_is_there_stays() {
    let lab = Lab::new(Some(Intent::Serve));
    let healed = lab.heal();
    assert!(
        healed.done.is_empty() && healed.trouble.is_some(),
        "{healed:?}"
    );
    assert_eq!(lab.ours(), None);
    lab.put("10-flannel.conflist", FLANNEL);
    lab.heal();
    let good = lab.ours().unwrap();
    for primary in ["", "{", r#"{"name":"x","type":"multus"}"#] {
        lab.put("10-flannel.conflist", primary);
        let healed = lab.heal();
        assert!(healed.trouble.unwrap().contains("10-flannel"));
        assert_eq!(lab.ours().unwrap(), good, "{primary:?}");
        let kept = read_kept(lab.store.cni_dir()).unwrap().unwrap();
        assert_eq!(kept.config, FLANNEL);
    }
}

#[test]
fn i3_only_the_intent_to_serve_changes_anything() {
    for intent in [None, Some(Intent::Drain)] {
        let lab = Lab::new(intent);
        lab.put("10-flannel.conflist", FLANNEL);
        lab.put("00-multus.conf", r#"{"name":"x","type":"multus-shim"}"#);
        assert_eq!(lab.heal(), Healed::default(), "{intent:?}");
        assert_eq!(lab.ours(), None);
        assert!(lab.dir().join("00-multus.conf").exists());
    }
}

#[test]
fn what_go_multus_left_goes_in_the_same_step_after_ours_is_there() {
    let lab = Lab::new(Some(Intent::Serve));
    lab.put("10-flannel.conflist", FLANNEL);
    lab.put("00-multus.conf", r#"{"name":"x","type":"multus-shim"}"#);
    let done = lab.heal().done;
    let write = done
        .iter()
        .position(|step| matches!(step, Step::Write { .. }));
    let remove = done
        .iter()
        .position(|step| *step == Step::Remove("00-multus.conf".into()));
    assert!(write.unwrap() < remove.unwrap(), "{done:?}");
    assert!(!lab.dir().join("00-multus.conf").exists());
}

#[test]
fn q30_an_earlier_primary_that_appears_later_is_taken() {
    let lab = Lab::new(Some(Intent::Serve));
    lab.put("10-flannel.conflist", FLANNEL);
    lab.heal();
    lab.put("05-calico.conflist", &FLANNEL.replace("cbr0", "calico"));
    lab.heal();
    assert!(lab.ours().unwrap().contains("05-calico.conflist"));
}

#[test]
fn row_52_a_configuration_of_the_admins_is_installed_as_it_is_and_a_bad_one_is_not() {
    let lab = Lab::new(Some(Intent::Serve));
    lab.put("10-flannel.conflist", FLANNEL);
    let own = lab.root.path().join("own.json");
    let daemon = json!({"multusConfigFile": own});
    assert!(
        lab.heal_with(&daemon)
            .trouble
            .unwrap()
            .contains("does not exist")
    );
    let text = r#"{"cniVersion":"0.4.0","name":"mine","type":"multus","clusterNetwork":"x"}"#;
    file::write(&own, text.as_bytes(), PRIVATE, Durability::Process).unwrap();
    lab.heal_with(&daemon);
    assert_eq!(lab.ours().as_deref(), Some(text));
    file::write(&own, b"{", PRIVATE, Durability::Process).unwrap();
    assert!(lab.heal_with(&daemon).trouble.unwrap().contains("own.json"));
    assert_eq!(lab.ours().as_deref(), Some(text));
}
