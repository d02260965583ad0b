//! How much the process logs: read and changed while it runs, in Kafka's words for levels.

use std::sync::OnceLock;
use tracing::level_filters::LevelFilter;

/// Kafka's levels, from the quietest. Its FATAL is quieter than anything that we log.
const LEVELS: [(&str, LevelFilter); 6] = [
    ("FATAL", LevelFilter::OFF),
    ("ERROR", LevelFilter::ERROR),
    ("WARN", LevelFilter::WARN),
    ("INFO", LevelFilter::INFO),
    ("DEBUG", LevelFilter::DEBUG),
    ("TRACE", LevelFilter::TRACE),
];

type Change = Box<dyn Fn(LevelFilter) -> bool + Send + Sync>;

static CHANGE: OnceLock<Change> = OnceLock::new();

/// Tells how the level is changed, whether that went well; once, by whoever has set up the log.
pub fn set_up(change: impl Fn(LevelFilter) -> bool + Send + Sync + 'static) {
    let is_first = CHANGE.set(Box::new(change)).is_ok();
    assert!(is_first, "the log is set up once");
}

/// Kafka's name of what is logged now.
pub fn kafka_name() -> &'static str {
    let current = LevelFilter::current();
    LEVELS.iter().find(|(_, level)| *level == current).map_or("INFO", |(name, _)| *name)
}

/// The level of Kafka's name.
pub fn parse(name: &str) -> Option<LevelFilter> {
    LEVELS.iter().find(|(known, _)| *known == name).map(|(_, level)| *level)
}

/// Logs at this level from now on; `false`: whoever runs this process does not let it.
pub fn change(level: LevelFilter) -> bool {
    CHANGE.get().is_some_and(|change| change(level))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_kafkas() {
        assert_eq!(parse("WARN"), Some(LevelFilter::WARN));
        assert_eq!(parse("warn"), None);
        assert_eq!(parse("LOUD"), None);
        assert!(LEVELS.iter().any(|(name, _)| *name == kafka_name()));
    }
}
