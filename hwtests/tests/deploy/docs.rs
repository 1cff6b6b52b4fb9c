//! Every YAML and JSON block of the documentation is valid, every command in it can be given as it stands: renderings are
//! made, files exist, our programs know the words.

use std::{collections::BTreeSet, fs};

use serde_json::Value;

use super::{
    matrix::OLDEST,
    schema::schema,
    tools::{self, documents, file, text},
    typed,
};

/// Documents whose blocks are tested.
pub(super) const PAGES: [&str; 7] = [
    "README.md",
    "deploy/README.md",
    "deploy/docs/uninstall.md",
    "deploy/docs/migration.md",
    "deploy/docs/failures.md",
    "deploy/docs/monitoring.md",
    "deploy/docs/values.md",
];

/// Programs of others that no machine of ours has, or whose answer depends on the machine.
const FOREIGN: [&str; 9] = [
    "lspci", "ls", "tanzu", "imgpkg", "ctr", "git", "cd", "rustup", "apt-get",
];

/// Blocks of a page: language and text.
fn blocks(page: &str) -> Vec<(String, String)> {
    let (mut found, mut open): (Vec<(String, String)>, _) = (Vec::new(), None::<(String, String)>);
    for line in text(page).lines() {
        let bare = line.trim_start();
        match (&mut open, bare.strip_prefix("```")) {
            (None, Some(language)) => open = Some((language.to_owned(), String::new())),
            (Some(_), Some(_)) => found.extend(open.take()),
            (Some((_, text)), None) => {
                text.push_str(line);
                text.push('\n');
            }
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "{page}: a block does not end");
    found
}

/// The smallest indentation of a block inside a list goes.
fn outdented(text: &str) -> String {
    let depth = |line: &str| line.len() - line.trim_start().len();
    let least = text
        .lines()
        .filter(|line| !line.trim().is_empty())
        .map(depth)
        .min()
        .unwrap_or(0);
    text.lines()
        .map(|line| line.get(least..).unwrap_or_default().to_owned() + "\n")
        .collect()
}

#[test]
fn every_yaml_and_json_block_is_an_object_values_or_pools_and_valid() {
    let mut seen = 0;
    for page in PAGES {
        for (language, block) in blocks(page) {
            if !["yaml", "json"].contains(&language.as_str()) {
                continue;
            }
            for document in documents(&outdented(&block)) {
                seen += 1;
                if let Err(why) = valid(&document) {
                    panic!("{page}: {why}\n{block}");
                }
            }
        }
    }
    assert!(seen >= 6, "only {seen} documents were found");
}

fn valid(document: &Value) -> Result<(), String> {
    let keys: BTreeSet<&str> = document
        .as_object()
        .into_iter()
        .flatten()
        .map(|(key, _)| key.as_str())
        .collect();
    if document["kind"] == "NetworkAttachmentDefinition" {
        return network(document);
    }
    if keys.contains("kind") {
        return typed::problem(document).map_or(Ok(()), Err);
    }
    if keys.contains("resourceList") || keys.contains("provision") && !keys.contains("pools") {
        return pools(document);
    }
    let known = schema();
    let unknown = keys
        .iter()
        .find(|key| known["properties"].get(**key).is_none());
    if let Some(key) = unknown {
        return Err(format!("{key} is no value of the chart"));
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("values.yaml");
    fs::write(&path, document.to_string()).unwrap();
    match tools::template(
        "deploy/chart",
        OLDEST,
        &["--values", &path.to_string_lossy()],
    ) {
        Some(Err(error)) => Err(error),
        _ => Ok(()),
    }
}

/// As multus reads it.
fn network(document: &Value) -> Result<(), String> {
    let config = document["spec"]["config"]
        .as_str()
        .ok_or("spec.config is no text")?;
    cni::config::NetworkList::parse(config.as_bytes())
        .map(drop)
        .map_err(|error| error.to_string())
}

/// As sriovdp reads it, where it is built; its keys at least.
fn pools(document: &Value) -> Result<(), String> {
    let lists = ["resourceList", "provision"].map(|key| document[key].as_array());
    if lists.iter().all(Option::is_none) {
        return Err("neither pools nor provision".to_owned());
    }
    for pool in lists[0].into_iter().flatten() {
        if !pool["resourceName"].is_string() || !pool["selectors"].is_object() {
            return Err(format!("{pool} is no pool"));
        }
    }
    let Some(sriovdp) = tools::built("sriovdp") else {
        return Ok(());
    };
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("config.json");
    fs::write(&path, document.to_string()).unwrap();
    tools::run(&sriovdp, &["validate", &path.to_string_lossy()]).map(drop)
}

/// Words of a line as a shell has them, without expansions.
fn shell_words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote, mut begun) = (Vec::new(), String::new(), None, false);
    for c in line.chars() {
        match (quote, c) {
            (Some(open), _) if c == open => quote = None,
            (None, '\'' | '"') => (quote, begun) = (Some(c), true),
            (None, ' ') => {
                if begun || !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
                begun = false;
            }
            _ => word.push(c),
        }
    }
    if begun || !word.is_empty() {
        words.push(word);
    }
    words
}

#[test]
fn every_command_of_the_documentation_can_be_given_as_it_stands() {
    let mut seen = 0;
    for page in PAGES {
        for (language, block) in blocks(page) {
            if language != "bash" {
                continue;
            }
            for line in outdented(&block)
                .replace("\\\n", " ")
                .lines()
                .filter(|line| !line.trim().is_empty())
            {
                seen += 1;
                if let Err(why) = command(&shell_words(line)) {
                    panic!("{page}: {line}\n{why}");
                }
            }
        }
    }
    assert!(seen >= 20, "only {seen} commands were found");
}

fn command(words: &[String]) -> Result<(), String> {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let (program, rest) = words.split_first().ok_or("an empty command")?;
    match *program {
        "helm" => helm(rest),
        "kubectl" => kubectl(rest),
        "make" => {
            let target = format!("\n{}:", rest.first().ok_or("make what?")?);
            text("Makefile")
                .contains(&target)
                .then_some(())
                .ok_or("no such target".to_owned())
        }
        "bash" => file(rest.first().ok_or("bash what?")?)
            .is_file()
            .then_some(())
            .ok_or("no such script".to_owned()),
        program if FOREIGN.contains(&program) => Ok(()),
        program => ours(program, rest),
    }
}

fn helm(words: &[&str]) -> Result<(), String> {
    match words {
        ["upgrade", "--install", name, chart, options @ ..] => {
            // What only an installation has.
            let options: Vec<&str> = options
                .iter()
                .copied()
                .filter(|word| *word != "--reuse-values")
                .collect();
            let Some(helm) = tools::program("helm") else {
                return Ok(());
            };
            let mut all = vec!["template", name, chart, "--kube-version", OLDEST];
            all.extend(options);
            tools::run(&helm, &all).map(drop)
        }
        ["uninstall", "ferrovia", "--namespace", _] => Ok(()),
        _ => Err("this is no command of helm that is known here".to_owned()),
    }
}

fn kubectl(words: &[&str]) -> Result<(), String> {
    let words = match words {
        ["-n", _, rest @ ..] => rest,
        all => all,
    };
    match words {
        ["apply" | "delete", "-k", folder] => {
            if !file(folder).join("kustomization.yaml").is_file() {
                return Err(format!("{folder} has no kustomization"));
            }
            match tools::program("kubectl") {
                Some(kubectl) => tools::run(&kubectl, &["kustomize", folder]).map(drop),
                None => Ok(()),
            }
        }
        ["apply", "-f", path] => documents(&text(path))
            .iter()
            .find_map(typed::problem)
            .map_or(Ok(()), Err),
        ["rollout", "status", object]
        | ["exec", object, "--", ..]
        | ["delete", "daemonset", object]
            if object.contains("kube-") =>
        {
            let name = object.trim_start_matches("daemonset/");
            let base = text("deploy/kustomize/base/ferrovia.yaml");
            if !base.contains(&format!("name: {name}\n")) {
                return Err(format!("nothing is called {name}"));
            }
            match words {
                ["exec", _, "--", program, rest @ ..] => ours(program, rest),
                _ => Ok(()),
            }
        }
        [
            "get" | "create" | "label" | "describe" | "exec" | "drain",
            ..,
        ] => Ok(()),
        _ => Err("this is no command of kubectl that is known here".to_owned()),
    }
}

/// A program of ours knows the word.
fn ours(program: &str, words: &[&str]) -> Result<(), String> {
    let name = program.rsplit('/').next().unwrap_or(program);
    let source = match name {
        "sriovdp" => "device-plugin/src/args.rs",
        "multus" => "multus/plugin/src/admin.rs",
        "sriov" => "sriov-cni/src/admin.rs",
        _ => {
            return Err(format!(
                "{name} is none of the programs that are known here"
            ));
        }
    };
    let word = words.first().ok_or("which command of it?")?;
    let known = text(source).contains(&format!("\"{word}\""));
    known
        .then_some(())
        .ok_or(format!("{name} has no command {word}"))
}
