//! The project's files, and the programs of others that render and check them.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

/// A file of the project.
pub(super) fn file(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

/// Its text.
pub(super) fn text(path: &str) -> String {
    fs::read_to_string(file(path)).unwrap_or_else(|error| panic!("read {path}: {error}"))
}

/// Documents of a YAML text; empty ones are left out.
pub(super) fn documents(yaml: &str) -> Vec<Value> {
    let all: Vec<Value> = serde_saphyr::from_multiple(yaml)
        .unwrap_or_else(|error| panic!("this is no YAML: {error}\n{yaml}"));
    all.into_iter().filter(|one| !one.is_null()).collect()
}

/// A program that `deploy/tools.sh` fetched, that the machine has, or that stands beside the real Kubernetes.
pub(super) fn program(name: &str) -> Option<PathBuf> {
    let assets = std::env::var_os("KUBEBUILDER_ASSETS").map(PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let fetched = ["bin", "venv/bin"].map(|sub| file("target/deploy-tools").join(sub));
    let found = fetched
        .into_iter()
        .chain(std::env::split_paths(&path))
        .chain(assets)
        .map(|dir| dir.join(name))
        .find(|candidate| candidate.is_file());
    if found.is_none() {
        eprintln!("skipped: {name} is not here (deploy/tools.sh fetches it)");
    }
    found
}

/// A program of ours as this tree built it last.
pub(super) fn built(name: &str) -> Option<PathBuf> {
    let host = format!("target/{}-unknown-linux-gnu", std::env::consts::ARCH);
    let found = ["release", "debug", "small"]
        .map(|profile| file(&format!("{host}/{profile}/{name}")))
        .into_iter()
        .filter_map(|path| Some((fs::metadata(&path).ok()?.modified().ok()?, path)))
        .max();
    if found.is_none() {
        eprintln!("skipped: {name} is not built");
    }
    found.map(|(_, path)| path)
}

/// Files of the project, from its root on: none that a build made.
pub(super) fn sources() -> Vec<PathBuf> {
    let root = file(".");
    let (mut found, mut folders) = (Vec::new(), vec![root.clone()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap_or_default();
            if path.is_file() {
                found.push(path.strip_prefix(&root).unwrap().to_owned());
            } else if ![".git", ".lab", "target"].iter().any(|made| name == *made) {
                folders.push(path);
            }
        }
    }
    found
}

/// Runs a program; its output, or what it says is wrong.
pub(super) fn run<S: AsRef<std::ffi::OsStr>>(program: &Path, args: &[S]) -> Result<String, String> {
    let output = Command::new(program)
        .args(args)
        .current_dir(file("."))
        .output()
        .unwrap_or_else(|error| panic!("run {}: {error}", program.display()));
    let out = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        Ok(out)
    } else {
        Err(out + &String::from_utf8_lossy(&output.stderr))
    }
}

/// Objects of the chart rendered with these options of `helm template`; `None` without helm.
pub(super) fn rendered(version: &str, options: &[&str]) -> Option<Vec<Value>> {
    Some(documents(
        &template("deploy/chart", version, options)?.unwrap(),
    ))
}

/// What `helm template` prints for a chart, or why it refuses; `None` without helm.
pub(super) fn template(
    chart: &str,
    version: &str,
    options: &[&str],
) -> Option<Result<String, String>> {
    let helm = program("helm")?;
    let mut args = vec!["template", "ferrovia", chart, "--namespace", "kube-system"];
    args.extend(["--kube-version", version]);
    args.extend(options);
    Some(run(&helm, &args))
}

/// `kind/namespace/name`, for messages and for comparing.
pub(super) fn name(object: &Value) -> String {
    let meta = &object["metadata"];
    format!(
        "{}/{}/{}",
        object["kind"].as_str().unwrap_or("?"),
        meta["namespace"].as_str().unwrap_or(""),
        meta["name"].as_str().unwrap_or("?")
    )
}

/// Objects of one kind.
pub(super) fn of_kind<'a>(objects: &'a [Value], kind: &'a str) -> impl Iterator<Item = &'a Value> {
    objects.iter().filter(move |object| object["kind"] == kind)
}

/// The words of a list.
pub(super) fn words(value: &Value) -> Vec<&str> {
    let list = value.as_array().map(Vec::as_slice).unwrap_or_default();
    list.iter().filter_map(Value::as_str).collect()
}

/// Compares a generated file with what is committed, or writes it if the environment says so.
pub(super) fn golden(path: &str, wanted: &str) {
    if std::env::var_os("FERROVIA_BLESS").is_some() {
        let target = file(path);
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        fs::write(target, wanted).unwrap();
        return;
    }
    let committed = fs::read_to_string(file(path)).unwrap_or_default();
    if committed == wanted {
        return;
    }
    let at = committed
        .lines()
        .zip(wanted.lines())
        .position(|(old, new)| old != new)
        .unwrap_or_else(|| committed.lines().count().min(wanted.lines().count()));
    panic!(
        "{path} is not what its source makes, from line {}: run 'make deploy-render'\n- {}\n+ {}",
        at + 1,
        committed.lines().nth(at).unwrap_or("(end)"),
        wanted.lines().nth(at).unwrap_or("(end)")
    );
}
