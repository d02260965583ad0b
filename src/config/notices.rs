//! What an operator is told of settings that were read and have no effect: nothing is ignored in
//! silence.

use super::broker::{BrokerConfig, is_known};
use super::properties::{Properties, Property};
use super::setting::{Setting, Status};
use super::table::broker_setting;
use std::collections::BTreeMap;

/// Settings of the file without effect, each list in the order of the keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notices {
    /// Known to Kafka, different from the default, not served yet: `key=value`.
    pub not_served: Vec<String>,
    /// Known to Kafka, different from the default, replaced by something else in this design.
    pub moot: Vec<String>,
    /// Known to nobody.
    pub unknown: Vec<String>,
    pub doubled: Vec<String>,
    /// Controller listeners that stay closed.
    pub closed: Vec<String>,
}

impl Notices {
    pub(super) fn of(file: &Properties, config: &BrokerConfig) -> Self {
        let mut notices = Self::default();
        let mut last: BTreeMap<&str, &Property> = BTreeMap::new();
        for entry in file.entries() {
            let is_doubled = last.insert(&entry.key, entry).is_some_and(|old| old.line.is_some());
            // The command line overriding the file is no mistake.
            if is_doubled && entry.line.is_some() {
                notices.doubled.push(entry.key.clone());
            }
        }
        notices.doubled.sort();
        notices.doubled.dedup();
        for (key, entry) in last {
            match broker_setting(key) {
                Some(row) => notices.add_known(row, entry),
                None if is_known(key) => notices.not_served.push(shown(entry, key)),
                None => notices.unknown.push(match entry.line {
                    Some(line) => format!("{key} (line {line})"),
                    None => key.to_owned(),
                }),
            }
        }
        notices.closed = config.listeners.controller.iter().map(ToString::to_string).collect();
        notices
    }

    fn add_known(&mut self, row: &Setting, entry: &Property) {
        let is_default = row.parse(&entry.value).is_ok_and(|value| value == row.default_value());
        match row.status {
            _ if is_default => {}
            Status::Served => {}
            Status::Later => self.not_served.push(shown(entry, row.key)),
            Status::Moot => self.moot.push(format!("{} ({})", shown(entry, row.key), row.doc)),
        }
    }

    /// One line a kind, for the log at start.
    pub fn lines(&self) -> Vec<String> {
        let listed = [
            ("read and not yet served", &self.not_served, ", "),
            ("read and without a meaning here", &self.moot, "; "),
            ("unknown, without effect", &self.unknown, ", "),
            ("set more than once, the last counts", &self.doubled, ", "),
        ];
        let listed = listed.into_iter().filter(|(_, found, _)| !found.is_empty());
        let mut lines: Vec<_> =
            listed.map(|(what, found, gap)| format!("{what}: {}", found.join(gap))).collect();
        lines.extend(self.closed.iter().map(|listener| {
            format!("not opened: controller listener {listener} (one node is its own quorum)")
        }));
        lines
    }
}

/// `key=value`, without the value where it could be a secret.
fn shown(entry: &Property, key: &str) -> String {
    let is_secret = broker_setting(key).is_some_and(Setting::is_sensitive)
        || ["password", "secret", "jaas", "keystore.key", "passphrase"]
            .iter()
            .any(|word| key.contains(word));
    let value = if is_secret { "[hidden]" } else { &entry.value };
    format!("{}={value}", entry.key)
}
