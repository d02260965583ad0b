//! A member of a group on a thread of its own: polls, keeps what came, commits before a partition is taken away.

use crate::settings;
use rdkafka::ClientContext;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext, Rebalance};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

const POLL: Duration = Duration::from_millis(50);

#[derive(Default)]
struct Seen {
    values: Mutex<Vec<String>>,
    failure: Mutex<Option<String>>,
    owned: AtomicUsize,
    changes: AtomicUsize,
    leaving: AtomicBool,
}

pub struct Member {
    seen: Arc<Seen>,
    thread: JoinHandle<()>,
}

struct Context(Arc<Seen>);

impl ClientContext for Context {}

impl ConsumerContext for Context {
    fn pre_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        if let Rebalance::Revoke(_) = rebalance {
            commit(consumer, &self.0);
        }
    }

    fn post_rebalance(&self, _: &BaseConsumer<Self>, _: &Rebalance<'_>) {
        self.0.changes.fetch_add(1, Ordering::SeqCst);
    }
}

/// Commits what was polled; that there is nothing to commit is no failure.
fn commit(consumer: &BaseConsumer<Context>, seen: &Seen) {
    match consumer.commit_consumer_state(CommitMode::Sync) {
        Ok(()) | Err(KafkaError::ConsumerCommit(RDKafkaErrorCode::NoOffset)) => {}
        Err(error) => seen.fail(&error),
    }
}

impl Seen {
    fn fail(&self, error: &KafkaError) {
        self.failure.lock().unwrap().get_or_insert(error.to_string());
    }
}

impl Member {
    pub fn join(
        broker: &str,
        group: &str,
        topic: &str,
        more: &[(&str, &str)],
    ) -> Result<Self, KafkaError> {
        let mut settings = settings(broker);
        settings
            .set("group.id", group)
            .set("enable.auto.commit", "false")
            .set("auto.offset.reset", "earliest")
            .set("fetch.wait.max.ms", "100")
            .set("heartbeat.interval.ms", "300");
        for (key, value) in more {
            settings.set(*key, *value);
        }
        let seen = Arc::new(Seen::default());
        let consumer: BaseConsumer<Context> =
            settings.create_with_context(Context(Arc::clone(&seen)))?;
        consumer.subscribe(&[topic])?;
        let thread = std::thread::spawn({
            let seen = Arc::clone(&seen);
            move || live(&consumer, &seen)
        });
        Ok(Self { seen, thread })
    }

    pub fn owns(&self, count: usize) -> Result<bool, String> {
        match &*self.seen.failure.lock().unwrap() {
            Some(reason) => Err(format!("a member: {reason}")),
            None => Ok(self.seen.owned.load(Ordering::SeqCst) == count),
        }
    }

    pub fn count(&self) -> usize {
        self.seen.values.lock().unwrap().len()
    }

    /// How often its assignment changed.
    pub fn changes(&self) -> usize {
        self.seen.changes.load(Ordering::SeqCst)
    }

    /// Leaves the group; the values that came.
    pub fn leave(self) -> Result<Vec<String>, String> {
        self.seen.leaving.store(true, Ordering::SeqCst);
        self.thread.join().map_err(|_| "a member's thread died")?;
        match self.seen.failure.lock().unwrap().take() {
            Some(reason) => Err(reason),
            None => Ok(std::mem::take(&mut *self.seen.values.lock().unwrap())),
        }
    }
}

fn live(consumer: &BaseConsumer<Context>, seen: &Seen) {
    while !seen.leaving.load(Ordering::SeqCst) {
        match consumer.poll(POLL) {
            None => {}
            Some(Err(error)) => seen.fail(&error),
            Some(Ok(record)) => {
                let value =
                    String::from_utf8_lossy(record.payload().unwrap_or_default()).into_owned();
                seen.values.lock().unwrap().push(value);
            }
        }
        if let Ok(assigned) = consumer.assignment() {
            seen.owned.store(assigned.count(), Ordering::SeqCst);
        }
    }
    commit(consumer, seen);
    // Dropped by the caller, it leaves the group.
}
