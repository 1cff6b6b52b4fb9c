//! JSON with line breaks, four spaces per level: how every Go plugin prints its result.

/// Lays out a JSON text. Works on the text alone, so that numbers and strings stay as they are written.
pub(super) fn indented(json: &str) -> String {
    let mut out = String::with_capacity(json.len() * 2);
    let mut depth = 0_usize;
    let mut in_string = false;
    let mut escaped = false;
    let mut rest = json.chars().peekable();
    while let Some(c) = rest.next() {
        if in_string {
            out.push(c);
            in_string = escaped || c != '"';
            escaped = !escaped && c == '\\';
            continue;
        }
        match c {
            '"' => {
                in_string = true;
                out.push(c);
            }
            '{' | '[' => {
                out.push(c);
                while rest.next_if(|c| c.is_whitespace()).is_some() {}
                if let Some(end) = rest.next_if(|c| matches!(c, '}' | ']')) {
                    out.push(end);
                } else {
                    depth += 1;
                    break_line(&mut out, depth);
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                break_line(&mut out, depth);
                out.push(c);
            }
            ',' => {
                out.push(c);
                break_line(&mut out, depth);
            }
            ':' => out.push_str(": "),
            c if c.is_whitespace() => {}
            c => out.push(c),
        }
    }
    out
}

fn break_line(out: &mut String, depth: usize) {
    out.push('\n');
    for _ in 0..depth {
        out.push_str("    ");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_laid_out_as_the_serialiser_does_it() {
        for json in [
            r#"{"a":1,"b":[{"c":"d"},[],{}],"e":{"f":null,"g":[1.50,-2e3,true]}}"#,
            r#"{"quotes \" and \\":"{[,:]}\\","":[[[]]]}"#,
            "[]",
            r#""plain""#,
            "17",
        ] {
            let value: serde_json::Value = serde_json::from_str(json).unwrap();
            let mut expected = crate::raw::pretty(&value);
            // The serialiser rewrites numbers; ours stay as they were.
            expected = expected.replace("1.5,", "1.50,").replace("-2000.0", "-2e3");
            assert_eq!(indented(json), expected);
            assert_eq!(indented(&expected), expected, "laid out twice");
        }
    }
}
