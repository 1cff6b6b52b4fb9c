//! Properties that every rendering has (spec/ecosystem.md §5.5, step 3). Each is a function from objects to what is
//! wrong, so that the tests below can show that it finds what it is for.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::tools::{name, of_kind, words};

/// Everything that is wrong with a rendering for a platform, one line each.
pub(super) fn problems(objects: &[Value], platform: &str) -> Vec<String> {
    let mut found = Vec::new();
    for set in workloads(objects) {
        let mut told = Vec::new();
        images(set, &mut told);
        containers(set, &mut told);
        host_paths(set, platform, &mut told);
        volumes(set, &mut told);
        pod(set, &mut told);
        if set["kind"] == "DaemonSet" {
            rollout(set, &mut told);
        }
        found.extend(told.into_iter().map(|why| format!("{}: {why}", name(set))));
    }
    accounts(objects, &mut found);
    lasting(objects, &mut found);
    found
}

/// What runs containers.
pub(super) fn workloads(objects: &[Value]) -> impl Iterator<Item = &Value> {
    ["DaemonSet", "Deployment"]
        .into_iter()
        .flat_map(|kind| of_kind(objects, kind))
}

/// Containers of a workload, those of the start first.
pub(super) fn containers_of(set: &Value) -> Vec<&Value> {
    let spec = &set["spec"]["template"]["spec"];
    ["initContainers", "containers"]
        .iter()
        .filter_map(|key| spec[key].as_array())
        .flatten()
        .collect()
}

fn images(set: &Value, told: &mut Vec<String>) {
    let all: BTreeSet<&str> = containers_of(set)
        .iter()
        .filter_map(|container| container["image"].as_str())
        .collect();
    if all.len() != 1 {
        told.push(format!("images are {all:?}, and one holds everything"));
    }
    for image in all {
        if image.contains("latest") || !image.contains("@sha256:") {
            told.push(format!("image {image} is not named by its digest"));
        }
    }
}

fn containers(set: &Value, told: &mut Vec<String>) {
    for container in containers_of(set) {
        let who = container["name"].as_str().unwrap_or_default();
        let resources = &container["resources"];
        for key in ["/requests/cpu", "/requests/memory", "/limits/memory"] {
            if resources.pointer(key).is_none() {
                told.push(format!("{who} has no resources{key}"));
            }
        }
        let context = &container["securityContext"];
        let mut add = words(&context["capabilities"]["add"]);
        add.retain(|one| *one != "DAC_OVERRIDE" && !(*one == "NET_ADMIN" && who == "provision"));
        let wanted = [
            ("privileged", json!(false)),
            ("readOnlyRootFilesystem", json!(true)),
            ("allowPrivilegeEscalation", json!(false)),
            ("seccompProfile", json!({"type": "RuntimeDefault"})),
        ];
        for (key, value) in wanted {
            if context[key] != value {
                told.push(format!("{who}: securityContext.{key} is {}", context[key]));
            }
        }
        if context["capabilities"]["drop"] != json!(["ALL"]) || !add.is_empty() {
            told.push(format!(
                "{who}: capabilities are {}",
                context["capabilities"]
            ));
        }
        if container.get("ports").is_some() {
            told.push(format!(
                "{who} declares ports, which two of it on a node would fight for"
            ));
        }
        if container.get("command").is_none() {
            told.push(format!("{who} leaves its program to the image"));
        }
    }
    for container in set["spec"]["template"]["spec"]["containers"]
        .as_array()
        .into_iter()
        .flatten()
    {
        // These serve nobody: what they are for is done before, or is tried again.
        if ["thin", "approve-certificates"]
            .contains(words(&container["args"]).first().unwrap_or(&""))
        {
            continue;
        }
        for probe in ["startupProbe", "readinessProbe", "livenessProbe"] {
            if container[probe]["exec"]["command"]
                .as_array()
                .is_none_or(Vec::is_empty)
            {
                told.push(format!("{}: no {probe} by a command", container["name"]));
            }
        }
    }
}

/// Folders of the node that a program may see, whether it may write there, and what for.
fn allowed(platform: &str) -> Vec<(String, bool)> {
    let (mut conf, mut bin, mut kubelet) = ("/etc/cni/net.d", "/opt/cni/bin", "/var/lib/kubelet");
    match platform {
        "k3s" => {
            (conf, bin) = (
                "/var/lib/rancher/k3s/agent/etc/cni/net.d",
                "/var/lib/rancher/k3s/data/cni",
            );
        }
        "k0s" => kubelet = "/var/lib/k0s/kubelet",
        "microk8s" => {
            conf = "/var/snap/microk8s/current/args/cni-network";
            bin = "/var/snap/microk8s/current/opt/cni/bin";
            kubelet = "/var/snap/microk8s/common/var/lib/kubelet";
        }
        "openshift" => (conf, bin) = ("/etc/kubernetes/cni/net.d", "/var/lib/cni/bin"),
        _ => {}
    }
    vec![
        // CNI: the configuration that puts multus first, the programs, the state that DEL needs, the socket.
        (conf.to_owned(), true),
        (bin.to_owned(), true),
        ("/var/lib/cni".to_owned(), true),
        ("/run/multus".to_owned(), true),
        // The kubelet: sockets of plugins, and who holds what.
        (format!("{kubelet}/device-plugins"), true),
        (format!("{kubelet}/plugins_registry"), true),
        (format!("{kubelet}/pod-resources"), false),
        // Files for multus and for the runtime.
        ("/var/run/k8s.cni.cncf.io/devinfo/dp".to_owned(), true),
        ("/var/run/cdi".to_owned(), true),
        // Looked at.
        ("/dev".to_owned(), false),
        // The kubelet's credentials, where a node's certificate is asked for with them.
        ("/etc/kubernetes/kubelet.conf".to_owned(), false),
        ("/var/lib/kubelet/pki".to_owned(), false),
        (
            "/var/lib/rancher/k3s/agent/kubelet.kubeconfig".to_owned(),
            false,
        ),
        ("/var/lib/rancher/k3s/agent".to_owned(), false),
        // provision only.
        ("/sys".to_owned(), true),
        ("/var/lib/cni/sriov".to_owned(), true),
    ]
}

fn host_paths(set: &Value, platform: &str, told: &mut Vec<String>) {
    let allowed = allowed(platform);
    let spec = &set["spec"]["template"]["spec"];
    for volume in spec["volumes"].as_array().into_iter().flatten() {
        let Some(path) = volume["hostPath"]["path"].as_str() else {
            continue;
        };
        let Some((_, may_write)) = allowed.iter().find(|(known, _)| known == path) else {
            told.push(format!("{path} is not among the folders that it needs"));
            continue;
        };
        if volume["hostPath"]["type"]
            .as_str()
            .is_none_or(str::is_empty)
        {
            told.push(format!("{path}: what it must be is not said"));
        }
        for container in containers_of(set) {
            for mount in container["volumeMounts"].as_array().into_iter().flatten() {
                let writes = mount["name"] == volume["name"] && mount["readOnly"] != true;
                let who = container["name"].as_str().unwrap_or_default();
                if writes && (!may_write || (path == "/sys" && who != "provision")) {
                    told.push(format!("{who} may write below {path}"));
                }
            }
        }
    }
}

fn volumes(set: &Value, told: &mut Vec<String>) {
    let spec = &set["spec"]["template"]["spec"];
    let names = |list: &Value| -> BTreeSet<String> {
        let all = list.as_array().map(Vec::as_slice).unwrap_or_default();
        all.iter().map(|one| one["name"].to_string()).collect()
    };
    let given = names(&spec["volumes"]);
    let used: BTreeSet<String> = containers_of(set)
        .iter()
        .flat_map(|container| names(&container["volumeMounts"]))
        .collect();
    if given != used {
        told.push(format!("volumes are {given:?}, mounted are {used:?}"));
    }
}

fn pod(set: &Value, told: &mut Vec<String>) {
    let spec = &set["spec"]["template"]["spec"];
    for key in ["hostPID", "hostIPC"] {
        if spec[key] == true {
            told.push(format!("{key} is on"));
        }
    }
    let priority = match set["kind"].as_str() {
        Some("Deployment") => "system-cluster-critical",
        _ => "system-node-critical",
    };
    if spec["priorityClassName"] != priority {
        told.push(format!("its priority is not {priority}"));
    }
    if set["kind"] == "Deployment" {
        for container in containers_of(set) {
            if container["securityContext"]["runAsNonRoot"] != true {
                told.push(format!("{} runs as root without need", container["name"]));
            }
        }
        if spec["hostNetwork"] == true || spec.get("volumes").is_some() {
            told.push("it is in the node's network or has its files".to_owned());
        }
    }
    if spec["nodeSelector"]["kubernetes.io/os"] != "linux" {
        told.push("it would run on nodes without Linux".to_owned());
    }
    let labels = &set["spec"]["template"]["metadata"]["labels"];
    for (key, value) in set["spec"]["selector"]["matchLabels"]
        .as_object()
        .into_iter()
        .flatten()
    {
        if labels[key] != *value || key.contains("version") {
            told.push(format!("the selector's {key} does not hold for ever"));
        }
    }
}

/// Design §8: never two device plugins, never no multus-daemon.
fn rollout(set: &Value, told: &mut Vec<String>) {
    let strategy = &set["spec"]["updateStrategy"]["rollingUpdate"];
    let good = match set["metadata"]["name"].as_str() {
        Some("kube-multus-ds") => strategy["maxSurge"] == 1 && strategy["maxUnavailable"] == 0,
        _ => strategy["maxSurge"] == 0 && strategy["maxUnavailable"] != 0,
    };
    if !good {
        told.push(format!("it is rolled out as {strategy}"));
    }
}

/// Accounts, roles and bindings fit together, and nobody has rights or a token without need.
fn accounts(objects: &[Value], told: &mut Vec<String>) {
    let all: BTreeSet<String> = objects.iter().map(name).collect();
    let mut bound = BTreeSet::new();
    for binding in objects.iter().filter(|one| {
        one["kind"]
            .as_str()
            .is_some_and(|kind| kind.ends_with("Binding") && kind.contains("Role"))
    }) {
        let role = &binding["roleRef"];
        let namespace = match role["kind"].as_str() {
            Some("Role") => binding["metadata"]["namespace"]
                .as_str()
                .unwrap_or_default(),
            _ => "",
        };
        let role = format!(
            "{}/{namespace}/{}",
            role["kind"].as_str().unwrap_or_default(),
            role["name"].as_str().unwrap_or_default()
        );
        if !all.contains(&role) {
            told.push(format!(
                "{} gives {role}, which is not there",
                name(binding)
            ));
        }
        for subject in binding["subjects"].as_array().into_iter().flatten() {
            // The group of the nodes' own certificates.
            if subject["kind"] == "Group" && subject["name"] == "system:multus" {
                continue;
            }
            let account = format!(
                "{}/{}/{}",
                subject["kind"].as_str().unwrap_or_default(),
                subject["namespace"].as_str().unwrap_or_default(),
                subject["name"].as_str().unwrap_or_default()
            );
            if !all.contains(&account) {
                told.push(format!(
                    "{} is for {account}, which is not there",
                    name(binding)
                ));
            }
            bound.insert(account);
        }
    }
    for set in workloads(objects) {
        let spec = &set["spec"]["template"]["spec"];
        let account = format!(
            "ServiceAccount/{}/{}",
            set["metadata"]["namespace"].as_str().unwrap_or_default(),
            spec["serviceAccountName"].as_str().unwrap_or_default()
        );
        if !all.contains(&account) {
            told.push(format!(
                "{} runs as {account}, which is not there",
                name(set)
            ));
        }
        if bound.contains(&account) == (spec["automountServiceAccountToken"] == false) {
            told.push(format!(
                "{}: its token and its rights do not fit",
                name(set)
            ));
        }
    }
    for role in objects.iter().filter(|one| one["rules"].is_array()) {
        if role["rules"].to_string().contains("\"*\"") {
            told.push(format!("{} has a wildcard", name(role)));
        }
    }
}

/// No way out takes networks away, and none depends on a hook.
pub(super) fn lasting(objects: &[Value], told: &mut Vec<String>) {
    for object in objects {
        let notes = &object["metadata"]["annotations"];
        if notes["helm.sh/hook"].is_string() {
            told.push(format!(
                "{} is a hook, which Carvel would run at the installation",
                name(object)
            ));
        }
        let kind = object["kind"].as_str().unwrap_or_default();
        let lasts = notes["helm.sh/resource-policy"] == "keep"
            && notes["kapp.k14s.io/delete-strategy"] == "orphan";
        if ["CustomResourceDefinition", "NetworkAttachmentDefinition"].contains(&kind) && !lasts {
            told.push(format!(
                "{} would be deleted with the release",
                name(object)
            ));
        }
        if kind == "Namespace" {
            told.push(format!(
                "{} would take along what others put there",
                name(object)
            ));
        }
    }
}
