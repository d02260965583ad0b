//! Whether a request makes progress on its way in. Pure.
//!
//! What counts is the time that the client lets us wait while a request is half received, not the
//! time that we let the client wait. A stall is forgiven (a network that drops, a process that is
//! stopped for a moment); who drips for longer holds a place and memory for nothing.

use crate::limits::{FRAME_BYTES_PER_SECOND, FRAME_PATIENCE};
use std::time::Duration;

/// The pace of the request under way.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pace {
    waited: Duration,
}

impl Pace {
    /// The client let us wait for more of it.
    pub fn on_wait(&mut self, span: Duration) {
        self.waited += span;
    }

    /// How long the client has let us wait.
    pub fn waited(&self) -> Duration {
        self.waited
    }

    /// How long it still may, having sent so many bytes of the request; nothing for who is too slow.
    pub fn left(&self, bytes: usize) -> Duration {
        let earned = Duration::from_millis(bytes as u64 * 1000 / FRAME_BYTES_PER_SECOND);
        (FRAME_PATIENCE + earned).saturating_sub(self.waited)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stall_is_forgiven_and_dripping_is_not() {
        let mut pace = Pace::default();
        pace.on_wait(FRAME_PATIENCE.saturating_sub(Duration::from_secs(1)));
        assert_eq!(pace.left(0), Duration::from_secs(1));
        pace.on_wait(Duration::from_secs(1));
        assert_eq!(pace.left(0), Duration::ZERO);
        assert_eq!(Pace::default().left(0), FRAME_PATIENCE, "another request");
    }

    #[test]
    fn whoever_keeps_the_pace_may_send_for_as_long_as_it_takes() {
        let (mut pace, mut bytes) = (Pace::default(), 0);
        for _ in 0..100_000 {
            bytes += FRAME_BYTES_PER_SECOND as usize;
            pace.on_wait(Duration::from_secs(1));
            assert_eq!(pace.left(bytes), FRAME_PATIENCE);
        }
        let (mut pace, mut bytes, mut seconds) = (Pace::default(), 0, 0);
        while !pace.left(bytes).is_zero() {
            bytes += FRAME_BYTES_PER_SECOND as usize / 2;
            pace.on_wait(Duration::from_secs(1));
            seconds += 1;
        }
        assert_eq!(seconds, 2 * FRAME_PATIENCE.as_secs(), "at half the pace");
    }
}
