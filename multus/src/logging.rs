//! Log lines on stderr.

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

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
pub fn start(level: LevelFilter) {
    let libraries = if level == LevelFilter::TRACE {
        LevelFilter::DEBUG
    } else {
        level.min(LevelFilter::WARN)
    };
    let filter = Targets::new()
        .with_default(libraries)
        .with_target("multus", level);
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    // A second start, in tests, keeps the first one's settings.
    let _first = tracing_subscriber::registry()
        .with(lines)
        .with(filter)
        .try_init();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn level_words_of_go_multus_are_understood() {
        assert_eq!(level("verbose"), Some(LevelFilter::INFO));
        assert_eq!(level("panic"), Some(LevelFilter::ERROR));
        assert_eq!(level("Debug"), Some(LevelFilter::DEBUG));
        assert_eq!(level("loud"), None);
    }
}
