//! Documents about the server: version, health, groups, kinds.

use serde_json::{Value, json};

use super::resource::Resource;

/// The level of the API that this server resembles.
const VERSION: (&str, &str) = ("1", "33");

/// The document at a path; `None` when there is none.
pub(crate) fn document(path: &str) -> Option<Value> {
    match path {
        "/version" => Some(version()),
        "/api" => Some(json!({"kind": "APIVersions", "versions": ["v1"]})),
        "/api/v1" => Some(resources("", "v1")),
        "/apis" => {
            let groups: Vec<Value> = groups().into_iter().map(group).collect();
            Some(json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}))
        }
        _ => {
            let rest = path.strip_prefix("/apis/")?;
            let name = rest.strip_suffix("/v1").unwrap_or(rest);
            let known = groups().into_iter().find(|group| *group == name)?;
            Some(if rest == name {
                group(known)
            } else {
                resources(known, rest)
            })
        }
    }
}

fn version() -> Value {
    let (major, minor) = VERSION;
    json!({
        "major": major, "minor": minor, "gitVersion": format!("v{major}.{minor}.0-ferrovia-standin"),
        "gitCommit": "", "gitTreeState": "clean", "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "none", "compiler": "rustc", "platform": "linux/amd64",
    })
}

fn groups() -> Vec<&'static str> {
    let mut groups: Vec<&str> = Resource::all()
        .map(Resource::group)
        .filter(|group| !group.is_empty())
        .collect();
    groups.sort_unstable();
    groups.dedup();
    groups.push("events.k8s.io");
    groups
}

fn group(name: &str) -> Value {
    let version = json!({"groupVersion": format!("{name}/v1"), "version": "v1"});
    json!({"kind": "APIGroup", "apiVersion": "v1", "name": name, "versions": [version], "preferredVersion": version})
}

fn resources(group: &str, version: &str) -> Value {
    let verbs = json!([
        "create",
        "delete",
        "deletecollection",
        "get",
        "list",
        "patch",
        "update",
        "watch"
    ]);
    let mut found = Vec::new();
    let served = |resource: &Resource| {
        resource.group() == group || (group == "events.k8s.io" && *resource == Resource::Events)
    };
    for resource in Resource::all().filter(served) {
        found.push(json!({
            "name": resource.plural(), "singularName": resource.singular(), "namespaced": resource.namespaced(),
            "kind": resource.kind(), "verbs": verbs, "shortNames": resource.short(),
        }));
        if resource.has_status() {
            found.push(json!({
                "name": format!("{}/status", resource.plural()), "singularName": "", "namespaced": resource.namespaced(),
                "kind": resource.kind(), "verbs": ["get", "patch", "update"],
            }));
        }
        if resource == Resource::Pods {
            found.push(json!({
                "name": "pods/binding", "singularName": "", "namespaced": true, "kind": "Binding", "verbs": ["create"],
            }));
        }
    }
    json!({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": version, "resources": found})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_group_is_described() {
        let list = document("/apis").unwrap();
        let names: Vec<&str> = list["groups"]
            .as_array()
            .unwrap()
            .iter()
            .map(|group| group["name"].as_str().unwrap())
            .collect();
        let wanted = [
            "apiextensions.k8s.io",
            "apps",
            "k8s.cni.cncf.io",
            "rbac.authorization.k8s.io",
            "events.k8s.io",
        ];
        assert_eq!(names, wanted);
        for name in names {
            assert_eq!(document(&format!("/apis/{name}")).unwrap()["name"], name);
            let resources = document(&format!("/apis/{name}/v1")).unwrap();
            assert_eq!(resources["groupVersion"], format!("{name}/v1"));
            assert!(!resources["resources"].as_array().unwrap().is_empty());
        }
    }

    #[test]
    fn unknown_documents_are_none() {
        assert_eq!(document("/apis/batch"), None);
        assert_eq!(document("/apis/batch/v1"), None);
    }
}
