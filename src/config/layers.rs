//! What a broker's settings are set to, layer upon layer: dynamic for this broker, dynamic for the
//! cluster, the file, and the table's default below all.

use super::kind::{Value, ValueError};
use super::properties::Properties;
use super::setting::{Scope, Setting, Synonym};
use super::table::broker_setting;
use std::collections::BTreeMap;

/// Settings that were set, as text.
pub type Texts = BTreeMap<String, String>;

/// The layers that a broker's setting is looked for in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Layers {
    /// Set in the metadata for this broker.
    pub dynamic_broker: Texts,
    /// Set in the metadata for all brokers.
    pub dynamic_default: Texts,
    /// From the file and the command line.
    pub file: Texts,
}

/// Where a value comes from, with Kafka's number of it in DescribeConfigs answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i8)]
pub enum Source {
    Topic = 1,
    DynamicBroker = 2,
    DynamicDefaultBroker = 3,
    StaticBroker = 4,
    Default = 5,
    /// The levels of the broker's log.
    BrokerLogger = 6,
    Group = 8,
}

impl Layers {
    /// The layers of a broker that has only its file.
    pub fn of_file(file: &Properties) -> Self {
        let texts = file.entries().iter().map(|e| (e.key.clone(), e.value.clone())).collect();
        Self { file: texts, ..Self::default() }
    }

    /// The text that was set, and where.
    pub fn text(&self, key: &str) -> Option<(&str, Source)> {
        let layers = [
            (&self.dynamic_broker, Source::DynamicBroker),
            (&self.dynamic_default, Source::DynamicDefaultBroker),
            (&self.file, Source::StaticBroker),
        ];
        layers.into_iter().find_map(|(texts, source)| Some((texts.get(key)?.as_str(), source)))
    }

    /// The value that counts.
    pub fn value(&self, row: &Setting) -> Result<Value, ValueError> {
        match self.text(row.key) {
            Some((text, _)) => row.parse(text),
            None => Ok(row.default_value()),
        }
    }

    /// What a topic that sets nothing has: the first of the broker's settings that is not null, in
    /// the topic's unit.
    pub fn topic_default(&self, row: &Setting) -> Result<Value, ValueError> {
        let synonyms: &[Synonym] = match row.scope {
            Scope::Topic(synonyms) => synonyms,
            Scope::Broker(_) | Scope::Group { .. } => &[],
        };
        for synonym in synonyms {
            let broker = broker_setting(synonym.key).expect("a synonym is a row of the table");
            match self.value(broker)? {
                Value::Null => {}
                // A negative age means none, whatever its unit.
                Value::Int(n) if synonym.factor != 1 && n < 0 => return Ok(Value::Int(-1)),
                Value::Int(n) => return Ok(Value::Int(n.saturating_mul(synonym.factor))),
                other => return Ok(other),
            }
        }
        Ok(row.default_value())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::table::topic_setting;

    fn check(file: &str, topic_key: &str, expected: i64) {
        let layers = Layers::of_file(&Properties::parse(file.as_bytes()).unwrap());
        let row = topic_setting(topic_key).unwrap();
        assert_eq!(layers.topic_default(row), Ok(Value::Int(expected)), "{file}");
    }

    #[test]
    fn milliseconds_win_over_minutes_and_minutes_over_hours() {
        check("", "retention.ms", 604_800_000);
        check("log.retention.hours=2", "retention.ms", 7_200_000);
        check("log.retention.hours=2\nlog.retention.minutes=2", "retention.ms", 120_000);
        check("log.retention.minutes=2\nlog.retention.ms=2", "retention.ms", 2);
        check("log.retention.hours=-1", "retention.ms", -1);
        check("log.roll.hours=3", "segment.ms", 10_800_000);
        check("log.roll.ms=5\nlog.roll.hours=3", "segment.ms", 5);
    }

    #[test]
    fn dynamic_values_win_over_the_file() {
        let mut layers = Layers::of_file(&Properties::parse(b"log.segment.bytes=2000000").unwrap());
        layers.dynamic_default.insert("log.segment.bytes".into(), "3000000".into());
        assert_eq!(
            layers.text("log.segment.bytes"),
            Some(("3000000", Source::DynamicDefaultBroker))
        );
        layers.dynamic_broker.insert("log.segment.bytes".into(), "4000000".into());
        let row = topic_setting("segment.bytes").unwrap();
        assert_eq!(layers.topic_default(row), Ok(Value::Int(4_000_000)));
    }
}
