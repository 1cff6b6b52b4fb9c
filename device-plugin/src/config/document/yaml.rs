//! YAML, one document of it. Scalars without quotes stay text: an id like `8086` is no number.

use granit_parser::{Event, Parser, ScalarStyle, Span, StrInput};

use super::{Node, Problem, Value, problem};

/// Deeper than any configuration, and far from the end of the stack.
const DEEPEST: usize = 64;

/// Reads a whole document.
pub(super) fn read(document: &str) -> Result<Node<'_>, Problem> {
    let mut reader = Reader {
        document,
        parser: Parser::new_from_str(document),
    };
    let mut first = None;
    loop {
        let (event, span) = reader.next()?;
        match event {
            Event::StreamEnd => break,
            Event::DocumentStart(..) if first.is_some() => {
                return Err(reader.problem(span, "a second document: write one only"));
            }
            Event::StreamStart | Event::DocumentStart(..) | Event::DocumentEnd => {}
            event => first = Some(reader.node(event, span, String::new(), 0)?),
        }
    }
    first.ok_or_else(|| problem(document, 0, "the document is empty"))
}

struct Reader<'a> {
    document: &'a str,
    parser: Parser<'a, StrInput<'a>>,
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Result<(Event<'a>, Span), Problem> {
        loop {
            return match self.parser.next_event() {
                // Whether the parser tells comments is a feature that others of the workspace may switch on.
                Some(Ok((Event::Comment(..), _))) => continue,
                Some(Ok(event)) => Ok(event),
                Some(Err(error)) => {
                    let offset = error.marker().byte_offset().unwrap_or(0);
                    let text = format!("not YAML: {}", error.info());
                    Err(problem(self.document, offset, text))
                }
                None => Ok((Event::StreamEnd, Span::default())),
            };
        }
    }

    fn node(
        &mut self,
        event: Event<'a>,
        span: Span,
        path: String,
        depth: usize,
    ) -> Result<Node<'a>, Problem> {
        if depth > DEEPEST {
            return Err(self.problem(span, "nested too deeply"));
        }
        let value = match event {
            Event::Scalar(text, ScalarStyle::Plain, ..) => match text.as_ref() {
                "" | "~" | "null" | "Null" | "NULL" => Value::Null,
                _ => Value::Plain(text),
            },
            Event::Scalar(text, ..) => Value::Text(text),
            Event::SequenceStart(..) => self.list(&path, depth)?,
            Event::MappingStart(..) => self.object(&path, depth)?,
            Event::Alias(_) => {
                return Err(self.problem(span, "an alias (*name): write the value out"));
            }
            _ => return Err(self.problem(span, "expected a value")),
        };
        Ok(Node {
            document: self.document,
            offset: span.start.byte_offset().unwrap_or(0),
            path,
            value,
        })
    }

    fn list(&mut self, path: &str, depth: usize) -> Result<Value<'a>, Problem> {
        let mut items = Vec::new();
        loop {
            let (event, span) = self.next()?;
            if event == Event::SequenceEnd {
                return Ok(Value::List(items));
            }
            let below = format!("{path}[{}]", items.len());
            items.push(self.node(event, span, below, depth + 1)?);
        }
    }

    fn object(&mut self, path: &str, depth: usize) -> Result<Value<'a>, Problem> {
        let mut members = Vec::new();
        loop {
            let (event, span) = self.next()?;
            let key = match event {
                Event::MappingEnd => return Ok(Value::Object(members)),
                Event::Scalar(key, ..) => key.into_owned(),
                _ => return Err(self.problem(span, "a key is a word")),
            };
            let below = Node::below(path, &key);
            let (event, span) = self.next()?;
            members.push((key, self.node(event, span, below, depth + 1)?));
        }
    }

    fn problem(&self, span: Span, text: &str) -> Problem {
        problem(
            self.document,
            span.start.byte_offset().unwrap_or(0),
            format!("not YAML as it is read here: {text}"),
        )
    }
}
