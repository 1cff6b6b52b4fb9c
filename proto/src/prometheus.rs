//! Prometheus' text format (version 0.0.4): what a scrape of either daemon answers.

use std::fmt::{Display, Write as _};

/// Media type of a page.
pub const MEDIA_TYPE: &str = "text/plain; version=0.0.4";

/// A page under construction.
#[derive(Debug, Default)]
pub struct Page(String);

/// Kind of a metric.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// Only ever grows.
    Counter,
    /// Any number.
    Gauge,
    /// Counts by bucket.
    Histogram,
}

impl Page {
    /// Begins a metric; its samples follow.
    pub fn metric(&mut self, name: &str, kind: Kind, help: &str) {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        // Writing to a string cannot fail.
        let _written = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    /// One value.
    pub fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        self.0.push_str(name);
        for (index, (label, text)) in labels.iter().enumerate() {
            self.0.push(if index == 0 { '{' } else { ',' });
            let _written = write!(self.0, "{label}=\"{}\"", escaped(text));
        }
        if !labels.is_empty() {
            self.0.push('}');
        }
        let _written = writeln!(self.0, " {value}");
    }

    /// A metric of one value without labels.
    pub fn single(&mut self, name: &str, kind: Kind, help: &str, value: impl Display) {
        self.metric(name, kind, help);
        self.sample(name, &[], value);
    }

    /// The page.
    pub fn text(self) -> String {
        self.0
    }
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_what_prometheus_reads() {
        let mut page = Page::default();
        page.metric("a_total", Kind::Counter, "Things.");
        page.sample("a_total", &[("x", "q\"\\\n"), ("y", "")], 3);
        page.single("b", Kind::Gauge, "Others.", 0.5);
        assert_eq!(
            page.text(),
            "# HELP a_total Things.\n# TYPE a_total counter\na_total{x=\"q\\\"\\\\\\n\",y=\"\"} 3\n\
             # HELP b Others.\n# TYPE b gauge\nb 0.5\n"
        );
    }
}
