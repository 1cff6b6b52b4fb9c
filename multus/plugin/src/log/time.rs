//! Time as log lines and names of files put aside have it, in UTC.

use std::time::Duration;

/// `2026-11-23T04:05:06Z`, of a time since 1970.
pub(super) fn rfc3339(since: Duration) -> String {
    let (year, month, day) = date(since.as_secs() / 86_400);
    let second = since.as_secs() % 86_400;
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z",
        second / 3600,
        second / 60 % 60,
        second % 60
    )
}

/// `2026-11-23T04-05-06.789`: sorted as text it is sorted by time.
pub(super) fn stamp(since: Duration) -> String {
    let text = rfc3339(since).replace(':', "-");
    format!(
        "{}.{:03}",
        text.trim_end_matches('Z'),
        since.subsec_millis()
    )
}

/// Year, month and day of a day since 1970-01-01. A year begins in March here, so that the leap day is its last.
fn date(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let first = (153 * month + 2) / 5;
    let (year, month) = match month {
        0..10 => (year, month + 3),
        _ => (year + 1, month - 9),
    };
    (era * 400 + year, month, day - first + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_709_210_096, "2024-02-29T12:34:56Z"),
            (1_735_689_599, "2024-12-31T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(rfc3339(Duration::from_secs(seconds)), text);
        }
        assert_eq!(
            stamp(Duration::from_millis(1500)),
            "1970-01-01T00-00-01.500"
        );
    }
}
