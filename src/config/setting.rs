//! One row of the table of settings.

use super::kind::{Check, Kind, Value, ValueError};
use super::table::why;

/// A setting: what it is called, what it may be, who may change it, what it means.
#[derive(Debug)]
pub struct Setting {
    pub key: &'static str,
    pub kind: Kind,
    /// The default's text; none is null.
    pub default: Option<&'static str>,
    pub check: Check,
    pub scope: Scope,
    pub status: Status,
    pub doc: &'static str,
}

/// Where a setting lives.
#[derive(Debug)]
pub enum Scope {
    Broker(Update),
    /// A topic's; without a value of its own it follows the first of these that has one.
    Topic(&'static [Synonym]),
    /// A group's; without a value of its own it follows this broker's setting.
    Group {
        follows: Option<&'static str>,
        bounds: Bounds,
    },
}

/// The broker's settings between which a group's setting lies.
#[derive(Debug)]
pub struct Bounds {
    pub min: Option<&'static str>,
    pub max: Option<&'static str>,
}

/// How a broker's setting can change while it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Update {
    ReadOnly,
    PerBroker,
    ClusterWide,
}

/// What the broker does with a setting today.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    Served,
    /// Kafka has it, it is read and checked, and nothing follows from it yet; nothing is lost by that.
    Later,
    /// Kafka has it, and this design has no place for it: its text says what takes its place.
    Moot,
    /// Kafka has it, and to go on without it would weaken safety: another value than the default is
    /// refused, with this reason.
    Refused(&'static str),
}

/// What follows from a setting, for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disposition {
    Live,
    /// Nothing follows, and why that does no harm.
    Ignored(&'static str),
    /// The broker does not start with another value than the default, and why.
    Refused(&'static str),
}

/// The broker's setting that a topic's setting follows, and the factor from its unit to
/// milliseconds.
#[derive(Debug)]
pub struct Synonym {
    pub key: &'static str,
    pub factor: i64,
}

impl Setting {
    /// Parses and checks a value that came from outside.
    pub fn parse(&self, text: &str) -> Result<Value, ValueError> {
        let value = self.kind.parse(self.key, text)?;
        self.check.verify(self.key, &value)?;
        Ok(value)
    }

    /// The default. Its text is ours, so a default that does not parse is a bug.
    pub fn default_value(&self) -> Value {
        self.default.map_or(Value::Null, |text| {
            self.kind.parse(self.key, text).expect("a default of the table parses")
        })
    }

    pub fn disposition(&self) -> Disposition {
        match self.status {
            Status::Served => Disposition::Live,
            Status::Later | Status::Moot => Disposition::Ignored(why(self)),
            Status::Refused(reason) => Disposition::Refused(reason),
        }
    }

    /// Why this value is refused, although it is of the right type: to ignore it would weaken safety.
    pub fn refusal(&self, value: &Value) -> Option<&'static str> {
        let is_unset = match value {
            Value::Text(text) => text.is_empty(),
            Value::List(entries) => entries.is_empty(),
            value => *value == Value::Null,
        };
        match self.status {
            Status::Refused(reason) if !is_unset && *value != self.default_value() => Some(reason),
            _ => None,
        }
    }

    /// Secrets are never shown.
    pub fn is_sensitive(&self) -> bool {
        self.kind == Kind::Password
    }

    pub fn is_read_only(&self) -> bool {
        matches!(self.scope, Scope::Broker(Update::ReadOnly))
    }
}

const fn broker(
    status: Status,
    (key, kind): (&'static str, Kind),
    default: Option<&'static str>,
    check: Check,
    update: Update,
    doc: &'static str,
) -> Setting {
    Setting { key, kind, default, check, scope: Scope::Broker(update), status, doc }
}

pub(super) const fn served(
    key: &'static str,
    kind: Kind,
    default: Option<&'static str>,
    check: Check,
    update: Update,
    doc: &'static str,
) -> Setting {
    broker(Status::Served, (key, kind), default, check, update, doc)
}

pub(super) const fn later(
    key: &'static str,
    kind: Kind,
    default: Option<&'static str>,
    check: Check,
    update: Update,
    doc: &'static str,
) -> Setting {
    broker(Status::Later, (key, kind), default, check, update, doc)
}

pub(super) const fn moot(
    key: &'static str,
    kind: Kind,
    default: Option<&'static str>,
    check: Check,
    update: Update,
    doc: &'static str,
) -> Setting {
    broker(Status::Moot, (key, kind), default, check, update, doc)
}

pub(super) const fn refused(
    reason: &'static str,
    (key, kind): (&'static str, Kind),
    default: Option<&'static str>,
    check: Check,
    update: Update,
    doc: &'static str,
) -> Setting {
    broker(Status::Refused(reason), (key, kind), default, check, update, doc)
}
