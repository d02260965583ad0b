//! What a core is doing, in words: packed into numbers where the core says it, which costs a store
//! or three, and unpacked by whoever tells an operator why a core does not go on.

use super::shard::Shard;
use crate::model::{TopicId, Uuid};
use crate::protocol::ApiKey;
use crate::runtime::doing::Seen;
use std::fmt;
use std::pin::pin;
use std::task::Poll;

/// What a core does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Reads a request and begins it, or goes on with it.
    Request = 1,
    Answer,
    /// Validates a batch and stages it.
    Append,
    /// Writes what was staged.
    Write,
    /// Looks for what a fetch wants.
    Read,
    Retention,
    Group,
}

const PHASES: [(Phase, &str); 7] = [
    (Phase::Request, "works on a request"),
    (Phase::Answer, "encodes an answer"),
    (Phase::Append, "validates and stages a batch"),
    (Phase::Write, "writes batches"),
    (Phase::Read, "looks for batches"),
    (Phase::Retention, "applies retention"),
    (Phase::Group, "coordinates groups"),
];

/// `00 phase(8) api(16) partition(32)`; no API is -1.
fn pack(phase: Phase, api: i16, partition: i32) -> u64 {
    (phase as u64) << 48 | u64::from(api as u16) << 32 | u64::from(partition as u32)
}

impl Shard {
    /// This core now does this, for a request of this API.
    pub fn doing(&self, phase: Phase, api: i16) {
        self.core().counters().doing.note(pack(phase, api, -1));
    }

    /// This core now does this with a partition.
    pub fn doing_at(&self, phase: Phase, topic: TopicId, partition: i32) {
        let [a, b] =
            [0, 8].map(|at| u64::from_be_bytes(std::array::from_fn(|index| topic.0[at + index])));
        self.core().counters().doing.note_at(pack(phase, -1, partition), [a, b]);
    }

    /// Does `work`, whose every step is one of a request.
    pub async fn doing_request<T>(&self, api: i16, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        std::future::poll_fn(|context| {
            self.doing(Phase::Request, api);
            let polled: Poll<T> = work.as_mut().poll(context);
            polled
        })
        .await
    }
}

/// What was seen, in words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InWords(pub Seen);

impl fmt::Display for InWords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Seen { what, place: [a, b], is_calling, .. } = self.0;
        if let Some((_, words)) = PHASES.iter().find(|(phase, _)| *phase as u64 == what >> 48) {
            let (api, partition) = ((what >> 32) as i16, what as i32);
            f.write_str(words)?;
            if let Some(api) = ApiKey::ALL.iter().find(|known| known.key() == api) {
                write!(f, " ({})", api.name())?;
            }
            if partition >= 0 {
                let topic = Uuid((u128::from(a) << 64 | u128::from(b)).to_be_bytes());
                write!(f, " of partition {partition} of the topic with the id {topic}")?;
            }
        } else {
            f.write_str("runs a task")?;
        }
        f.write_str(if is_calling { ", in a system call" } else { "" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(what: u64, topic: Uuid, is_calling: bool) -> String {
        let place = u128::from_be_bytes(topic.0);
        let place = [(place >> 64) as u64, place as u64];
        InWords(Seen { turn_at: None, what, place, is_calling }).to_string()
    }

    #[test]
    fn what_a_core_does_can_be_read() {
        let id = Uuid::METADATA_TOPIC;
        assert_eq!(words(0, id, false), "runs a task");
        assert_eq!(words(0, id, true), "runs a task, in a system call");
        assert_eq!(words(pack(Phase::Request, 3, -1), id, false), "works on a request (Metadata)");
        assert_eq!(words(pack(Phase::Answer, -1, -1), id, false), "encodes an answer");
        assert_eq!(
            words(pack(Phase::Write, -1, 70_000), id, true),
            format!(
                "writes batches of partition 70000 of the topic with the id {id}, in a system call"
            )
        );
        assert_eq!(words(u64::MAX, id, false), "runs a task");
    }

    #[test]
    fn phases_are_in_the_order_of_their_table() {
        assert!(PHASES.iter().enumerate().all(|(index, (phase, _))| *phase as usize == index + 1));
    }
}
