//! Lines of the log that clients cause: of each kind a core writes a few in a while, and then how
//! many more there were. Whoever connects and misbehaves a thousand times a second fills no disk,
//! and hides nothing else.

use super::shard::Shard;
use crate::base::Instant;
use crate::limits::{TOLD_LINES_MAX, TOLD_WINDOW};
use std::rc::Rc;
use std::time::Duration;

/// What is told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A connection was closed because of what it sent.
    Closed,
    /// A connection was refused because of a limit.
    Refused,
    /// No connection could be accepted.
    NotAccepted,
    /// A connection's buffers could not be set.
    Buffers,
    /// Something happened to a group, or to a member.
    Group,
    /// A connection had no answer yet when the broker stopped.
    Late,
}

/// By [`Kind`].
const KINDS: [(Kind, &str); 6] = [
    (Kind::Closed, "closing connections"),
    (Kind::Refused, "refusing connections"),
    (Kind::NotAccepted, "cannot accept connections"),
    (Kind::Buffers, "socket buffers stay as they are"),
    (Kind::Group, "groups"),
    (Kind::Late, "closing connections before they are answered"),
];

/// How much was told of each kind. Pure.
#[derive(Debug, Default)]
pub struct Told([Window; KINDS.len()]);

/// From a kind's first line on.
#[derive(Clone, Copy, Debug, Default)]
struct Window {
    since: Option<Instant>,
    lines: u32,
    left_out: u64,
}

/// Lines that were left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeftOut {
    kind: Kind,
    what: &'static str,
    count: u64,
    span: Duration,
}

impl Told {
    /// Whether a line of the kind is written; if not, it is counted.
    pub fn may_tell(&mut self, now: Instant, kind: Kind) -> bool {
        let window = &mut self.0[kind as usize];
        let is_over = window.since.is_none_or(|since| now.since(since) >= TOLD_WINDOW);
        // What was left out is said by `end_windows`, and no earlier window is forgotten before.
        if is_over && window.left_out == 0 {
            *window = Window { since: Some(now), ..Window::default() };
        }
        let may = window.lines < TOLD_LINES_MAX;
        if may {
            window.lines += 1;
        } else {
            window.left_out += 1;
        }
        may
    }

    /// What is to be said of windows that have ended, or, at the end of all, of those that have not.
    pub fn end_windows(&mut self, now: Instant, is_last: bool) -> impl Iterator<Item = LeftOut> {
        self.0.iter_mut().zip(KINDS).filter_map(move |(window, (kind, what))| {
            let span = now.since(window.since?);
            if span < TOLD_WINDOW && !is_last {
                return None;
            }
            let count = std::mem::take(window).left_out;
            (count > 0).then_some(LeftOut { kind, what, count, span })
        })
    }
}

impl std::fmt::Display for LeftOut {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (what, count, secs) = (self.what, self.count, self.span.as_secs());
        write!(f, "{what}: and {count} more in {secs} s")
    }
}

impl Shard {
    /// Whether a line that a client has caused is written now; if not, it is counted.
    pub fn may_tell(&self, kind: Kind) -> bool {
        self.told.borrow_mut().may_tell(self.core().now(), kind)
    }

    /// Says now and then how many lines were left out.
    pub async fn keep_told(self: Rc<Self>) {
        const LOOK_AGAIN: Duration = Duration::from_secs(1);
        loop {
            self.core().sleep(LOOK_AGAIN).await;
            self.tell_left_out(false);
        }
    }

    pub(super) fn tell_left_out(&self, is_last: bool) {
        let now = self.core().now();
        for left_out in self.told.borrow_mut().end_windows(now, is_last) {
            // What groups do is no trouble.
            if left_out.kind == Kind::Group {
                tracing::info!("{left_out}");
            } else {
                tracing::warn!("{left_out}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Instant {
        Instant(1 + seconds * 1_000_000_000)
    }

    fn said(told: &mut Told, now: Instant, is_last: bool) -> Vec<String> {
        told.end_windows(now, is_last).map(|left_out| left_out.to_string()).collect()
    }

    #[test]
    fn kinds_are_in_the_order_of_their_table() {
        assert!(KINDS.iter().enumerate().all(|(index, (kind, _))| *kind as usize == index));
    }

    #[test]
    fn a_few_lines_of_a_kind_are_written_and_the_others_counted() {
        let mut told = Told::default();
        let written = (0..3125).filter(|_| told.may_tell(at(1), Kind::Closed)).count();
        assert_eq!(written, TOLD_LINES_MAX as usize);
        assert!(told.may_tell(at(2), Kind::Refused), "another kind has its own lines");
        assert_eq!(said(&mut told, at(10), false), [""; 0], "the window is open");
        let more = 3125 - TOLD_LINES_MAX;
        assert_eq!(
            said(&mut told, at(11), false),
            [format!("closing connections: and {more} more in 10 s")]
        );
        assert_eq!(said(&mut told, at(30), true), [""; 0], "it is said once");
        assert!(told.may_tell(at(31), Kind::Closed), "the next window has lines again");
    }

    #[test]
    fn nothing_that_was_left_out_is_forgotten() {
        let mut told = Told::default();
        let count = |told: &mut Told, now, lines: u32| {
            (0..lines).filter(|_| told.may_tell(now, Kind::Group)).count() as u32
        };
        let mut written = count(&mut told, at(0), TOLD_LINES_MAX + 7);
        // The next window begins before the last one was told of.
        written += count(&mut told, at(100), 2);
        assert_eq!(said(&mut told, at(100), false), ["groups: and 9 more in 100 s"]);
        written += count(&mut told, at(101), TOLD_LINES_MAX + 1);
        assert_eq!(said(&mut told, at(103), true), ["groups: and 1 more in 2 s"]);
        assert_eq!(written, 2 * TOLD_LINES_MAX);
    }
}
