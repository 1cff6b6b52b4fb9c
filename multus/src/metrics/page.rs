//! Prometheus' text format (version 0.0.4), and durations as it counts them.

use std::fmt::{Display, Write as _};
use std::time::Duration;

/// Upper bounds of the buckets, in milliseconds: from an answer out of memory to the longest that a delegate may take.
const BUCKETS: [u32; 12] = [1, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 10_000, 60_000];

/// A page under construction.
#[derive(Debug, Default)]
pub(super) struct Page(String);

/// Kind of a metric.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    /// Only ever grows.
    Counter,
    /// Any number.
    Gauge,
    /// Counts by bucket.
    Histogram,
}

/// Durations by bucket.
#[derive(Debug, Clone, Default)]
pub(super) struct Histogram {
    /// Not cumulative; the last one is for what is above all bounds.
    counts: [u64; BUCKETS.len() + 1],
    sum: Duration,
}

impl Histogram {
    /// Counts a duration.
    pub(super) fn observe(&mut self, took: Duration) {
        let bound = |bound: &&u32| took <= Duration::from_millis(u64::from(**bound));
        let at = BUCKETS.iter().position(|b| bound(&b));
        let slot = at.unwrap_or(BUCKETS.len());
        if let Some(count) = self.counts.get_mut(slot) {
            *count += 1;
        }
        self.sum += took;
    }
}

impl Page {
    /// Begins a metric; its samples follow.
    pub(super) fn metric(&mut self, name: &str, kind: Kind, help: &str) {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        // Writing to a string cannot fail.
        let _written = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    /// One value.
    pub(super) fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
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
    pub(super) fn single(&mut self, name: &str, kind: Kind, help: &str, value: impl Display) {
        self.metric(name, kind, help);
        self.sample(name, &[], value);
    }

    /// A histogram's buckets, sum and count.
    pub(super) fn histogram(&mut self, name: &str, labels: &[(&str, &str)], of: &Histogram) {
        let mut total = 0;
        let bucket = format!("{name}_bucket");
        for (index, count) in of.counts.iter().enumerate() {
            total += count;
            let bound = BUCKETS.get(index).map_or_else(
                || "+Inf".to_owned(),
                |bound| (f64::from(*bound) / 1000.0).to_string(),
            );
            let mut all = labels.to_vec();
            all.push(("le", &bound));
            self.sample(&bucket, &all, total);
        }
        self.sample(&format!("{name}_sum"), labels, of.sum.as_secs_f64());
        self.sample(&format!("{name}_count"), labels, total);
    }

    /// The page.
    pub(super) fn text(self) -> String {
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

    #[test]
    fn buckets_are_cumulative_and_the_last_one_has_all() {
        let mut histogram = Histogram::default();
        for ms in [1, 3, 5, 120_000] {
            histogram.observe(Duration::from_millis(ms));
        }
        let mut page = Page::default();
        page.histogram("d", &[("t", "x")], &histogram);
        let text = page.text();
        for line in [
            "d_bucket{t=\"x\",le=\"0.001\"} 1",
            "d_bucket{t=\"x\",le=\"0.005\"} 3",
            "d_bucket{t=\"x\",le=\"60\"} 3",
            "d_bucket{t=\"x\",le=\"+Inf\"} 4",
            "d_sum{t=\"x\"} 120.009",
            "d_count{t=\"x\"} 4",
        ] {
            assert!(
                text.contains(&format!("{line}\n")),
                "{line} is not in\n{text}"
            );
        }
    }
}
