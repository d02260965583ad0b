//! The segments of a log, in order of their base offsets.

use super::segment::Segment;
use crate::model::Offset;
use std::collections::VecDeque;
use std::rc::Rc;

#[derive(Default)]
pub struct Segments(VecDeque<Rc<Segment>>);

impl Segments {
    pub fn push(&mut self, segment: Rc<Segment>) {
        assert!(self.last().is_none_or(|last| last.base < segment.base));
        self.0.push_back(segment);
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The active segment.
    pub fn last(&self) -> Option<&Rc<Segment>> {
        self.0.back()
    }

    pub fn get(&self, index: usize) -> Option<&Rc<Segment>> {
        self.0.get(index)
    }

    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Rc<Segment>> + ExactSizeIterator {
        self.0.iter()
    }

    /// Index of the segment whose range holds `offset` (the first one for what lies before).
    pub fn floor(&self, offset: Offset) -> usize {
        self.0.partition_point(|segment| segment.base <= offset).saturating_sub(1)
    }

    /// Takes the first `count` out.
    pub fn drain_front(&mut self, count: usize) -> Vec<Rc<Segment>> {
        self.0.drain(..count).collect()
    }
}
