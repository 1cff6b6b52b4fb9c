use clap::Parser;

use super::*;

mod thin;

#[derive(Debug, Parser)]
struct Line {
    #[command(flatten)]
    options: InstallOptions,
}

struct Lab {
    root: tempfile::TempDir,
}

impl Lab {
    fn new() -> Self {
        let lab = Self {
            root: tempfile::tempdir().unwrap(),
        };
        for dir in ["bin", "net.d"] {
            file::create_dir(&lab.path(dir), 0o755).unwrap();
        }
        lab.put("plugin", "the plugin");
        lab.put(
            "net.d/10-flannel.conf",
            r#"{"name":"cbr0","type":"flannel"}"#,
        );
        lab
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    fn put(&self, name: &str, text: &str) {
        file::write(
            &self.path(name),
            text.as_bytes(),
            0o600,
            Durability::Process,
        )
        .unwrap();
    }

    fn text(&self, name: &str) -> Option<String> {
        file::read_text(&self.path(name)).unwrap()
    }

    fn install(&self, words: &[&str]) -> anyhow::Result<Healed> {
        let line: Vec<String> = ["install"]
            .iter()
            .map(|word| (*word).to_owned())
            .chain([
                format!("--cni-bin-dir={}", self.path("bin").display()),
                format!("--cni-conf-dir={}", self.path("net.d").display()),
                format!("--multus-bin-file={}", self.path("plugin").display()),
            ])
            .chain(words.iter().map(|word| (*word).to_owned()))
            .collect();
        let options = Line::try_parse_from(line)?.options;
        install(&options, &Map::new(), &self.path("state"))
    }

    fn plugin(&self) -> Value {
        let text = self.text("net.d/00-multus.conflist").unwrap();
        let list: Value = serde_json::from_str(&text).unwrap();
        list["plugins"][0].clone()
    }
}

#[test]
fn row_59_both_names_are_installed_and_replaced_by_rename() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    let lab = Lab::new();
    lab.install(&[]).unwrap();
    let inode = |name: &str| std::fs::metadata(lab.path(name)).unwrap().ino();
    for name in ["bin/multus", "bin/multus-shim"] {
        assert_eq!(lab.text(name).as_deref(), Some("the plugin"));
        let mode = std::fs::metadata(lab.path(name)).unwrap().permissions();
        assert_eq!(mode.mode() & 0o777, 0o755);
    }
    let before = inode("bin/multus");
    lab.install(&[]).unwrap();
    assert_eq!(inode("bin/multus"), before, "nothing to do");
    lab.put("plugin", "a newer plugin");
    lab.install(&[]).unwrap();
    assert_ne!(inode("bin/multus"), before);
    assert_eq!(
        lab.text("bin/multus-shim").as_deref(),
        Some("a newer plugin")
    );
}

#[test]
fn row_57_the_options_of_thin_entrypoint_go_into_the_configuration() {
    let lab = Lab::new();
    lab.put(
        "net.d/20-calico.conf",
        r#"{"name":"calico","type":"calico"}"#,
    );
    lab.install(&[
        "--multus-conf-file=auto",
        "--multus-master-cni-file-name=20-calico.conf",
        "--namespace-isolation=true",
        "--global-namespaces=a,b",
        "--multus-log-level=debug",
        "--multus-log-file=/var/log/multus.log",
        "--multus-log-to-stderr=false",
        "--readiness-indicator-file=/run/flannel/subnet.env",
        "--additional-bin-dir=/opt/multus/bin",
        "--cleanup-config-on-exit=true",
        "--skip-config-watch=false",
        "--cni-version=0.3.1",
    ])
    .unwrap();
    let plugin = lab.plugin();
    for (key, value) in [
        ("clusterNetwork", json!(lab.path("net.d/20-calico.conf"))),
        ("namespaceIsolation", json!(true)),
        ("globalNamespaces", json!("a,b")),
        ("logLevel", json!("debug")),
        ("logFile", json!("/var/log/multus.log")),
        ("logToStderr", json!(false)),
        ("readinessindicatorfile", json!("/run/flannel/subnet.env")),
        ("binDir", json!("/opt/multus/bin")),
    ] {
        assert_eq!(plugin[key], value, "{key}");
    }
}

#[test]
fn without_a_primary_the_programs_are_there_and_the_configuration_follows() {
    let lab = Lab::new();
    file::remove(&lab.path("net.d/10-flannel.conf")).unwrap();
    let healed = lab.install(&[]).unwrap();
    assert!(healed.trouble.unwrap().contains("no primary"));
    assert!(lab.text("bin/multus").is_some());
    assert_eq!(lab.text("net.d/00-multus.conflist"), None);
}

#[test]
fn row_59_an_installation_after_a_drain_serves_again() {
    let lab = Lab::new();
    lab.install(&[]).unwrap();
    let store = Store::new(&lab.path("state"));
    let mut installed = store.read().unwrap().unwrap();
    installed.intent = Intent::Drain;
    store.write(&installed).unwrap();
    lab.install(&[]).unwrap();
    assert_eq!(store.read().unwrap().unwrap().intent, Intent::Serve);
}

#[test]
fn a_folder_that_is_not_mounted_is_an_error_that_names_it() {
    let lab = Lab::new();
    std::fs::remove_dir(lab.path("bin")).unwrap();
    let error = lab.install(&[]).unwrap_err().to_string();
    assert!(error.contains("bin is no folder"), "{error}");
}

#[test]
fn row_52_a_file_of_the_admins_is_installed_under_its_own_name() {
    let lab = Lab::new();
    let text = r#"{"cniVersion":"0.4.0","name":"mine","type":"multus","clusterNetwork":"x"}"#;
    lab.put("70-mine.conf", text);
    let own = format!("--multus-conf-file={}", lab.path("70-mine.conf").display());
    lab.install(&[&own]).unwrap();
    assert_eq!(lab.text("net.d/70-mine.conf").as_deref(), Some(text));
    assert_eq!(lab.text("net.d/00-multus.conflist"), None);
}

#[test]
fn row_59_further_plugins_are_installed_and_known_for_the_way_out() {
    let lab = Lab::new();
    lab.put("sriov", "a further plugin");
    let source = format!("--plugin={}", lab.path("sriov").display());
    lab.install(&[&source]).unwrap();
    assert_eq!(lab.text("bin/sriov").as_deref(), Some("a further plugin"));
    let installed = Store::new(&lab.path("state")).read().unwrap().unwrap();
    assert!(installed.programs.contains(&lab.path("bin/sriov")));
}

#[test]
fn only_plugins_leaves_configuration_and_state_alone() {
    let lab = Lab::new();
    lab.put("sriov", "a further plugin");
    let line = Line::parse_from([
        "install".to_owned(),
        "--only-plugins".to_owned(),
        format!("--cni-bin-dir={}", lab.path("bin").display()),
        format!("--plugin={}", lab.path("sriov").display()),
    ]);
    install_plugins(&line.options).unwrap();
    assert_eq!(lab.text("bin/sriov").as_deref(), Some("a further plugin"));
    assert_eq!(lab.text("bin/multus"), None);
    assert!(!lab.path("state").exists());
    assert_eq!(file::list(&lab.path("net.d")).unwrap(), ["10-flannel.conf"]);
}
