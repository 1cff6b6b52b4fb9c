//! Every shell script and every YAML file of the project is clean, and so is what the chart makes of its templates.
//! What is let through, and why, is in `.shellcheckrc` and `.yamllint`.

use std::{fs, io::Read};

use super::{
    matrix::{DIGEST, NEWEST, OLDEST},
    tools::{self, run, sources},
};

/// Whether a file's first line names a shell.
fn is_shell(path: &std::path::Path) -> bool {
    let mut begin = Vec::new();
    let opened = fs::File::open(tools::file("").join(path)).map(|file| file.take(64));
    opened
        .and_then(|mut file| file.read_to_end(&mut begin))
        .unwrap();
    let begin = String::from_utf8_lossy(&begin);
    let first = begin.lines().next().unwrap_or_default();
    first.starts_with("#!") && first.ends_with("sh")
}

#[test]
fn every_shell_script_is_clean_for_shellcheck() {
    let scripts: Vec<_> = sources()
        .into_iter()
        .filter(|path| is_shell(path))
        .collect();
    assert!(scripts.len() >= 9, "{scripts:?}");
    if let Some(shellcheck) = tools::program("shellcheck") {
        run(&shellcheck, &scripts).unwrap();
    }
}

#[test]
fn every_yaml_file_is_clean_for_yamllint() {
    let is_yaml = |path: &std::path::PathBuf| {
        let end = path.extension().unwrap_or_default();
        (end == "yaml" || end == "yml") && !path.to_string_lossy().contains("chart/templates/")
    };
    let mut args = vec!["--strict".into()];
    args.extend(sources().into_iter().filter(is_yaml));
    assert!(args.len() > 15, "{args:?}");
    if let Some(yamllint) = tools::program("yamllint") {
        run(&yamllint, &args).unwrap();
    }
}

#[test]
fn the_chart_is_clean_for_helm_and_what_it_renders_for_yamllint() {
    let Some(helm) = tools::program("helm") else {
        return;
    };
    let more = "pools[0].resourceName=a,provision[0].numVfs=8,devicePlugin.cdi=true,metrics.enabled=true,\
                metrics.serviceMonitor=true,metrics.rules=true,imagePullSecrets[0].name=pull,\
                networks[0].name=a,networks[0].config.type=sriov,multus.capabilities={DAC_OVERRIDE},\
                multus.affinity.nodeAffinity=null,devicePlugin.hostDev=always";
    for set in [DIGEST, more] {
        for certificates in ["false", "true"] {
            let certificates = format!("multus.certificates.enabled={certificates}");
            let options = ["--set", set, "--set", &certificates];
            let mut lint = vec!["lint", "--strict", "deploy/chart"];
            lint.extend(options);
            run(&helm, &lint).unwrap();
            for (version, platform) in [(OLDEST, "generic"), (NEWEST, "openshift")] {
                let platform = format!("platform={platform}");
                let mut all = options.to_vec();
                all.extend(["--set", &platform]);
                let rendered = tools::template("deploy/chart", version, &all).unwrap();
                clean(&rendered.unwrap());
            }
        }
    }
}

fn clean(rendered: &str) {
    let Some(yamllint) = tools::program("yamllint") else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("rendered.yaml");
    fs::write(&path, rendered).unwrap();
    let path = path.to_string_lossy();
    run(&yamllint, &["--strict", "-c", ".yamllint", &path]).unwrap();
}

#[test]
fn a_script_and_a_file_with_faults_are_found() {
    let dir = tempfile::tempdir().unwrap();
    let plant = |name: &str, text: &str| {
        let path = dir.path().join(name);
        fs::write(&path, text).unwrap();
        path
    };
    let script = plant("a", "#!/bin/sh\nrm $1/*\n");
    assert!(is_shell(&script));
    if let Some(shellcheck) = tools::program("shellcheck") {
        let said = run(&shellcheck, &[&script]).unwrap_err();
        assert!(said.contains("SC2086"), "{said}");
    }
    let yaml = plant("a.yaml", "a: 1\na: 2\n");
    if let Some(yamllint) = tools::program("yamllint") {
        let said = run(
            &yamllint,
            &[yaml.to_string_lossy()].map(std::borrow::Cow::into_owned),
        );
        assert!(said.unwrap_err().contains("key-duplicates"));
    }
}
