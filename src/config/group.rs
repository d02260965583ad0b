//! A group's settings: what may be set for one, checked against what the broker allows.

use super::kind::{Value, ValueError};
use super::layers::{Layers, Texts};
use super::setting::{Bounds, Scope, Setting};
use super::table::{broker_setting, group_setting};

/// Sessions must outlive the heartbeats of their kind of group.
const SESSIONS: [(&str, &str); 3] = [
    ("consumer.session.timeout.ms", "consumer.heartbeat.interval.ms"),
    ("share.session.timeout.ms", "share.heartbeat.interval.ms"),
    ("streams.session.timeout.ms", "streams.heartbeat.interval.ms"),
];

/// Why a group cannot have these settings. The texts are Kafka's in substance: tools print them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GroupConfigError {
    #[error("Unknown group config name: {0}")]
    Unknown(String),
    #[error(transparent)]
    Value(#[from] ValueError),
    #[error("{key} must be greater than or equal to {bound}")]
    TooSmall { key: String, bound: &'static str },
    #[error("{key} must be less than or equal to {bound}")]
    TooLarge { key: String, bound: &'static str },
    #[error("{session} must be greater than {heartbeat}")]
    SessionTooShort { session: &'static str, heartbeat: &'static str },
}

/// Checks the settings that a group will have.
pub fn check_group_overrides(texts: &Texts, layers: &Layers) -> Result<(), GroupConfigError> {
    for (key, text) in texts {
        let row = group_setting(key).ok_or_else(|| GroupConfigError::Unknown(key.clone()))?;
        let value = row.parse(text)?;
        if let Scope::Group { bounds, .. } = &row.scope {
            check_bounds(key, &value, bounds, layers)?;
        }
    }
    for (session, heartbeat) in SESSIONS {
        if group_int(session, texts, layers)? <= group_int(heartbeat, texts, layers)? {
            return Err(GroupConfigError::SessionTooShort { session, heartbeat });
        }
    }
    Ok(())
}

fn check_bounds(
    key: &str,
    value: &Value,
    bounds: &Bounds,
    layers: &Layers,
) -> Result<(), GroupConfigError> {
    let Value::Int(value) = value else { return Ok(()) };
    let limit = |bound: &'static str| {
        let row = broker_setting(bound).expect("a bound is a row of the table");
        layers.value(row)
    };
    if let Some(bound) = bounds.min
        && matches!(limit(bound)?, Value::Int(min) if *value < min)
    {
        return Err(GroupConfigError::TooSmall { key: key.to_owned(), bound });
    }
    if let Some(bound) = bounds.max
        && matches!(limit(bound)?, Value::Int(max) if *value > max)
    {
        return Err(GroupConfigError::TooLarge { key: key.to_owned(), bound });
    }
    Ok(())
}

fn group_int(key: &str, texts: &Texts, layers: &Layers) -> Result<i64, ValueError> {
    let row = group_setting(key).expect("the keys read here are rows of the table");
    match layers.group_value(row, texts)? {
        Value::Int(n) => Ok(n),
        other => panic!("{key} is a number in the table, not {other:?}"),
    }
}

impl Layers {
    /// What counts for a group: its own value, else the broker's, else the default.
    pub fn group_value(&self, row: &Setting, own: &Texts) -> Result<Value, ValueError> {
        if let Some(text) = own.get(row.key) {
            return row.parse(text);
        }
        match row.scope {
            Scope::Group { follows: Some(key), .. } => {
                self.value(broker_setting(key).expect("what a group follows is in the table"))
            }
            _ => Ok(row.default_value()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pairs: &[(&str, &str)], expected: &str) {
        let texts = pairs.iter().map(|&(k, v)| (k.to_owned(), v.to_owned())).collect();
        let found = check_group_overrides(&texts, &Layers::default());
        assert_eq!(found.map_or_else(|error| error.to_string(), |()| "ok".into()), expected);
    }

    #[test]
    fn a_group_stays_within_what_the_broker_allows() {
        check(&[], "ok");
        check(&[("consumer.session.timeout.ms", "50000")], "ok");
        check(&[("foo", "1")], "Unknown group config name: foo");
        check(
            &[("consumer.session.timeout.ms", "1")],
            "consumer.session.timeout.ms must be greater than or equal to \
             group.consumer.min.session.timeout.ms",
        );
        check(
            &[("consumer.session.timeout.ms", "99999999")],
            "consumer.session.timeout.ms must be less than or equal to \
             group.consumer.max.session.timeout.ms",
        );
        check(
            &[("consumer.session.timeout.ms", "x")],
            "Invalid value x for configuration consumer.session.timeout.ms: Not a number of type INT",
        );
    }

    #[test]
    fn a_session_outlives_its_heartbeats() {
        let mut layers = Layers::default();
        layers.file.insert("group.consumer.min.session.timeout.ms".into(), "1000".into());
        let texts = Texts::from([("consumer.session.timeout.ms".to_owned(), "4000".to_owned())]);
        let refused = check_group_overrides(&texts, &layers).unwrap_err().to_string();
        let expected =
            "consumer.session.timeout.ms must be greater than consumer.heartbeat.interval.ms";
        assert_eq!(refused, expected);
    }
}
