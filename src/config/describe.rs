//! Settings as DescribeConfigs shows them: the value, where it comes from, and what it hides.

use super::kind::{Kind, ValueError};
use super::layers::{Layers, Source, Texts};
use super::setting::{Disposition, Scope, Setting};
use super::table::{broker_setting, broker_settings, group_settings, topic_settings};

/// One setting of one resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub name: &'static str,
    /// None for null, and for secrets.
    pub value: Option<String>,
    pub source: Source,
    pub kind: Kind,
    pub is_read_only: bool,
    pub is_sensitive: bool,
    /// Every layer that has a value, the one that counts first.
    pub synonyms: Vec<SynonymEntry>,
    pub documentation: String,
}

/// A layer's value of a setting, under the name it has there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SynonymEntry {
    pub name: &'static str,
    pub value: Option<String>,
    pub source: Source,
}

/// All settings of a topic in the order of their names.
pub fn describe_topic(overrides: &Texts, layers: &Layers) -> Result<Vec<Entry>, ValueError> {
    topic_settings().iter().map(|row| topic_entry(row, overrides, layers)).collect()
}

/// All settings of a broker in the order of their names.
pub fn describe_broker(layers: &Layers) -> Result<Vec<Entry>, ValueError> {
    broker_settings()
        .iter()
        .map(|row| {
            let value = layers.value(row)?;
            let text = row.default.is_some() || layers.text(row.key).is_some();
            Ok(entry(row, text.then(|| value.to_string()), own_chain(row, layers)))
        })
        .collect()
}

/// What is set for all brokers, and nothing else, as Kafka tells it.
pub fn describe_default_broker(layers: &Layers) -> Vec<Entry> {
    let rows = layers.dynamic_default.iter();
    let rows = rows.filter_map(|(key, text)| Some((broker_setting(key)?, text)));
    rows.map(|(row, text)| {
        let chain = vec![synonym(row, text, Source::DynamicDefaultBroker)];
        entry(row, Some(text.clone()), chain)
    })
    .collect()
}

/// All settings of a group in the order of their names.
pub fn describe_group(overrides: &Texts, layers: &Layers) -> Result<Vec<Entry>, ValueError> {
    group_settings()
        .iter()
        .map(|row| {
            let value = layers.group_value(row, overrides)?.to_string();
            let mut chain = Vec::new();
            if overrides.contains_key(row.key) {
                chain.push(synonym(row, &value, Source::Group));
            }
            let Scope::Group { follows, .. } = row.scope else {
                panic!("{} is a group's", row.key)
            };
            match follows {
                Some(key) => {
                    let row = broker_setting(key).expect("what a group follows is in the table");
                    chain.extend(own_chain(row, layers));
                }
                None => chain.extend(row.default.map(|text| synonym(row, text, Source::Default))),
            }
            Ok(entry(row, Some(value), chain))
        })
        .collect()
}

/// Settings that say the same in other units, the one that counts first.
const SAME: &[&[&str]] = &[
    &["log.roll.ms", "log.roll.hours"],
    &["log.roll.jitter.ms", "log.roll.jitter.hours"],
    &["log.retention.ms", "log.retention.minutes", "log.retention.hours"],
];
/// Follows the other, which follows nothing.
const FLUSH: [&str; 2] = ["log.flush.interval.ms", "log.flush.scheduler.interval.ms"];

/// The chain of a broker's setting begins with itself.
fn own_chain(row: &'static Setting, layers: &Layers) -> Vec<SynonymEntry> {
    let same = SAME.iter().find(|keys| keys.contains(&row.key)).copied();
    let keys = same.or((row.key == FLUSH[0]).then_some(&FLUSH));
    let Some(keys) = keys else { return broker_chain(&[row], layers) };
    let rows: Vec<_> = keys
        .iter()
        .map(|key| broker_setting(key).expect("a setting of the same is a row of the table"))
        .collect();
    let chain = broker_chain(&rows, layers).into_iter();
    chain.skip_while(|synonym| synonym.name != row.key).collect()
}

fn topic_entry(
    row: &'static Setting,
    overrides: &Texts,
    layers: &Layers,
) -> Result<Entry, ValueError> {
    let Scope::Topic(synonyms) = row.scope else { panic!("{} is a topic's", row.key) };
    let own = overrides.get(row.key);
    let value = match own {
        Some(text) => row.parse(text)?,
        None => layers.topic_default(row)?,
    };
    let mut chain = Vec::new();
    if own.is_some() {
        // As it counts, not as it was typed.
        let value = Some(value.to_string());
        chain.push(SynonymEntry { name: row.key, value, source: Source::Topic });
    }
    // Kafka tells the chain of the first that it follows, and nothing where that has no value.
    if let Some(first) = synonyms.first() {
        let first = broker_setting(first.key).expect("a synonym is a row of the table");
        chain.extend(own_chain(first, layers));
    }
    Ok(entry(row, Some(value.to_string()), chain))
}

/// Layer by layer from the top, and in each layer in the order in which the settings are followed.
fn broker_chain(rows: &[&'static Setting], layers: &Layers) -> Vec<SynonymEntry> {
    let set = [
        (&layers.dynamic_broker, Source::DynamicBroker),
        (&layers.dynamic_default, Source::DynamicDefaultBroker),
        (&layers.file, Source::StaticBroker),
    ];
    let mut chain = Vec::new();
    for (texts, source) in set {
        for row in rows {
            if let Some(text) = texts.get(row.key) {
                chain.push(synonym(row, text, source));
            }
        }
    }
    for row in rows {
        if let Some(text) = row.default {
            chain.push(synonym(row, text, Source::Default));
        }
    }
    chain
}

fn synonym(row: &'static Setting, text: &str, source: Source) -> SynonymEntry {
    let value = (!row.is_sensitive()).then(|| text.to_owned());
    SynonymEntry { name: row.key, value, source }
}

fn entry(row: &'static Setting, value: Option<String>, synonyms: Vec<SynonymEntry>) -> Entry {
    Entry {
        name: row.key,
        value: value.filter(|_| !row.is_sensitive()),
        source: synonyms.first().map_or(Source::Default, |first| first.source),
        kind: row.kind,
        is_read_only: row.is_read_only(),
        is_sensitive: row.is_sensitive(),
        synonyms,
        documentation: match row.disposition() {
            Disposition::Live => row.doc.to_owned(),
            Disposition::Ignored(reason) => format!("{} Without effect: {reason}.", row.doc),
            Disposition::Refused(reason) => {
                format!("{} Nothing but the default is accepted: {reason}.", row.doc)
            }
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find<'a>(entries: &'a [Entry], name: &str) -> &'a Entry {
        entries.iter().find(|entry| entry.name == name).unwrap()
    }

    fn chain(entry: &Entry) -> Vec<String> {
        let show = |s: &SynonymEntry| {
            format!("{:?}:{}={}", s.source, s.name, s.value.as_deref().unwrap_or("null"))
        };
        entry.synonyms.iter().map(show).collect()
    }

    #[test]
    fn a_topics_value_shows_every_layer_below_it() {
        let mut layers = Layers::default();
        layers.file.insert("log.retention.hours".into(), "5".into());
        let own = Texts::from([("retention.ms".to_owned(), " 7 ".to_owned())]);
        let entries = describe_topic(&own, &layers).unwrap();
        let retention = find(&entries, "retention.ms");
        assert_eq!(retention.value.as_deref(), Some("7"));
        assert_eq!(retention.source, Source::Topic);
        // As in Kafka, hours do not show where milliseconds are not set.
        assert_eq!(chain(retention), ["Topic:retention.ms=7"]);
        let inherited = describe_topic(&Texts::new(), &layers).unwrap();
        let retention = find(&inherited, "retention.ms");
        assert_eq!(retention.value.as_deref(), Some("18000000"));
        assert_eq!((retention.source, retention.synonyms.len()), (Source::Default, 0));
        layers.dynamic_default.insert("log.retention.ms".into(), "9".into());
        let inherited = describe_topic(&Texts::new(), &layers).unwrap();
        let retention = find(&inherited, "retention.ms");
        assert_eq!(retention.source, Source::DynamicDefaultBroker);
        assert_eq!(
            chain(retention),
            [
                "DynamicDefaultBroker:log.retention.ms=9",
                "StaticBroker:log.retention.hours=5",
                "Default:log.retention.hours=168",
            ]
        );
        assert_eq!(find(&inherited, "min.cleanable.dirty.ratio").value.as_deref(), Some("0.5"));
        assert_eq!(find(&inherited, "remote.storage.enable").source, Source::Default);
    }

    #[test]
    fn a_group_shows_its_own_value_above_the_brokers() {
        let own = Texts::from([("consumer.session.timeout.ms".to_owned(), "50000".to_owned())]);
        let entries = describe_group(&own, &Layers::default()).unwrap();
        let session = find(&entries, "consumer.session.timeout.ms");
        assert_eq!(
            chain(session),
            [
                "Group:consumer.session.timeout.ms=50000",
                "Default:group.consumer.session.timeout.ms=45000",
            ]
        );
        let reset = find(&entries, "share.auto.offset.reset");
        assert_eq!(chain(reset), ["Default:share.auto.offset.reset=latest"]);
    }

    #[test]
    fn the_settings_of_all_brokers_are_those_that_are_set() {
        let mut layers = Layers::default();
        layers.file.insert("log.retention.ms".into(), "5".into());
        assert!(describe_default_broker(&layers).is_empty());
        layers.dynamic_default.insert("log.retention.ms".into(), "9".into());
        let [entry] = &describe_default_broker(&layers)[..] else { panic!() };
        assert_eq!(chain(entry), ["DynamicDefaultBroker:log.retention.ms=9"]);
    }

    #[test]
    fn secrets_are_never_shown() {
        let mut layers = Layers::default();
        layers.file.insert("ssl.key.password".into(), "hunter2".into());
        let entries = describe_broker(&layers).unwrap();
        assert!(!format!("{entries:?}").contains("hunter2"));
        assert!(find(&entries, "ssl.key.password").is_sensitive);
        assert!(find(&entries, "node.id").is_read_only);
        assert!(!find(&entries, "log.retention.ms").is_read_only);
        assert_eq!(find(&entries, "log.retention.ms").value, None);
    }
}
