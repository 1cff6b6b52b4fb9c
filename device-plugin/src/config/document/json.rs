//! JSON as people write it: comments, trailing commas, keys without quotes.

use jsonc_parser::{CollectOptions, ParseOptions, ast::Value as Ast, common::Ranged, parse_to_ast};

use super::{Node, Problem, Value, problem};

/// Reads a whole document.
pub(super) fn read(document: &str) -> Result<Node<'_>, Problem> {
    let options = ParseOptions {
        // More often a slip of the hand than meant.
        allow_missing_commas: false,
        ..ParseOptions::default()
    };
    let parsed = parse_to_ast(document, &CollectOptions::default(), &options).map_err(|error| {
        let text = error.kind().to_string();
        problem(
            document,
            error.range().start,
            format!("not JSON: {}", lower_first(&text)),
        )
    })?;
    match parsed.value {
        Some(value) => Ok(node(document, String::new(), value)),
        None => Err(problem(document, 0, "the document is empty")),
    }
}

fn node<'a>(document: &'a str, path: String, ast: Ast<'a>) -> Node<'a> {
    let offset = ast.range().start;
    let value = match ast {
        Ast::NullKeyword(_) => Value::Null,
        Ast::BooleanLit(flag) => Value::Flag(flag.value),
        Ast::NumberLit(_) => Value::Number,
        Ast::StringLit(text) => Value::Text(text.value),
        Ast::Array(list) => {
            let items = list.elements.into_iter().enumerate();
            Value::List(
                items
                    .map(|(index, item)| node(document, format!("{path}[{index}]"), item))
                    .collect(),
            )
        }
        Ast::Object(object) => {
            let member = |member: jsonc_parser::ast::ObjectProp<'a>| {
                let key = member.name.into_string();
                let below = Node::below(&path, &key);
                (key, node(document, below, member.value))
            };
            Value::Object(object.properties.into_iter().map(member).collect())
        }
    };
    Node {
        document,
        offset,
        path,
        value,
    }
}

fn lower_first(text: &str) -> String {
    let mut letters = text.chars();
    match letters.next() {
        Some(first) => first.to_lowercase().chain(letters).collect(),
        None => String::new(),
    }
}
