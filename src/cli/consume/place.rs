//! Where to begin and where to end: `-o`.

use crate::cli::client::{EARLIEST, LATEST};
use crate::cli::cluster::offsets::Place as Partition;
use crate::cli::cluster::{Cluster, TopicState};
use crate::cli::failure::Failure;
use crate::cli::grammar;
use crate::model::Timestamp;
use std::collections::BTreeMap;

/// A place in every partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    Start,
    End,
    Offset(i64),
    /// So many records before the end.
    BeforeEnd(i64),
    /// The first record at or after it.
    Time(Timestamp),
}

/// From a place, to another if one is named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    pub from: Place,
    pub to: Option<Place>,
}

impl Range {
    /// `PLACE` or `PLACE:PLACE`; times have colons themselves.
    pub fn parse(text: &str, now: Timestamp) -> Result<Self, Failure> {
        let split = match text.find(":@") {
            Some(at) => Some((&text[..at], &text[at + 1..])),
            None if text.starts_with('@') => None,
            None => text.split_once(':'),
        };
        match split {
            None => Ok(Self { from: Place::parse(text, now)?, to: None }),
            Some((from, to)) => {
                Ok(Self { from: Place::parse(from, now)?, to: Some(Place::parse(to, now)?) })
            }
        }
    }
}

impl Place {
    fn parse(text: &str, now: Timestamp) -> Result<Self, Failure> {
        let bad = || {
            Failure::Usage(format!(
                "{text:?} is no place in a log: write start, end, an offset, -N for N before the \
                 end, @TIME, or two of them as FROM:TO"
            ))
        };
        match text {
            "start" | "beginning" | "earliest" => return Ok(Self::Start),
            "end" | "latest" => return Ok(Self::End),
            _ if text.starts_with('@') => return Ok(Self::Time(grammar::moment(text, now)?)),
            _ => {}
        }
        if let Some(count) = text.strip_prefix('-') {
            return number(count).map(Self::BeforeEnd).ok_or_else(bad);
        }
        number(text).map(Self::Offset).ok_or_else(bad)
    }

    /// The offset that it means in each partition.
    pub fn offsets(
        self,
        cluster: &mut Cluster,
        topics: &[TopicState],
    ) -> Result<BTreeMap<Partition, i64>, Failure> {
        let at = |cluster: &mut Cluster, time| -> Result<BTreeMap<Partition, i64>, Failure> {
            let found = cluster.offsets(topics, time)?;
            Ok(found.into_iter().map(|(place, found)| (place, found.offset.0)).collect())
        };
        let ends = at(cluster, LATEST)?;
        let mut offsets = match self {
            Self::End => return Ok(ends),
            Self::Start => return at(cluster, EARLIEST),
            Self::Time(time) => at(cluster, time)?,
            Self::Offset(offset) => ends.keys().map(|place| (place.clone(), offset)).collect(),
            Self::BeforeEnd(count) => {
                let starts = at(cluster, EARLIEST)?;
                let back = |(place, end): (&Partition, &i64)| {
                    let start = starts.get(place).copied().unwrap_or(0);
                    (place.clone(), (end - count).max(start))
                };
                ends.iter().map(back).collect()
            }
        };
        // No record is as new: the end.
        for (place, offset) in &mut offsets {
            if *offset < 0 {
                *offset = ends.get(place).copied().unwrap_or(0);
            }
        }
        Ok(offsets)
    }
}

/// Digits alone: no second sign.
fn number(text: &str) -> Option<i64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_split_where_times_are_not() {
        let now = Timestamp(1_000_000);
        let check = |text: &str, from, to| {
            assert_eq!(Range::parse(text, now).unwrap(), Range { from, to }, "{text}");
        };
        check("start", Place::Start, None);
        check("-10", Place::BeforeEnd(10), None);
        check("5:9", Place::Offset(5), Some(Place::Offset(9)));
        check("start:end", Place::Start, Some(Place::End));
        check("@-1s:@now", Place::Time(Timestamp(999_000)), Some(Place::Time(now)));
        check("5:@now", Place::Offset(5), Some(Place::Time(now)));
        let at = Place::Time(Timestamp(1_700_000_000_000));
        check("@2023-11-14T22:13:20Z", at, None);
        check("@2023-11-14T22:13:20Z:@now", at, Some(Place::Time(now)));
        for bad in ["", "x", "5:", ":5", "+5", "--5", "@x", "1:2:3"] {
            assert!(Range::parse(bad, now).is_err(), "{bad}");
        }
    }
}
