//! Watches the cores from a thread that is none: one that does not come back from a turn of its loop
//! is named, with what it is doing. Nothing can be done about it from here, but who reads the log
//! knows where to look.

use crate::base::Instant;
use crate::broker::Metrics;
use crate::broker::doing::InWords;
use crate::runtime::doing::Seen;
use crate::runtime::{clock, machine};
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// A turn is short: this long means that something is wrong.
const STUCK_AFTER: Duration = Duration::from_secs(1);
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Starts to watch, for as long as the process lives.
pub fn start(metrics: Arc<Metrics>) -> io::Result<()> {
    machine::start_aside("watchdog", move || {
        let mut watches = vec![Watch::default(); metrics.cores().len()];
        let mut looked_at = clock::monotonic();
        loop {
            std::thread::sleep(LOOK_EVERY);
            let now = clock::monotonic();
            // Who was not woken in time himself (a stopped process, a busy machine) knows nothing.
            let is_late = now.since(looked_at) > 2 * LOOK_EVERY + LOOK_EVERY;
            looked_at = now;
            if !is_late {
                look_at_all(&metrics, &mut watches, now);
            }
        }
    })
    .map(drop)
}

fn look_at_all(metrics: &Metrics, watches: &mut [Watch], now: Instant) {
    for (index, (core, watch)) in metrics.cores().iter().zip(watches).enumerate() {
        let Some(counters) = core.turns() else { continue };
        match watch.look(now, counters.doing.seen()) {
            Finding::Fine => {}
            Finding::Stuck { span, seen, is_new } => {
                core.stuck_turns.add(u64::from(is_new));
                tracing::error!(
                    stuck_core = index,
                    "core {index} is stuck for {:.1} s: it {}; all its partitions and connections \
                     wait",
                    span.as_secs_f64(),
                    InWords(seen)
                );
            }
            Finding::Free { span } => tracing::warn!(
                stuck_core = index,
                "core {index} goes on, after {:.1} s",
                span.as_secs_f64()
            ),
        }
    }
}

/// What is known of one core. Pure.
#[derive(Clone, Copy, Debug, Default)]
struct Watch {
    /// The turn that was told of, and how long it had taken then.
    told: Option<(Instant, Duration)>,
}

#[derive(Debug, PartialEq)]
enum Finding {
    Fine,
    /// It was told of that turn before, unless `is_new`.
    Stuck {
        span: Duration,
        seen: Seen,
        is_new: bool,
    },
    /// A turn that was told of is over; about when it was.
    Free {
        span: Duration,
    },
}

impl Watch {
    fn look(&mut self, now: Instant, seen: Seen) -> Finding {
        let told = self.told.filter(|(turn, _)| Some(*turn) == seen.turn_at);
        if let (Some((turn, _)), None) = (self.told, told) {
            self.told = None;
            return Finding::Free { span: now.since(turn) };
        }
        let Some(turn) = seen.turn_at else { return Finding::Fine };
        // Told at once, and then each time that it has taken twice as long.
        let due = told.map_or(STUCK_AFTER, |(_, span)| 2 * span);
        let span = now.since(turn);
        if span < due {
            return Finding::Fine;
        }
        self.told = Some((turn, span));
        Finding::Stuck { span, seen, is_new: told.is_none() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    fn seen(turn_ms: u64) -> Seen {
        let turn_at = (turn_ms > 0).then_some(Instant(turn_ms * MS));
        Seen { turn_at, what: 5, ..Seen::default() }
    }

    #[test]
    fn a_turn_is_told_of_when_it_is_long_again_when_it_is_longer_and_when_it_is_over() {
        let mut watch = Watch::default();
        let mut look = |now_ms: u64, turn_ms| match watch.look(Instant(now_ms * MS), seen(turn_ms))
        {
            Finding::Fine => String::new(),
            Finding::Stuck { span, seen, is_new } => {
                format!(
                    "stuck {} ms in {}{}",
                    span.as_millis(),
                    seen.what,
                    if is_new { "" } else { " still" }
                )
            }
            Finding::Free { span } => format!("free after {} ms", span.as_millis()),
        };
        let story = [
            (1000, 990, ""),
            (5000, 0, ""),
            (6000, 5500, ""),
            (6600, 5500, "stuck 1100 ms in 5"),
            (7500, 5500, ""),
            (7700, 5500, "stuck 2200 ms in 5 still"),
            (8000, 7900, "free after 2500 ms"),
            (8100, 7900, ""),
            // From one long turn into the next.
            (9000, 7900, "stuck 1100 ms in 5"),
            (9250, 9200, "free after 1350 ms"),
            (10300, 9200, "stuck 1100 ms in 5"),
            (10500, 0, "free after 1300 ms"),
        ];
        for (now, turn, told) in story {
            assert_eq!(look(now, turn), told, "at {now} ms");
        }
    }
}
