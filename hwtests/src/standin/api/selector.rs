//! Field and label selectors of list and watch.

use serde_json::Value;

use super::error::ApiError;
use super::object;
use super::resource::Resource;

/// Which objects of a kind are meant.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// Only this namespace.
    pub namespace: Option<String>,
    fields: Vec<Requirement>,
    labels: Vec<Requirement>,
}

#[derive(Debug, Clone)]
struct Requirement {
    key: String,
    test: Test,
}

#[derive(Debug, Clone)]
enum Test {
    Exists,
    Absent,
    In(Vec<String>),
    NotIn(Vec<String>),
}

impl Selection {
    /// Everything, or everything in one namespace.
    pub fn of(namespace: Option<&str>) -> Selection {
        Selection {
            namespace: namespace.map(str::to_owned),
            ..Selection::default()
        }
    }

    /// Adds a field selector such as `spec.nodeName=a,status.phase!=Failed`.
    pub fn with_fields(
        mut self,
        resource: Resource,
        selector: &str,
    ) -> Result<Selection, ApiError> {
        for term in selector.split(',').filter(|term| !term.is_empty()) {
            let requirement = comparison(term).ok_or_else(|| {
                ApiError::bad_request(format!(
                    "invalid selector: '{selector}'; can't understand '{term}'"
                ))
            })?;
            let key = requirement.key.as_str();
            let known = key == "metadata.name"
                || key == "metadata.namespace"
                || resource.fields().contains(&key);
            if !known {
                return Err(ApiError::bad_request(format!(
                    "field label not supported: {key}"
                )));
            }
            self.fields.push(requirement);
        }
        Ok(self)
    }

    /// Adds a label selector such as `app=a,tier in (x,y),!old`.
    pub fn with_labels(mut self, selector: &str) -> Result<Selection, ApiError> {
        for term in terms(selector) {
            let requirement = set_term(&term)
                .or_else(|| comparison(&term))
                .ok_or_else(|| {
                    ApiError::bad_request(format!(
                        "unable to parse label selector '{selector}' at '{term}'"
                    ))
                })?;
            self.labels.push(requirement);
        }
        Ok(self)
    }

    /// Whether the object is meant.
    pub fn matches(&self, object: &Value) -> bool {
        let in_namespace = self
            .namespace
            .as_deref()
            .is_none_or(|wanted| wanted == object::namespace(object));
        in_namespace
            && self
                .fields
                .iter()
                .all(|field| field.accepts(Some(field_of(object, &field.key))))
            && self
                .labels
                .iter()
                .all(|label| label.accepts(label_of(object, &label.key)))
    }
}

impl Requirement {
    fn accepts(&self, value: Option<&str>) -> bool {
        match &self.test {
            Test::Exists => value.is_some(),
            Test::Absent => value.is_none(),
            Test::In(values) => value.is_some_and(|value| values.iter().any(|one| one == value)),
            Test::NotIn(values) => value.is_none_or(|value| values.iter().all(|one| one != value)),
        }
    }
}

/// A field that is absent has the value "", as in the typed objects of a real server.
fn field_of<'a>(object: &'a Value, path: &str) -> &'a str {
    object::text(object, &format!("/{}", path.replace('.', "/")))
}

fn label_of<'a>(object: &'a Value, key: &str) -> Option<&'a str> {
    object.get("metadata")?.get("labels")?.get(key)?.as_str()
}

fn comparison(term: &str) -> Option<Requirement> {
    let term = term.trim();
    let (key, value, equal) = if let Some((key, value)) = term.split_once("!=") {
        (key, value, false)
    } else if let Some((key, value)) = term.split_once("==") {
        (key, value, true)
    } else {
        let (key, value) = term.split_once('=')?;
        (key, value, true)
    };
    let values = vec![value.trim().to_owned()];
    let test = if equal {
        Test::In(values)
    } else {
        Test::NotIn(values)
    };
    Some(Requirement {
        key: key.trim().to_owned(),
        test,
    })
}

fn set_term(term: &str) -> Option<Requirement> {
    let term = term.trim();
    if let Some((head, list)) = term.split_once('(') {
        let values = list
            .strip_suffix(')')?
            .split(',')
            .map(|value| value.trim().to_owned())
            .collect();
        let mut words = head.split_whitespace();
        let (key, operator) = (words.next()?, words.next()?);
        let test = match operator {
            "in" => Test::In(values),
            "notin" => Test::NotIn(values),
            _ => return None,
        };
        return Some(Requirement {
            key: key.to_owned(),
            test,
        });
    }
    if term.contains('=') || term.contains(char::is_whitespace) || term.is_empty() {
        return None;
    }
    let (key, test) = term
        .strip_prefix('!')
        .map_or((term, Test::Exists), |key| (key, Test::Absent));
    Some(Requirement {
        key: key.to_owned(),
        test,
    })
}

/// Splits at the commas outside parentheses.
fn terms(selector: &str) -> Vec<String> {
    let mut found = vec![String::new()];
    let mut depth = 0_usize;
    for letter in selector.chars() {
        match letter {
            ',' if depth == 0 => {
                found.push(String::new());
                continue;
            }
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if let Some(last) = found.last_mut() {
            last.push(letter);
        }
    }
    found.retain(|term| !term.trim().is_empty());
    found
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod() -> Value {
        json!({"metadata": {"name": "a", "namespace": "n", "labels": {"app": "x", "a/b": "1"}}, "spec": {"nodeName": "one"}})
    }

    fn by_labels(selector: &str) -> bool {
        Selection::default()
            .with_labels(selector)
            .unwrap()
            .matches(&pod())
    }

    fn by_fields(selector: &str) -> bool {
        Selection::default()
            .with_fields(Resource::Pods, selector)
            .unwrap()
            .matches(&pod())
    }

    #[test]
    fn fields_select() {
        assert!(by_fields("spec.nodeName=one"));
        assert!(by_fields("spec.nodeName==one,metadata.name=a"));
        assert!(by_fields("status.phase!=Failed"));
        assert!(!by_fields("spec.nodeName=two"));
        assert!(!by_fields("metadata.namespace!=n"));
    }

    #[test]
    fn a_field_without_index_is_refused_by_name() {
        let refusal = Selection::default()
            .with_fields(Resource::Pods, "spec.hostname=a")
            .unwrap_err();
        assert_eq!(
            (refusal.code, refusal.message.as_str()),
            (400, "field label not supported: spec.hostname")
        );
    }

    #[test]
    fn labels_select() {
        for selector in [
            "app=x",
            "app",
            "!old",
            "app in (x, y),a/b=1",
            "app notin (z)",
            "gone!=1",
            "",
        ] {
            assert!(by_labels(selector), "{selector}");
        }
        for selector in ["app=y", "!app", "app in (y)", "app notin (x)", "old"] {
            assert!(!by_labels(selector), "{selector}");
        }
    }

    #[test]
    fn a_selector_that_is_no_selector_is_refused() {
        assert_eq!(
            Selection::default()
                .with_labels("app in x")
                .unwrap_err()
                .code,
            400
        );
        assert_eq!(
            Selection::default()
                .with_fields(Resource::Pods, "metadata.name")
                .unwrap_err()
                .code,
            400
        );
    }

    #[test]
    fn a_namespace_limits() {
        assert!(Selection::of(Some("n")).matches(&pod()));
        assert!(!Selection::of(Some("m")).matches(&pod()));
    }
}
