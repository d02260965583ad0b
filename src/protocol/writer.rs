//! Writes Kafka's primitives and leaves gaps for records.
//!
//! A reply is one gathered write: what this writer holds, with spans of segment files between.
//! The writer never sees the records. Where a message carries them it writes their length and
//! notes a gap: at which byte of its buffer they belong, how many they are, and the caller's tag
//! that says which they are.
//!
//! ```text
//!   bytes   [size|header|topic|partition 0|len][partition 1|len][rest]
//!   gaps                                      ^ 512, tag 0     ^ 64, tag 1
//!   on the wire   bytes, 512 from a file, bytes, 64 from a file, bytes
//! ```
//!
//! Buffers are reused: after warm-up a writer does not allocate. What a version has no place for
//! is left out, and null where it allows none is written as the empty value: an answer to an old
//! client carries less, it never fails.

use super::reader::STRING_LEN_MAX;
use crate::model::Uuid;

/// Where records belong that the writer does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    /// Byte of the writer's buffer before which they belong.
    pub at: usize,
    pub len: usize,
    /// The caller's name for them.
    pub tag: usize,
}

/// A `records` field on its way out: how many bytes, and the caller's name for them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RecordsGap {
    pub len: usize,
    pub tag: usize,
}

/// One part of what a writer has written, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part<'w> {
    Bytes(&'w [u8]),
    Records(RecordsGap),
}

/// Appends messages to a buffer that is reused.
#[derive(Debug, Default)]
pub struct Writer {
    bytes: Vec<u8>,
    gaps: Vec<Gap>,
    /// Sum of the gaps' lengths.
    gap_bytes: usize,
    version: i16,
    flexible: bool,
}

/// A frame whose size is not known yet.
#[derive(Debug)]
#[must_use = "a frame needs its size"]
pub struct FrameStart {
    at: usize,
    gap_bytes: usize,
}

/// The tagged fields at the end of a flexible struct, while they are written.
#[derive(Debug)]
pub struct Tags {
    /// Byte of the count; `None` in versions without tags.
    at: Option<usize>,
    count: u8,
}

macro_rules! numbers {
    ($($name:ident($type:ty)),* $(,)?) => {$(
        #[inline]
        pub fn $name(&mut self, value: $type) {
            self.bytes.extend_from_slice(&value.to_be_bytes());
        }
    )*};
}

impl Writer {
    pub fn new() -> Self {
        Self::default()
    }

    /// A writer over buffers that were used before; what they hold is dropped.
    pub fn with_buffers(mut bytes: Vec<u8>, mut gaps: Vec<Gap>) -> Self {
        bytes.clear();
        gaps.clear();
        Self { bytes, gaps, ..Self::default() }
    }

    /// Drops what was written and keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.gaps.clear();
        self.gap_bytes = 0;
    }

    pub fn into_buffers(self) -> (Vec<u8>, Vec<Gap>) {
        (self.bytes, self.gaps)
    }

    /// Leaves room for the size of a frame.
    pub fn frame_begin(&mut self) -> FrameStart {
        let start = FrameStart { at: self.bytes.len(), gap_bytes: self.gap_bytes };
        self.i32(0);
        start
    }

    /// Fills in the frame's size, gaps included. Returns the bytes of the whole frame on the wire.
    pub fn frame_end(&mut self, start: FrameStart) -> usize {
        let len = self.bytes.len() - start.at + (self.gap_bytes - start.gap_bytes);
        let size = i32::try_from(len - 4).expect("a frame is shorter than 2 GiB");
        self.bytes[start.at..start.at + 4].copy_from_slice(&size.to_be_bytes());
        len
    }

    /// From here on the writer writes `version` of a message whose versions from `flexible_from`
    /// on are flexible.
    pub fn set_version(&mut self, version: i16, flexible_from: Option<i16>) {
        self.version = version;
        self.flexible = flexible_from.is_some_and(|from| version >= from);
    }

    pub fn version(&self) -> i16 {
        self.version
    }

    pub fn flexible(&self) -> bool {
        self.flexible
    }

    numbers! { i8(i8), i16(i16), i32(i32), i64(i64), u16(u16), u32(u32), f64(f64) }

    #[inline]
    pub fn bool(&mut self, value: bool) {
        self.bytes.push(u8::from(value));
    }

    #[inline]
    pub fn uuid(&mut self, value: Uuid) {
        self.bytes.extend_from_slice(&value.0);
    }

    #[inline]
    pub fn uvarint(&mut self, mut value: u32) {
        while value >= 0x80 {
            self.bytes.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.bytes.push(value as u8);
    }

    /// A string; one too long for the wire loses its end (only texts of ours can be).
    pub fn string(&mut self, text: &str) {
        let mut end = text.len().min(STRING_LEN_MAX);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let text = &text[..end];
        if self.flexible {
            self.uvarint(text.len() as u32 + 1);
        } else {
            self.i16(text.len() as i16);
        }
        self.bytes.extend_from_slice(text.as_bytes());
    }

    pub fn string_nullable(&mut self, text: Option<&str>) {
        match text {
            Some(text) => self.string(text),
            None if self.flexible => self.uvarint(0),
            None => self.i16(-1),
        }
    }

    pub fn bytes(&mut self, bytes: &[u8]) {
        self.len(Some(bytes.len()));
        self.bytes.extend_from_slice(bytes);
    }

    pub fn bytes_nullable(&mut self, bytes: Option<&[u8]>) {
        match bytes {
            Some(bytes) => self.bytes(bytes),
            None => self.len(None),
        }
    }

    /// Writes the length of records and leaves a gap for them; no gap for none.
    pub fn records(&mut self, records: RecordsGap) {
        self.len(Some(records.len));
        if records.len > 0 {
            let RecordsGap { len, tag } = records;
            self.gaps.push(Gap { at: self.bytes.len(), len, tag });
            self.gap_bytes += len;
        }
    }

    pub fn records_nullable(&mut self, records: Option<RecordsGap>) {
        match records {
            Some(records) => self.records(records),
            None => self.len(None),
        }
    }

    /// Length of an array, bytes or records; `None` is null.
    #[inline]
    pub fn len(&mut self, len: Option<usize>) {
        let len = len.map(|len| i32::try_from(len).expect("lengths stay below 2 GiB"));
        match len {
            Some(len) if self.flexible => self.uvarint(len as u32 + 1),
            None if self.flexible => self.uvarint(0),
            len => self.i32(len.unwrap_or(-1)),
        }
    }

    pub fn array<T>(&mut self, elements: &[T], each: impl FnMut(&mut Self, &T)) {
        self.array_nullable(Some(elements), each);
    }

    pub fn array_nullable<T>(
        &mut self,
        elements: Option<&[T]>,
        mut each: impl FnMut(&mut Self, &T),
    ) {
        self.len(elements.map(<[T]>::len));
        for element in elements.unwrap_or_default() {
            each(self, element);
        }
    }

    /// The marker byte before a struct that may be null.
    pub fn optional(&mut self, present: bool) {
        self.i8(if present { 1 } else { -1 });
    }

    /// Begins the tagged fields that end a struct; writes nothing in versions without them.
    #[inline]
    pub fn tags_begin(&mut self) -> Tags {
        if !self.flexible {
            return Tags { at: None, count: 0 };
        }
        self.bytes.push(0);
        Tags { at: Some(self.bytes.len() - 1), count: 0 }
    }

    /// One tagged field. Its size goes before it: one byte is left for it, and the few fields that
    /// need more are moved.
    pub fn tag(&mut self, tags: &mut Tags, tag: u32, content: impl FnOnce(&mut Self)) {
        assert!(tags.at.is_some());
        self.uvarint(tag);
        let size_at = self.bytes.len();
        let gap_count = self.gaps.len();
        self.bytes.push(0);
        content(self);
        assert!(self.gaps.len() == gap_count);
        let size = self.bytes.len() - size_at - 1;
        let mut more = u32::try_from(size).expect("lengths stay below 2 GiB");
        let mut at = size_at;
        while more >= 0x80 {
            self.bytes[at] = more as u8 | 0x80;
            more >>= 7;
            at += 1;
            self.bytes.insert(at, 0);
        }
        self.bytes[at] = more as u8;
        tags.count += 1;
    }

    #[inline]
    pub fn tags_end(&mut self, tags: Tags) {
        if let Some(at) = tags.at {
            // One byte holds the count: no struct of Kafka's has 128 tagged fields.
            assert!(tags.count < 0x80);
            self.bytes[at] = tags.count;
        }
    }

    /// Bytes that are on no field's account: a record's value, an opaque body.
    pub fn raw(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// What was written, gaps left out.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub fn gaps(&self) -> &[Gap] {
        &self.gaps
    }

    /// Bytes on the wire: what was written and what belongs into the gaps.
    pub fn wire_len(&self) -> usize {
        self.bytes.len() + self.gap_bytes
    }

    /// What goes on the wire, in order. No part is empty.
    pub fn parts(&self) -> impl Iterator<Item = Part<'_>> {
        let starts = std::iter::once(0).chain(self.gaps.iter().map(|gap| gap.at));
        let ends = self.gaps.iter().map(|gap| gap.at).chain(std::iter::once(self.bytes.len()));
        let gaps = self.gaps.iter().map(Some).chain(std::iter::once(None));
        starts.zip(ends).zip(gaps).flat_map(|((start, end), gap)| {
            let bytes = (start < end).then(|| Part::Bytes(&self.bytes[start..end]));
            let records = gap.map(|gap| Part::Records(RecordsGap { len: gap.len, tag: gap.tag }));
            bytes.into_iter().chain(records)
        })
    }

    /// The wire bytes in one piece, each gap filled by what `records` gives for it, which must have
    /// the announced length.
    pub fn to_vec<'r>(&self, mut records: impl FnMut(RecordsGap) -> &'r [u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.wire_len());
        for part in self.parts() {
            match part {
                Part::Bytes(bytes) => out.extend_from_slice(bytes),
                Part::Records(gap) => {
                    let bytes = records(gap);
                    assert_eq!(bytes.len(), gap.len);
                    out.extend_from_slice(bytes);
                }
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_counts_its_gaps() {
        let mut writer = Writer::new();
        writer.raw(b"before");
        let frame = writer.frame_begin();
        writer.records(RecordsGap { len: 3, tag: 7 });
        writer.records(RecordsGap { len: 0, tag: 8 });
        writer.records(RecordsGap { len: 2, tag: 9 });
        assert_eq!(writer.frame_end(frame), 4 + 12 + 5);
        assert_eq!(writer.wire_len(), 6 + 4 + 12 + 5);
        let wire = writer.to_vec(|gap| if gap.tag == 7 { b"abc" } else { b"de" });
        assert_eq!(wire, b"before\0\0\0\x11\0\0\0\x03abc\0\0\0\0\0\0\0\x02de");
        let last = writer.parts().last();
        assert_eq!(last, Some(Part::Records(RecordsGap { len: 2, tag: 9 })));
    }

    #[test]
    fn a_long_tagged_field_is_moved_to_make_room_for_its_size() {
        for len in [0, 1, 127, 128, 300, 20_000] {
            let mut writer = Writer::new();
            writer.set_version(0, Some(0));
            let mut tags = writer.tags_begin();
            writer.tag(&mut tags, 5, |w| w.raw(&vec![b'x'; len]));
            writer.tag(&mut tags, 6, |w| w.raw(b"y"));
            writer.tags_end(tags);
            let mut expected = Writer::new();
            expected.raw(&[2, 5]);
            expected.uvarint(len as u32);
            expected.raw(&vec![b'x'; len]);
            expected.raw(&[6, 1, b'y']);
            assert_eq!(writer.as_bytes(), expected.as_bytes(), "{len}");
        }
    }

    #[test]
    fn a_text_too_long_for_the_wire_loses_its_end_at_a_character() {
        let mut writer = Writer::new();
        writer.string(&"\u{fc}".repeat(STRING_LEN_MAX));
        assert_eq!(writer.as_bytes().len(), 2 + STRING_LEN_MAX - 1);
        let text = super::super::Reader::one(writer.as_bytes()).string("Text").unwrap();
        assert!(text.chars().all(|c| c == '\u{fc}'));
    }
}
