//! The settings of a group, each with the broker's setting that it follows and those that bound it.

use crate::config::kind::{Check, Check::*, Kind, Kind::*};
use crate::config::setting::{Bounds, Scope, Setting, Status::Later};

const fn group(
    key: &'static str,
    (kind, default): (Kind, &'static str),
    check: Check,
    follows: Option<&'static str>,
    bounds: Bounds,
    doc: &'static str,
) -> Setting {
    let scope = Scope::Group { follows, bounds };
    Setting { key, kind, default: Some(default), check, scope, status: Later, doc }
}

const FREE: Bounds = Bounds { min: None, max: None };

const fn within(min: &'static str, max: &'static str) -> Bounds {
    Bounds { min: Some(min), max: Some(max) }
}

#[rustfmt::skip]
pub(super) static SETTINGS: &[Setting] = &[
    group("consumer.session.timeout.ms", (Int, "45000"), AtLeast(1),
        Some("group.consumer.session.timeout.ms"),
        within("group.consumer.min.session.timeout.ms", "group.consumer.max.session.timeout.ms"),
        "Silence after which a member of a consumer group is out."),
    group("consumer.heartbeat.interval.ms", (Int, "5000"), AtLeast(1),
        Some("group.consumer.heartbeat.interval.ms"),
        within("group.consumer.min.heartbeat.interval.ms", "group.consumer.max.heartbeat.interval.ms"),
        "Time between heartbeats of a consumer group."),
    group("consumer.assignment.interval.ms", (Int, "1000"), AtLeast(0),
        Some("group.consumer.assignment.interval.ms"),
        within("group.consumer.min.assignment.interval.ms", "group.consumer.max.assignment.interval.ms"),
        "Shortest time between two assignments of a consumer group."),
    group("share.session.timeout.ms", (Int, "45000"), AtLeast(1),
        Some("group.share.session.timeout.ms"),
        within("group.share.min.session.timeout.ms", "group.share.max.session.timeout.ms"),
        "Silence after which a member of a share group is out."),
    group("share.heartbeat.interval.ms", (Int, "5000"), AtLeast(1),
        Some("group.share.heartbeat.interval.ms"),
        within("group.share.min.heartbeat.interval.ms", "group.share.max.heartbeat.interval.ms"),
        "Time between heartbeats of a share group."),
    group("share.record.lock.duration.ms", (Int, "30000"), AtLeast(1000),
        Some("group.share.record.lock.duration.ms"),
        within("group.share.min.record.lock.duration.ms", "group.share.max.record.lock.duration.ms"),
        "How long a share consumer holds a record."),
    group("share.delivery.count.limit", (Int, "5"), AtLeast(2),
        Some("group.share.delivery.count.limit"),
        within("group.share.min.delivery.count.limit", "group.share.max.delivery.count.limit"),
        "How often a record is offered to a share group."),
    group("share.partition.max.record.locks", (Int, "2000"), AtLeast(100),
        Some("group.share.partition.max.record.locks"),
        within("group.share.min.partition.max.record.locks", "group.share.max.partition.max.record.locks"),
        "Locked records of one share partition."),
    group("share.auto.offset.reset", (Text, "latest"), OffsetReset, None, FREE,
        "Where a share group begins: earliest, latest or by_duration:<ISO 8601 duration>."),
    group("share.assignment.interval.ms", (Int, "1000"), AtLeast(0),
        Some("group.share.assignment.interval.ms"),
        within("group.share.min.assignment.interval.ms", "group.share.max.assignment.interval.ms"),
        "Shortest time between two assignments of a share group."),
    group("share.isolation.level", (Text, "read_uncommitted"),
        OneOf(&["read_committed", "read_uncommitted"]), None, FREE,
        "Whether a share group is given records of open and aborted transactions."),
    group("share.renew.acknowledge.enable", (Boolean, "true"), Any, None, FREE,
        "Whether members of a share group may ask for more time for a record."),
    group("streams.session.timeout.ms", (Int, "45000"), AtLeast(1),
        Some("group.streams.session.timeout.ms"),
        within("group.streams.min.session.timeout.ms", "group.streams.max.session.timeout.ms"),
        "Silence after which a member of a streams group is out."),
    group("streams.heartbeat.interval.ms", (Int, "5000"), AtLeast(1),
        Some("group.streams.heartbeat.interval.ms"),
        within("group.streams.min.heartbeat.interval.ms", "group.streams.max.heartbeat.interval.ms"),
        "Time between heartbeats of a streams group."),
    group("streams.num.standby.replicas", (Int, "0"), AtLeast(0),
        Some("group.streams.num.standby.replicas"),
        Bounds { min: None, max: Some("group.streams.max.standby.replicas") },
        "Standby tasks of a streams group."),
    group("streams.initial.rebalance.delay.ms", (Int, "3000"), AtLeast(0),
        Some("group.streams.initial.rebalance.delay.ms"), FREE,
        "How long an empty streams group waits for more members."),
    group("streams.assignment.interval.ms", (Int, "1000"), AtLeast(0),
        Some("group.streams.assignment.interval.ms"),
        within("group.streams.min.assignment.interval.ms", "group.streams.max.assignment.interval.ms"),
        "Shortest time between two assignments of a streams group."),
];
