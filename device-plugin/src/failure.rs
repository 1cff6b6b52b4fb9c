//! Errors as one line, at the edge where they leave the program.

use std::error::Error;

/// An error and its causes, joined by `: `. A cause that says no more than what was said is left out:
/// gRPC's transport wraps one error several times.
pub fn chain(error: &dyn Error) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        if !line.ends_with(&text) {
            line.push_str(": ");
            line.push_str(&text);
        }
        cause = error.source();
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{0}")]
    struct Link(&'static str, #[source] Option<Box<Link>>);

    #[test]
    fn causes_are_told_once_and_in_order() {
        let end = Link("no such file", None);
        let middle = Link("no such file", Some(Box::new(end)));
        let first = Link("connect to /a", Some(Box::new(middle)));
        assert_eq!(chain(&first), "connect to /a: no such file");
    }
}
