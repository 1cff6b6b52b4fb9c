//! Wall-clock time as logs and file names have it, in UTC.

use std::time::{Duration, SystemTime};

/// `2026-11-22T19:49:20.123456789Z`, as Go's RFC3339Nano: zeros at the end of the fraction are dropped. Times before 1970 count as 1970.
pub fn rfc3339_nano(time: SystemTime) -> String {
    let since = time
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    let (days, second) = (since.as_secs() / 86_400, since.as_secs() % 86_400);
    let (year, month, day) = date(days);
    let fraction = match since.subsec_nanos() {
        0 => String::new(),
        nanos => format!(".{nanos:09}").trim_end_matches('0').to_owned(),
    };
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{fraction}Z")
}

/// `2026-11-22T19-49-20.123`, for names of files: sorted as text they are sorted by time. Times before 1970 count as 1970.
pub fn file_stamp(time: SystemTime) -> String {
    let since = time
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    let whole = SystemTime::UNIX_EPOCH + Duration::from_secs(since.as_secs());
    let text = rfc3339_nano(whole).replace(':', "-");
    format!(
        "{}.{:03}",
        text.trim_end_matches('Z'),
        since.subsec_millis()
    )
}

/// Year, month and day of a day since 1970-01-01, in the Gregorian calendar.
fn date(mut days: u64) -> (u64, u64, u64) {
    let mut year = 1970;
    while days >= days_of_year(year) {
        days -= days_of_year(year);
        year += 1;
    }
    let february = days_of_year(year) - 337;
    let mut month = 1;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    (year, month, days + 1)
}

fn days_of_year(year: u64) -> u64 {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    if leap { 366 } else { 365 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_go_writes_them() {
        let at =
            |seconds, nanos| rfc3339_nano(SystemTime::UNIX_EPOCH + Duration::new(seconds, nanos));
        assert_eq!(at(0, 0), "1970-01-01T00:00:00Z");
        assert_eq!(at(1_709_210_096, 120_000_000), "2024-02-29T12:34:56.12Z");
        assert_eq!(at(4_107_542_399, 1), "2100-02-28T23:59:59.000000001Z");
        assert_eq!(at(4_107_542_400, 0), "2100-03-01T00:00:00Z");
    }

    #[test]
    fn names_of_files_have_milliseconds_and_no_colons() {
        let at = |millis| file_stamp(SystemTime::UNIX_EPOCH + Duration::from_millis(millis));
        assert_eq!(at(1500), "1970-01-01T00-00-01.500");
        assert_eq!(at(951_782_400_000), "2000-02-29T00-00-00.000");
    }
}
