//! What an acknowledgement means for a topic, in words: who has the record, and whether it is on disk.

use crate::cli::cluster::configs::ConfigEntry;
use crate::cli::grammar::show_span;
use std::time::Duration;

/// A setting of time or count that Kafka takes for never.
const NEVER: i64 = i64::MAX;

/// The sentence, from the topic's settings and its replicas.
pub fn in_words(settings: &[ConfigEntry], replicas: usize) -> String {
    let number = |key: &str| -> Option<i64> {
        settings.iter().find(|entry| entry.name == key)?.value.as_ref()?.parse().ok()
    };
    let who = match number("min.insync.replicas") {
        _ if replicas <= 1 => "with acks=1 or all, its only replica has the record".to_owned(),
        Some(min) => format!(
            "with acks=1 the leader has the record; with acks=all every replica in sync has it, at \
             least {min} of {replicas} (min.insync.replicas)"
        ),
        None => "with acks=1 the leader has the record; with acks=all every replica in sync".into(),
    };
    let (Some(messages), Some(ms)) = (number("flush.messages"), number("flush.ms")) else {
        return format!("{who}; whether it is on disk then, this broker does not tell");
    };
    let place = match messages {
        1 => ", on disk (flush.messages=1)".to_owned(),
        NEVER if ms == NEVER => {
            ", in the page cache: it survives a crash of the broker, not a power \
                                 loss (flush.messages=1 makes it wait for the disk)"
                .to_owned()
        }
        NEVER => ", in the page cache".to_owned(),
        count => format!(
            ", in the page cache; a power loss can take up to {} records of a partition \
             (flush.messages={count})",
            count - 1
        ),
    };
    let later = if messages != 1 && ms != NEVER {
        let span = show_span(Duration::from_millis(u64::try_from(ms).unwrap_or(0)));
        format!("; what is older than {span} is on disk (flush.ms={ms})")
    } else {
        String::new()
    };
    who + &place + &later
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: &str, value: i64) -> ConfigEntry {
        ConfigEntry {
            name: name.into(),
            value: Some(value.to_string()),
            source: "topic",
            default: None,
            read_only: false,
            sensitive: false,
            layers: Vec::new(),
        }
    }

    fn words(messages: i64, ms: i64, replicas: usize) -> String {
        let settings = [
            entry("flush.messages", messages),
            entry("flush.ms", ms),
            entry("min.insync.replicas", 2),
        ];
        in_words(&settings, replicas)
    }

    #[test]
    fn the_flush_settings_decide_what_a_power_loss_takes() {
        let check = |text: String, part: &str| assert!(text.contains(part), "{text}");
        check(
            words(NEVER, NEVER, 1),
            "its only replica has the record, in the page cache: it surv",
        );
        check(words(1, NEVER, 1), "has the record, on disk (flush.messages=1)");
        check(words(10, NEVER, 1), "up to 9 records of a partition");
        check(words(NEVER, 1000, 1), "in the page cache; what is older than 1s is on disk");
        check(words(NEVER, NEVER, 3), "at least 2 of 3 (min.insync.replicas), in the page cache");
        check(in_words(&[], 1), "this broker does not tell");
    }
}
