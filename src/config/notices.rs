//! What an operator is told of settings that were read and have no effect: nothing is ignored in
//! silence.

use super::broker::BrokerConfig;
use super::keys::{Known, Near, known, near};
use super::properties::{Origin, Properties, Property};
use super::relics::{Answer, relic};
use super::setting::{Disposition, Setting, Status};
use super::table::broker_setting;
use std::collections::BTreeMap;

/// Settings without effect, each list in the order of the keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notices {
    /// Known to Kafka, different from the default, without effect: `key=value`, by the reason.
    pub ignored: BTreeMap<&'static str, Vec<String>>,
    /// Of other days, plugins and Kafka's inside, each with what to do instead.
    pub relics: Vec<String>,
    /// Known to nobody, with what was probably meant.
    pub unknown: Vec<String>,
    pub doubled: Vec<String>,
    /// Variables that are no settings.
    pub remarks: Vec<String>,
    /// Controller listeners that stay closed.
    pub closed: Vec<String>,
}

impl Notices {
    pub(super) fn of(file: &Properties, config: &BrokerConfig) -> Self {
        let mut notices = Self { remarks: file.remarks().to_vec(), ..Self::default() };
        let mut last: BTreeMap<&str, &Property> = BTreeMap::new();
        let is_of_file = |entry: &Property| matches!(entry.origin, Origin::Line(_));
        for entry in file.entries() {
            let old = last.insert(&entry.key, entry);
            // A variable or a flag that overrides the file is no mistake.
            if is_of_file(entry) && old.is_some_and(is_of_file) {
                notices.doubled.push(entry.key.clone());
            }
        }
        notices.doubled.sort();
        notices.doubled.dedup();
        for (key, entry) in last {
            match known(key) {
                Some(known) => notices.add_known(&known, entry),
                None => notices.add_unknown(entry),
            }
        }
        notices.closed = config.listeners.controller.iter().map(ToString::to_string).collect();
        notices
    }

    fn add_known(&mut self, known: &Known, entry: &Property) {
        let row = known.row;
        if row.key == "broker.id" {
            self.relics.push(answered(entry, "the older name of node.id, and taken as that"));
        }
        let is_default = row.parse(&entry.value).is_ok_and(|value| value == row.default_value());
        let reason = match row.disposition() {
            Disposition::Live if known.is_listeners => "not served yet for single listeners",
            Disposition::Live => return,
            Disposition::Ignored(reason) | Disposition::Refused(reason) => reason,
        };
        // What is refused and still here says nothing, as an empty `ssl.cipher.suites`.
        if !is_default && !matches!(row.status, Status::Refused(_)) {
            self.ignored.entry(reason).or_default().push(shown(entry));
        }
    }

    fn add_unknown(&mut self, entry: &Property) {
        if let Some(relic) = relic(&entry.key) {
            let (Answer::Unread(text) | Answer::Refused(text)) = relic.answer;
            self.relics.push(answered(entry, text));
            return;
        }
        let (key, origin) = (&entry.key, &entry.origin);
        self.unknown.push(match near(key) {
            Some(Near::Meant(meant)) => format!("{key} ({origin}; did you mean {meant}?)"),
            Some(Near::OfTopic(Some(all))) => {
                format!("{key} ({origin}; a topic's setting, which for all topics is {all})")
            }
            Some(Near::OfTopic(None)) => format!("{key} ({origin}; a topic's setting)"),
            None => format!("{key} ({origin})"),
        });
    }

    /// Lines for the log at start.
    pub fn lines(&self) -> Vec<String> {
        let ignored = self.ignored.iter();
        let mut lines: Vec<_> = ignored
            .map(|(reason, found)| format!("without effect: {} ({reason})", found.join(", ")))
            .collect();
        for (what, found) in [
            ("unknown, without effect", &self.unknown),
            ("set more than once, the last counts", &self.doubled),
        ] {
            if !found.is_empty() {
                lines.push(format!("{what}: {}", found.join(", ")));
            }
        }
        lines.extend(self.relics.iter().chain(&self.remarks).cloned());
        lines.extend(self.closed.iter().map(|listener| {
            format!("not opened: controller listener {listener} (one node is its own quorum)")
        }));
        lines
    }
}

fn answered(entry: &Property, text: &str) -> String {
    format!("{} ({}): {text}", entry.key, entry.origin)
}

/// `key=value`, without the value where it could be a secret.
pub(super) fn shown(entry: &Property) -> String {
    let key = &entry.key;
    let is_secret = broker_setting(key).is_some_and(Setting::is_sensitive)
        || ["password", "secret", "jaas", "keystore.key", "passphrase"]
            .iter()
            .any(|word| key.contains(word));
    let value = if is_secret { "[hidden]" } else { &entry.value };
    format!("{key}={value}")
}
