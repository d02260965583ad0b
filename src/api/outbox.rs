//! What a connection is about to send: bytes, and spans of segment files between them.
//!
//! Answers are encoded one behind the other; small ones share a send. Buffers are used again.

use crate::limits::KEPT_BYTES_MAX;
use crate::log::Span;
use crate::protocol::Writer;
use crate::protocol::writer::Part;
use crate::runtime::Gather;
use bytes::Bytes;
use std::collections::VecDeque;

/// Copying is cheaper than a piece of its own up to here.
const COPY_MAX: usize = 4096;
/// Gathers that are kept for the next answers.
const SPARE_GATHERS_MAX: usize = 4;

/// One thing to send.
#[derive(Debug)]
pub enum Item {
    Bytes(Gather),
    Span(Span),
}

/// A connection's queue of things to send, bounded by the requests that it may have open.
#[derive(Debug, Default)]
pub struct Outbox {
    items: VecDeque<Item>,
    spare: Vec<Gather>,
    bytes: usize,
}

impl Outbox {
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Bytes waiting, those of files included.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    pub fn item_count(&self) -> usize {
        self.items.len()
    }

    /// Copies small bytes behind what is there.
    pub fn push_copy(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len();
        self.gather().push_copy(bytes);
    }

    /// Adds bytes that are owned; large ones are not copied.
    pub fn push_bytes(&mut self, bytes: Vec<u8>) {
        if bytes.len() <= COPY_MAX {
            return self.push_copy(&bytes);
        }
        self.bytes += bytes.len();
        self.gather().push_bytes(Bytes::from(bytes));
    }

    pub fn push_span(&mut self, span: Span) {
        if span.len > 0 {
            self.bytes += span.len;
            self.items.push_back(Item::Span(span));
        }
    }

    /// Adds what a writer holds; `span_of` gives the span for the tag of a gap.
    pub fn push_written(&mut self, writer: &Writer, mut span_of: impl FnMut(usize) -> Span) {
        for part in writer.parts() {
            match part {
                Part::Bytes(bytes) => self.push_copy(bytes),
                Part::Records(gap) => {
                    let span = span_of(gap.tag);
                    assert_eq!(span.len, gap.len);
                    self.push_span(span);
                }
            }
        }
    }

    /// The next thing to send, and whether another follows.
    pub fn pop(&mut self) -> Option<(Item, bool)> {
        let item = self.items.pop_front()?;
        self.bytes -= match &item {
            Item::Bytes(gather) => gather.len(),
            Item::Span(span) => span.len,
        };
        Some((item, !self.items.is_empty()))
    }

    /// Takes a sent gather back for reuse.
    pub fn recycle(&mut self, mut gather: Gather) {
        let is_small = gather.len() <= KEPT_BYTES_MAX;
        gather.clear();
        if is_small && self.spare.len() < SPARE_GATHERS_MAX {
            self.spare.push(gather);
        }
    }

    fn gather(&mut self) -> &mut Gather {
        if !matches!(self.items.back(), Some(Item::Bytes(_))) {
            let gather = self.spare.pop().unwrap_or_default();
            self.items.push_back(Item::Bytes(gather));
        }
        match self.items.back_mut() {
            Some(Item::Bytes(gather)) => gather,
            _ => unreachable!("just pushed"),
        }
    }
}
