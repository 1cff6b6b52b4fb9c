//! Log lines, where the keys of Go multus want them: `logToStderr`, `logFile`, `logLevel`, `logOptions`
//! (spec/multus.md §1.1). A line is its time, its level in brackets, and text.

mod rotate;

use std::io;
use std::path::PathBuf;
use std::sync::Mutex;

use k8s_openapi::jiff::Timestamp;
use serde::Deserialize;
use tracing::level_filters::LevelFilter;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry, fmt};

use multus_plugin::log::rotation::Limits;
use rotate::RotatingFile;

/// Keys of the daemon's configuration file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct LogSettings {
    /// A file besides or instead of standard error.
    pub log_file: Option<PathBuf>,
    /// Level word of Go multus or of tracing; absent or empty: info.
    pub log_level: Option<String>,
    /// Absent: true. False is for those with a file; without one, errors are told all the same.
    pub log_to_stderr: Option<bool>,
    /// When the file is put aside, and what becomes of it.
    pub log_options: Option<Limits>,
}

impl LogSettings {
    /// The file, if one is named.
    fn file(&self) -> Option<&PathBuf> {
        self.log_file
            .as_ref()
            .filter(|path| !path.as_os_str().is_empty())
    }

    /// The level word; empty where none is given.
    pub fn level(&self) -> &str {
        self.log_level.as_deref().unwrap_or_default()
    }
}

/// Level for a word of tracing or of Go multus; `None` if it is neither.
pub fn level(word: &str) -> Option<LevelFilter> {
    Some(match word.to_ascii_lowercase().as_str() {
        "error" | "panic" => LevelFilter::ERROR,
        "warn" | "warning" => LevelFilter::WARN,
        "" | "info" | "verbose" => LevelFilter::INFO,
        "debug" => LevelFilter::DEBUG,
        "trace" => LevelFilter::TRACE,
        _ => return None,
    })
}

/// Logs from now on. Libraries are heard from warn on only, unless everything is wanted.
///
/// # Errors
/// When the file cannot be opened; standard error is then used.
pub fn start(level: LevelFilter, settings: &LogSettings) -> io::Result<()> {
    let libraries = if level == LevelFilter::TRACE {
        LevelFilter::DEBUG
    } else {
        level.min(LevelFilter::WARN)
    };
    // Its line for every answer that is no success says less than ours.
    let client = if level == LevelFilter::TRACE {
        libraries
    } else {
        LevelFilter::OFF
    };
    let filter = Targets::new()
        .with_default(libraries)
        .with_target("kube_client", client)
        .with_target("multus", level);
    let (file, opened) = match settings.file() {
        None => (None, Ok(())),
        Some(path) => {
            let limits = settings.log_options.clone().unwrap_or_default();
            match RotatingFile::open(path.clone(), limits) {
                Ok(file) => (Some(file), Ok(())),
                Err(error) => (None, Err(error)),
            }
        }
    };
    let loud = settings.log_to_stderr.unwrap_or(true) || opened.is_err();
    let quiet_level = match (loud, &file) {
        (true, _) => LevelFilter::TRACE,
        (false, Some(_)) => LevelFilter::OFF,
        (false, None) => LevelFilter::ERROR,
    };
    let stderr = fmt::layer()
        .event_format(Line)
        .with_writer(io::stderr)
        .with_filter(quiet_level);
    let mut layers: Vec<Box<dyn Layer<Registry> + Send + Sync>> = vec![stderr.boxed()];
    if let Some(file) = file {
        let lines = fmt::layer().event_format(Line);
        layers.push(lines.with_writer(Mutex::new(file)).boxed());
    }
    // A second start, in tests, keeps the first one's settings.
    let _first = tracing_subscriber::registry()
        .with(layers)
        .with(filter)
        .try_init();
    opened
}

/// `2026-11-23T04:05:06Z [error] text`, as Go multus has it.
#[derive(Debug)]
struct Line;

impl<S, N> FormatEvent<S, N> for Line
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> std::fmt::Result {
        let now = Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ");
        write!(writer, "{now} [{}] ", word(*event.metadata().level()))?;
        context.format_fields(writer.by_ref(), event)?;
        writeln!(writer)
    }
}

fn word(level: Level) -> &'static str {
    match level {
        Level::ERROR => "error",
        Level::WARN => "warning",
        Level::INFO => "verbose",
        Level::DEBUG => "debug",
        Level::TRACE => "trace",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn row_13_level_words_of_go_multus_are_understood() {
        assert_eq!(level("verbose"), Some(LevelFilter::INFO));
        assert_eq!(level("panic"), Some(LevelFilter::ERROR));
        assert_eq!(level("Debug"), Some(LevelFilter::DEBUG));
        assert_eq!(level("loud"), None);
    }

    #[test]
    fn row_13_log_keys_of_go_multus_are_read() {
        let settings: LogSettings = serde_json::from_str(
            r#"{"logFile":"/var/log/multus.log","logLevel":"debug","logToStderr":false,
                "logOptions":{"maxAge":5,"maxSize":1,"maxBackups":null,"compress":false}}"#,
        )
        .unwrap();
        assert_eq!(settings.file(), Some(&PathBuf::from("/var/log/multus.log")));
        assert_eq!(
            (settings.level(), settings.log_to_stderr),
            ("debug", Some(false))
        );
        let limits = settings.log_options.unwrap();
        assert_eq!((limits.max_size, limits.max_backups), (Some(1), None));
        let none: LogSettings = serde_json::from_str(r#"{"logFile":"","logLevel":null}"#).unwrap();
        assert_eq!((none.file(), none.level()), (None, ""));
    }
}
