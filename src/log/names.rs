//! Names of the files in a partition's folder, as Kafka spells them.
//!
//! ```text
//! 00000000000000000042.log              base offset, 20 digits
//! 00000000000000000042.log.deleted      to be removed
//! 00000000000000000042.log.swap         complete output of a compaction, to take its place
//! 00000000000000000042.log.cleaned      incomplete output of a compaction
//! 00000000000000000042.log.cut-1234     kept aside by our recovery: what was cut at this position
//! 00000000000000000042.log.cut-1234-2   the same, of a later cut there
//! ```

use crate::model::Offset;
use std::path::{Path, PathBuf};

pub const EPOCHS: &str = "leader-epoch-checkpoint";
pub const PARTITION_METADATA: &str = "partition.metadata";

/// What a file of a segment holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Log,
    OffsetIndex,
    TimeIndex,
    TxnIndex,
    Snapshot,
}

/// A name in a partition's folder, understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Name {
    Segment(Offset, Kind),
    /// A compaction's complete output.
    Swap(Offset, Kind),
    /// To be removed: `.deleted`, `.cleaned`, `.tmp`.
    Garbage,
    /// Not a segment's, but Kafka's or ours; stays.
    Known,
    Unknown,
}

impl Kind {
    pub const ALL: [Self; 5] =
        [Self::Log, Self::OffsetIndex, Self::TimeIndex, Self::TxnIndex, Self::Snapshot];

    pub const fn suffix(self) -> &'static str {
        match self {
            Self::Log => ".log",
            Self::OffsetIndex => ".index",
            Self::TimeIndex => ".timeindex",
            Self::TxnIndex => ".txnindex",
            Self::Snapshot => ".snapshot",
        }
    }
}

/// The file of a segment in `folder`.
pub fn path(folder: &Path, base: Offset, kind: Kind) -> PathBuf {
    folder.join(file_name(base, kind))
}

pub fn file_name(base: Offset, kind: Kind) -> String {
    format!("{:020}{}", base.0, kind.suffix())
}

/// The file that keeps what recovery cut from `position` on, the `count`-th time (from 1).
pub fn cut_name(base: Offset, position: u64, count: u32) -> String {
    let name = format!("{}.cut-{position}", file_name(base, Kind::Log));
    if count <= 1 { name } else { format!("{name}-{count}") }
}

/// Understands a name.
pub fn parse(name: &str) -> Name {
    if [".deleted", ".cleaned", ".tmp"].iter().any(|end| name.ends_with(end)) {
        return Name::Garbage;
    }
    if let Some(name) = name.strip_suffix(".swap") {
        return parse_segment(name).map_or(Name::Unknown, |(base, kind)| Name::Swap(base, kind));
    }
    if let Some((base, kind)) = parse_segment(name) {
        return Name::Segment(base, kind);
    }
    let is_cut = name.split_once(".log.cut-").is_some_and(|(base, at)| {
        let (at, count) = at.split_once('-').unwrap_or((at, "2"));
        let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        base.len() == 20 && [base, at, count].into_iter().all(is_number)
    });
    let is_known = is_cut
        || [EPOCHS, PARTITION_METADATA, "quorum-state"].contains(&name)
        || name.ends_with(".checkpoint");
    if is_known { Name::Known } else { Name::Unknown }
}

fn parse_segment(name: &str) -> Option<(Offset, Kind)> {
    let (digits, suffix) = (name.get(..20)?, name.get(20..)?);
    let kind = Kind::ALL.into_iter().find(|kind| kind.suffix() == suffix)?;
    digits.bytes().all(|b| b.is_ascii_digit()).then_some(())?;
    Some((Offset(digits.parse().ok()?), kind))
}

/// Whether a folder of a log directory is a partition's: `<topic>-<partition>`.
pub fn parse_partition(folder: &str) -> Option<(&str, i32)> {
    let (topic, partition) = folder.rsplit_once('-')?;
    let is_number = !partition.is_empty() && partition.bytes().all(|b| b.is_ascii_digit());
    (is_number && crate::model::TopicName::parse(topic).is_ok())
        .then(|| Some((topic, partition.parse().ok()?)))?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_understood_and_spelled_alike() {
        for kind in Kind::ALL {
            let name = file_name(Offset(42), kind);
            assert_eq!(parse(&name), Name::Segment(Offset(42), kind));
            assert_eq!(parse(&format!("{name}.swap")), Name::Swap(Offset(42), kind));
            assert_eq!(parse(&format!("{name}.deleted")), Name::Garbage);
        }
        for count in [1, 2, 30] {
            assert_eq!(parse(&cut_name(Offset(7), 99, count)), Name::Known);
        }
        assert_eq!(parse(&format!("{}-", cut_name(Offset(7), 99, 1))), Name::Unknown);
        assert_eq!(parse("leader-epoch-checkpoint"), Name::Known);
        assert_eq!(parse("leader-epoch-checkpoint.tmp"), Name::Garbage);
        let odd = ["42.log", "0000000000000000004x.log", "99999999999999999999.log", "x", "é.swap"];
        for name in odd {
            assert_eq!(parse(name), Name::Unknown, "{name}");
        }
    }

    #[test]
    fn folders_of_partitions_are_told_from_others() {
        assert_eq!(parse_partition("a-b-12"), Some(("a-b", 12)));
        assert_eq!(parse_partition("__cluster_metadata-0"), Some(("__cluster_metadata", 0)));
        for folder in ["a-", "a", "-1", "a-0.b1946ac9-delete", "a-99999999999", "a-1-stray"] {
            assert_eq!(parse_partition(folder), None, "{folder}");
        }
    }
}
