//! A topic's settings: what it sets itself (checked when it is created or changed), and the compact
//! typed view that the data plane reads.

use super::kind::{Value, ValueError};
use super::layers::{Layers, Texts};
use super::setting::Status;
use super::table::topic_setting;

/// A topic's settings as the data plane needs them. Times are milliseconds, since they meet record
/// timestamps; `None` is "never" or "no limit".
#[derive(Clone, Debug, PartialEq)]
pub struct TopicConfig {
    pub segment_bytes: u32,
    pub segment_ms: i64,
    pub segment_jitter_ms: i64,
    pub segment_index_bytes: u32,
    pub index_interval_bytes: u32,
    pub max_message_bytes: u32,
    pub retention_ms: Option<i64>,
    pub retention_bytes: Option<u64>,
    pub cleanup: CleanupPolicy,
    pub timestamp_type: TimestampType,
    pub timestamp_before_max_ms: i64,
    pub timestamp_after_max_ms: i64,
    pub compression: Compression,
    pub flush_messages: Option<u64>,
    pub flush_ms: Option<i64>,
    pub file_delete_delay_ms: i64,
    pub min_insync_replicas: u32,
    pub preallocate: bool,
    pub unclean_leader_election: bool,
    pub compaction: CompactionConfig,
}

/// When and how a compacted topic is compacted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CompactionConfig {
    pub delete_retention_ms: i64,
    pub lag_min_ms: i64,
    pub lag_max_ms: Option<i64>,
    pub dirty_ratio_min: f64,
}

/// What happens to old records; neither is "nothing".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CleanupPolicy {
    pub delete: bool,
    pub compact: bool,
}

/// Whose clock stamps records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimestampType {
    CreateTime,
    LogAppendTime,
}

/// What batches are stored with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// As the producer sent them.
    Producer,
    Uncompressed,
    /// A level of `None` is the codec's own default.
    Gzip {
        level: Option<u32>,
    },
    Snappy,
    Lz4 {
        level: i32,
    },
    Zstd {
        level: i32,
    },
}

/// Why a topic cannot have these settings. The texts are Kafka's in substance: tools print them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TopicConfigError {
    #[error("Unknown topic config name: {0}")]
    Unknown(String),
    #[error("Null value not supported for topic configs: {}", .0.join(","))]
    Null(Vec<String>),
    #[error(transparent)]
    Value(#[from] ValueError),
    #[error(
        "conflict topic config setting min.compaction.lag.ms ({min}) > max.compaction.lag.ms ({max})"
    )]
    CompactionLags { min: i64, max: i64 },
    #[error(
        "Tiered Storage functionality is disabled in the broker. Topic cannot be configured with \
         remote log storage."
    )]
    TieringDisabled,
}

/// Checks the settings that a client gives to a topic, and returns them as they will be stored. The
/// last of two with one name counts.
pub fn check_topic_overrides<'a>(
    given: impl IntoIterator<Item = (&'a str, Option<&'a str>)>,
    layers: &Layers,
) -> Result<Texts, TopicConfigError> {
    let mut nulls = Vec::new();
    let mut texts = Texts::new();
    for (key, value) in given {
        match value {
            Some(text) => _ = texts.insert(key.to_owned(), text.to_owned()),
            None => nulls.push(key.to_owned()),
        }
    }
    if !nulls.is_empty() {
        return Err(TopicConfigError::Null(nulls));
    }
    TopicConfig::resolve(&texts, layers)?;
    Ok(texts)
}

/// The settings among `overrides` that are stored and from which nothing follows yet.
pub fn topic_overrides_not_served(overrides: &Texts) -> impl Iterator<Item = &str> {
    let is_later = |key: &&str| topic_setting(key).is_some_and(|row| row.status != Status::Served);
    overrides.keys().map(String::as_str).filter(is_later)
}

impl TopicConfig {
    /// Resolves every setting: the topic's own, else the broker's, else the default.
    pub fn resolve(overrides: &Texts, layers: &Layers) -> Result<Self, TopicConfigError> {
        if let Some(unknown) = overrides.keys().find(|key| topic_setting(key).is_none()) {
            return Err(TopicConfigError::Unknown(unknown.clone()));
        }
        // All that are set are checked, also those that no field below reads.
        for (key, text) in overrides {
            row(key).parse(text)?;
        }
        let read = Reader { overrides, layers };
        if read.flag("remote.storage.enable")? {
            return Err(TopicConfigError::TieringDisabled);
        }
        Ok(Self {
            segment_bytes: read.size("segment.bytes")?,
            segment_ms: read.int("segment.ms")?,
            segment_jitter_ms: read.int("segment.jitter.ms")?,
            segment_index_bytes: read.size("segment.index.bytes")?,
            index_interval_bytes: read.size("index.interval.bytes")?,
            max_message_bytes: read.size("max.message.bytes")?,
            retention_ms: Some(read.int("retention.ms")?).filter(|&ms| ms >= 0),
            retention_bytes: u64::try_from(read.int("retention.bytes")?).ok(),
            cleanup: read.cleanup()?,
            timestamp_type: read.timestamp_type()?,
            timestamp_before_max_ms: read.int("message.timestamp.before.max.ms")?,
            timestamp_after_max_ms: read.int("message.timestamp.after.max.ms")?,
            compression: read.compression()?,
            flush_messages: read.unless_max("flush.messages")?.map(i64::cast_unsigned),
            flush_ms: read.unless_max("flush.ms")?,
            file_delete_delay_ms: read.int("file.delete.delay.ms")?,
            min_insync_replicas: read.size("min.insync.replicas")?,
            preallocate: read.flag("preallocate")?,
            unclean_leader_election: read.flag("unclean.leader.election.enable")?,
            compaction: read.compaction()?,
        })
    }

    /// The age at which a segment is rolled: a compacted topic must not keep records in its active
    /// segment beyond the age at which they have to be compacted.
    pub fn roll_ms(&self) -> i64 {
        match self.compaction.lag_max_ms {
            Some(lag_max_ms) if self.cleanup.compact => self.segment_ms.min(lag_max_ms),
            _ => self.segment_ms,
        }
    }
}

/// Reads one topic's values; the table promises their types.
struct Reader<'a> {
    overrides: &'a Texts,
    layers: &'a Layers,
}

impl Reader<'_> {
    fn value(&self, key: &str) -> Result<Value, ValueError> {
        let row = row(key);
        match self.overrides.get(key) {
            Some(text) => row.parse(text),
            None => self.layers.topic_default(row),
        }
    }

    fn int(&self, key: &str) -> Result<i64, ValueError> {
        match self.value(key)? {
            Value::Int(n) => Ok(n),
            other => panic!("{key} is a number in the table, not {other:?}"),
        }
    }

    /// A 32-bit number that the table bounds from below by 0 or more.
    fn size(&self, key: &str) -> Result<u32, ValueError> {
        let n = self.int(key)?;
        u32::try_from(n).map_err(|_| ValueError::invalid(key, n, "Value must be at least 0"))
    }

    fn unless_max(&self, key: &str) -> Result<Option<i64>, ValueError> {
        Ok(Some(self.int(key)?).filter(|&n| n != i64::MAX))
    }

    fn flag(&self, key: &str) -> Result<bool, ValueError> {
        Ok(self.value(key)? == Value::Bool(true))
    }

    fn is_text(&self, key: &str, text: &str) -> Result<bool, ValueError> {
        Ok(matches!(self.value(key)?, Value::Text(found) if found == text))
    }

    fn cleanup(&self) -> Result<CleanupPolicy, ValueError> {
        let Value::List(policies) = self.value("cleanup.policy")? else {
            panic!("cleanup.policy is a list in the table")
        };
        let has = |policy: &str| policies.iter().any(|p| p == policy);
        Ok(CleanupPolicy { delete: has("delete"), compact: has("compact") })
    }

    fn timestamp_type(&self) -> Result<TimestampType, ValueError> {
        let is_append = self.is_text("message.timestamp.type", "LogAppendTime")?;
        Ok(if is_append { TimestampType::LogAppendTime } else { TimestampType::CreateTime })
    }

    fn compression(&self) -> Result<Compression, ValueError> {
        let Value::Text(codec) = self.value("compression.type")? else {
            panic!("compression.type is a text in the table")
        };
        let level = |key| self.int(key).map(|n| n as i32);
        Ok(match codec.as_str() {
            "uncompressed" => Compression::Uncompressed,
            "gzip" => {
                let level = self.int("compression.gzip.level")?;
                Compression::Gzip { level: u32::try_from(level).ok() }
            }
            "snappy" => Compression::Snappy,
            "lz4" => Compression::Lz4 { level: level("compression.lz4.level")? },
            "zstd" => Compression::Zstd { level: level("compression.zstd.level")? },
            _ => Compression::Producer,
        })
    }

    fn compaction(&self) -> Result<CompactionConfig, TopicConfigError> {
        let min = self.int("min.compaction.lag.ms")?;
        let max = self.int("max.compaction.lag.ms")?;
        if min > max {
            return Err(TopicConfigError::CompactionLags { min, max });
        }
        let Value::Double(dirty_ratio_min) = self.value("min.cleanable.dirty.ratio")? else {
            panic!("min.cleanable.dirty.ratio is a ratio in the table")
        };
        Ok(CompactionConfig {
            delete_retention_ms: self.int("delete.retention.ms")?,
            lag_min_ms: min,
            lag_max_ms: Some(max).filter(|&ms| ms != i64::MAX),
            dirty_ratio_min,
        })
    }
}

fn row(key: &str) -> &'static super::setting::Setting {
    topic_setting(key).expect("the keys read here are rows of the table")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(pairs: &[(&str, &str)]) -> Result<TopicConfig, TopicConfigError> {
        let given = pairs.iter().map(|&(key, value)| (key, Some(value)));
        let texts = check_topic_overrides(given, &Layers::default())?;
        TopicConfig::resolve(&texts, &Layers::default())
    }

    fn check(key: &str, value: &str, refusal: &str) {
        match resolve(&[(key, value)]) {
            Ok(_) => assert_eq!("ok", refusal, "{key}={value}"),
            Err(error) => assert_eq!(error.to_string(), refusal, "{key}={value}"),
        }
    }

    /// The refusals were recorded from Kafka 4.3.1.
    #[test]
    fn values_are_refused_in_kafkas_words() {
        let invalid = |key: &str, value: &str, reason: &str| {
            let text = format!("Invalid value {value} for configuration {key}: {reason}");
            check(key, value, &text);
        };
        check("foo", "1", "Unknown topic config name: foo");
        check("segment.bytes", " 1048576 ", "ok");
        check("cleanup.policy", "", "ok");
        check("cleanup.policy", " compact , delete ", "ok");
        check(
            "cleanup.policy",
            "delete,",
            "Configuration 'cleanup.policy' values must not be empty.",
        );
        check("preallocate", "TRUE", "ok");
        check("retention.bytes", "-5", "ok");
        check("leader.replication.throttled.replicas", "0:1,2:3", "ok");
        invalid("segment.bytes", "10", "Value must be at least 1048576");
        invalid("segment.bytes", "x", "Not a number of type INT");
        invalid("cleanup.policy", "Delete", "String must be one of: compact, delete");
        invalid(
            "compression.type",
            "GZIP",
            "String must be one of: uncompressed, zstd, lz4, snappy, gzip, producer",
        );
        invalid("compression.gzip.level", "0", "Value must be between 1 and 9 or equal to -1");
        invalid("compression.lz4.level", "18", "Value must be no more than 17");
        invalid("compression.zstd.level", "-131073", "Value must be at least -131072");
        invalid("preallocate", "yes", "Expected value to be either true or false");
        invalid("min.cleanable.dirty.ratio", "1.5", "Value must be no more than 1");
        invalid("retention.ms", "-2", "Value must be at least -1");
        invalid("segment.ms", "0", "Value must be at least 1");
        invalid(
            "message.timestamp.type",
            "createtime",
            "String must be one of: CreateTime, LogAppendTime",
        );
    }

    #[test]
    fn settings_that_contradict_each_other_are_refused() {
        let lags = [("min.compaction.lag.ms", "10"), ("max.compaction.lag.ms", "5")];
        assert_eq!(
            resolve(&lags).unwrap_err().to_string(),
            "conflict topic config setting min.compaction.lag.ms (10) > max.compaction.lag.ms (5)"
        );
        let null = check_topic_overrides([("retention.ms", None)], &Layers::default());
        assert_eq!(
            null.unwrap_err().to_string(),
            "Null value not supported for topic configs: retention.ms"
        );
    }

    #[test]
    fn a_topic_that_sets_nothing_has_kafkas_defaults() {
        let config = resolve(&[]).unwrap();
        assert_eq!(config.segment_bytes, 1 << 30);
        assert_eq!(config.retention_ms, Some(604_800_000));
        assert_eq!(config.retention_bytes, None);
        assert_eq!(config.cleanup, CleanupPolicy { delete: true, compact: false });
        assert_eq!(config.compression, Compression::Producer);
        assert_eq!((config.flush_messages, config.flush_ms), (None, None));
        assert_eq!(config.max_message_bytes, 1_048_588);
    }

    #[test]
    fn the_topics_own_value_wins_over_the_brokers() {
        let mut layers = Layers::default();
        layers.file.insert("log.segment.bytes".into(), "2000000".into());
        let unset = TopicConfig::resolve(&Texts::new(), &layers).unwrap();
        assert_eq!(unset.segment_bytes, 2_000_000);
        let own = Texts::from([("segment.bytes".to_owned(), "3000000".to_owned())]);
        assert_eq!(TopicConfig::resolve(&own, &layers).unwrap().segment_bytes, 3_000_000);
    }

    #[test]
    fn a_compacted_topic_rolls_before_its_records_must_be_compacted() {
        let lag = ("max.compaction.lag.ms", "1000");
        assert_eq!(resolve(&[lag]).unwrap().roll_ms(), 604_800_000);
        let compacted = resolve(&[lag, ("cleanup.policy", "compact")]).unwrap();
        assert_eq!(compacted.roll_ms(), 1000);
    }
}
