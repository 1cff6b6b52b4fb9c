//! Durations by bucket.

use std::time::Duration;

use proto::prometheus::Page;

/// Upper bounds of the buckets, in milliseconds: from an answer out of memory to the longest that a delegate may take.
const BUCKETS: [u32; 12] = [1, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 10_000, 60_000];

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

    /// Its buckets, sum and count, below `name`.
    pub(super) fn write(&self, page: &mut Page, name: &str, labels: &[(&str, &str)]) {
        let mut total = 0;
        let bucket = format!("{name}_bucket");
        for (index, count) in self.counts.iter().enumerate() {
            total += count;
            let bound = BUCKETS.get(index).map_or_else(
                || "+Inf".to_owned(),
                |bound| (f64::from(*bound) / 1000.0).to_string(),
            );
            let mut all = labels.to_vec();
            all.push(("le", &bound));
            page.sample(&bucket, &all, total);
        }
        page.sample(&format!("{name}_sum"), labels, self.sum.as_secs_f64());
        page.sample(&format!("{name}_count"), labels, total);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_cumulative_and_the_last_one_has_all() {
        let mut histogram = Histogram::default();
        for ms in [1, 3, 5, 120_000] {
            histogram.observe(Duration::from_millis(ms));
        }
        let mut page = Page::default();
        histogram.write(&mut page, "d", &[("t", "x")]);
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
