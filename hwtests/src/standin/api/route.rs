//! What a path and a query mean.

use super::resource::Resource;

/// A request's target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Route {
    /// The objects of a kind, in one namespace or in all.
    Collection {
        resource: Resource,
        events_group: bool,
        namespace: Option<String>,
    },
    /// One object, or a subresource of it.
    Object {
        resource: Resource,
        events_group: bool,
        namespace: String,
        name: String,
        part: Sub,
    },
    /// A document about the server itself, by its path.
    Document(String),
    /// Nothing.
    Unknown,
}

/// A subresource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sub {
    None,
    Status,
    Binding,
}

impl Route {
    pub(crate) fn of(path: &str) -> Route {
        let parts: Vec<String> = path
            .split('/')
            .filter(|part| !part.is_empty())
            .map(decode)
            .collect();
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        match parts.as_slice() {
            [
                "version" | "readyz" | "livez" | "healthz" | "api" | "apis",
                ..,
            ] if parts.len() == 1 => document(&parts),
            ["api", "v1"] | ["apis", _] | ["apis", _, "v1"] => document(&parts),
            ["api", "v1", rest @ ..] => objects("", rest),
            ["apis", group, "v1", rest @ ..] => objects(group, rest),
            _ => Route::Unknown,
        }
    }
}

fn document(parts: &[&str]) -> Route {
    Route::Document(format!("/{}", parts.join("/")))
}

fn objects(group: &str, rest: &[&str]) -> Route {
    let events_group = group == "events.k8s.io";
    let find = |plural: &str| {
        let resource = Resource::at(if events_group { "" } else { group }, plural)?;
        (!events_group || resource == Resource::Events).then_some(resource)
    };
    let object = |resource: Resource, namespace: &str, name: &str, part| {
        let (namespace, name) = (namespace.to_owned(), name.to_owned());
        Route::Object {
            resource,
            events_group,
            namespace,
            name,
            part,
        }
    };
    let collection = |resource, namespace| Route::Collection {
        resource,
        events_group,
        namespace,
    };
    match *rest {
        ["namespaces", namespace, plural]
        | ["namespaces", namespace, plural, _]
        | ["namespaces", namespace, plural, _, _]
            if find(plural).is_some_and(Resource::namespaced) =>
        {
            let Some(resource) = find(plural) else {
                return Route::Unknown;
            };
            match (rest.get(3), rest.get(4)) {
                (None, _) => collection(resource, Some(namespace.to_owned())),
                (Some(name), None) => object(resource, namespace, name, Sub::None),
                (Some(name), Some(&"status")) if resource.has_status() => {
                    object(resource, namespace, name, Sub::Status)
                }
                (Some(name), Some(&"binding")) if resource == Resource::Pods => {
                    object(resource, namespace, name, Sub::Binding)
                }
                _ => Route::Unknown,
            }
        }
        [plural] => find(plural).map_or(Route::Unknown, |resource| collection(resource, None)),
        [plural, name] => match find(plural) {
            Some(resource) if !resource.namespaced() => object(resource, "", name, Sub::None),
            _ => Route::Unknown,
        },
        [plural, name, "status"] => match find(plural) {
            Some(resource) if !resource.namespaced() && resource.has_status() => {
                object(resource, "", name, Sub::Status)
            }
            _ => Route::Unknown,
        },
        _ => Route::Unknown,
    }
}

/// The parameters of a query.
#[derive(Debug, Clone, Default)]
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    pub(crate) fn of(query: &str) -> Query {
        let pairs = query
            .split('&')
            .filter(|pair| !pair.is_empty())
            .map(|pair| {
                let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
                (
                    decode(&key.replace('+', " ")),
                    decode(&value.replace('+', " ")),
                )
            });
        Query(pairs.collect())
    }

    /// The value of a parameter, "" when absent.
    pub(crate) fn text(&self, key: &str) -> &str {
        self.0
            .iter()
            .find(|(name, _)| name == key)
            .map_or("", |(_, value)| value)
    }

    pub(crate) fn flag(&self, key: &str) -> bool {
        matches!(self.text(key), "1" | "true")
    }

    pub(crate) fn number<T: std::str::FromStr>(&self, key: &str) -> Option<T> {
        self.text(key).parse().ok()
    }
}

/// Undoes percent encoding; what is no encoding stays as it is.
fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let code = tail
            .get(..2)
            .and_then(|pair| std::str::from_utf8(pair).ok())
            .and_then(|pair| u8::from_str_radix(pair, 16).ok());
        if let (b'%', Some(byte)) = (first, code) {
            bytes.push(byte);
            rest = &tail[2..];
        } else {
            bytes.push(first);
            rest = tail;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(path: &str) -> (Resource, String, String, Sub) {
        match Route::of(path) {
            Route::Object {
                resource,
                namespace,
                name,
                part,
                ..
            } => (resource, namespace, name, part),
            other => panic!("{path}: {other:?}"),
        }
    }

    fn collection(path: &str) -> (Resource, Option<String>) {
        match Route::of(path) {
            Route::Collection {
                resource,
                namespace,
                ..
            } => (resource, namespace),
            other => panic!("{path}: {other:?}"),
        }
    }

    #[test]
    fn paths_of_objects() {
        let nads = "/apis/k8s.cni.cncf.io/v1/namespaces/d/network-attachment-definitions/n";
        assert_eq!(
            object(nads),
            (
                Resource::NetworkAttachments,
                "d".into(),
                "n".into(),
                Sub::None
            )
        );
        assert_eq!(
            object("/api/v1/namespaces/d/pods/p/status"),
            (Resource::Pods, "d".into(), "p".into(), Sub::Status)
        );
        assert_eq!(
            object("/api/v1/namespaces/d/pods/p/binding").3,
            Sub::Binding
        );
        assert_eq!(
            object("/api/v1/namespaces/d"),
            (Resource::Namespaces, String::new(), "d".into(), Sub::None)
        );
        assert_eq!(object("/api/v1/nodes/n/status").3, Sub::Status);
    }

    #[test]
    fn paths_of_collections() {
        assert_eq!(collection("/api/v1/pods"), (Resource::Pods, None));
        assert_eq!(
            collection("/api/v1/namespaces/d/pods"),
            (Resource::Pods, Some("d".into()))
        );
        assert_eq!(
            collection("/apis/events.k8s.io/v1/namespaces/d/events").0,
            Resource::Events
        );
        assert_eq!(
            collection("/api/v1/namespaces"),
            (Resource::Namespaces, None)
        );
    }

    #[test]
    fn other_paths_are_nothing() {
        for path in [
            "/",
            "/api/v2/pods",
            "/apis/events.k8s.io/v1/pods",
            "/api/v1/pods/p",
            "/apis/apps/v1/pods",
            "/api/v1/namespaces/d/pods/p/log",
        ] {
            assert_eq!(Route::of(path), Route::Unknown, "{path}");
        }
    }

    #[test]
    fn a_query_is_decoded() {
        let query = Query::of(
            "fieldSelector=spec.nodeName%3Dn%2Cx&watch=1&timeoutSeconds=5&label=a+in+%28b%29",
        );
        assert_eq!(query.text("fieldSelector"), "spec.nodeName=n,x");
        assert!(query.flag("watch"));
        assert_eq!(query.number::<u64>("timeoutSeconds"), Some(5));
        assert_eq!(query.text("label"), "a in (b)");
        assert_eq!(query.text("gone"), "");
    }
}
