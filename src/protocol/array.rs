//! Arrays and records inside a frame, seen without being copied.

use super::error::ProtocolError;
use super::reader::Reader;
use super::writer::RecordsGap;
use crate::base::Pieces;
use crate::model::Uuid;
use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

/// What an array can hold: a primitive or a generated struct.
pub trait Element<'a>: Sized {
    /// Fewest bytes an element takes in any version that has it. Bounds every count.
    const SIZE_MIN: usize;
    /// Whether every element takes exactly `SIZE_MIN` bytes and any bytes will do.
    const FIXED: bool = false;

    /// Reads one element of the reader's version.
    fn read(reader: &mut Reader<'a>, field: &'static str) -> Result<Self, ProtocolError>;
}

/// An array of a message: checked when it was parsed, re-read when it is walked. `Copy`, owns no
/// memory, and nothing is reserved for it.
pub struct Array<'a, T> {
    /// At the first element. `None` for an array that no bytes stand behind.
    start: Option<Reader<'a>>,
    len: usize,
    element: PhantomData<fn() -> T>,
}

/// Walks the elements of an `Array`. Cheap to clone: a place in the frame.
pub struct Elements<'a, T> {
    reader: Option<Reader<'a>>,
    left: usize,
    element: PhantomData<fn() -> T>,
}

/// A `records` field: whole record batches, which only the record room looks into.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Records<'a> {
    /// Position of the first byte in what the reader was made over, so that the owner of the
    /// receive buffers can take owned slices of them.
    pub at: usize,
    pub bytes: Pieces<'a>,
}

impl Records<'_> {
    /// The gap that these records fill when the message is written again; its tag is `at`.
    pub fn to_gap(&self) -> RecordsGap {
        match self.bytes.len() {
            0 => RecordsGap::default(),
            len => RecordsGap { len, tag: self.at },
        }
    }
}

/// The bytes in one piece, copied only if they lie in several.
pub fn cow(bytes: Pieces<'_>) -> Cow<'_, [u8]> {
    bytes.contiguous().map_or_else(|| Cow::Owned(bytes.to_vec()), Cow::Borrowed)
}

impl<'a, T> Array<'a, T> {
    /// An array whose `len` elements have been checked, at their first byte.
    pub(super) fn over(start: Reader<'a>, len: usize) -> Self {
        Self { start: Some(start), len, element: PhantomData }
    }

    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

impl<'a, T: Element<'a>> Array<'a, T> {
    pub fn iter(&self) -> Elements<'a, T> {
        Elements { reader: self.start, left: self.len, element: PhantomData }
    }

    pub fn first(&self) -> Option<T> {
        self.iter().next()
    }
}

impl<T> Clone for Elements<'_, T> {
    fn clone(&self) -> Self {
        Self { reader: self.reader, left: self.left, element: PhantomData }
    }
}

impl<'a, T: Element<'a>> Iterator for Elements<'a, T> {
    type Item = T;

    #[inline]
    fn next(&mut self) -> Option<T> {
        self.left = self.left.checked_sub(1)?;
        let reader = self.reader.as_mut()?;
        Some(T::read(reader, "element").expect("the same bytes were read once already"))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl<'a, T: Element<'a>> ExactSizeIterator for Elements<'a, T> {}

impl<'a, T: Element<'a>> IntoIterator for Array<'a, T> {
    type Item = T;
    type IntoIter = Elements<'a, T>;

    fn into_iter(self) -> Elements<'a, T> {
        self.iter()
    }
}

impl<'a, T: Element<'a>> IntoIterator for &Array<'a, T> {
    type Item = T;
    type IntoIter = Elements<'a, T>;

    fn into_iter(self) -> Elements<'a, T> {
        self.iter()
    }
}

impl<T> Clone for Array<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Array<'_, T> {}

impl<T> Default for Array<'_, T> {
    fn default() -> Self {
        Self { start: None, len: 0, element: PhantomData }
    }
}

impl<'a, T: Element<'a> + PartialEq> PartialEq for Array<'a, T> {
    fn eq(&self, other: &Self) -> bool {
        self.len == other.len && self.iter().eq(other.iter())
    }
}

impl<'a, T: Element<'a> + fmt::Debug> fmt::Debug for Array<'a, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

macro_rules! fixed {
    ($($type:ty: $name:ident, $size:literal);* $(;)?) => {$(
        impl<'a> Element<'a> for $type {
            const SIZE_MIN: usize = $size;
            const FIXED: bool = true;

            #[inline]
            fn read(reader: &mut Reader<'a>, field: &'static str) -> Result<Self, ProtocolError> {
                reader.$name(field)
            }
        }
    )*};
}

fixed! {
    bool: bool, 1; i8: i8, 1; i16: i16, 2; i32: i32, 4; i64: i64, 8; u16: u16, 2; u32: u32, 4;
    f64: f64, 8; Uuid: uuid, 16;
}

impl<'a> Element<'a> for &'a str {
    const SIZE_MIN: usize = 1;

    #[inline]
    fn read(reader: &mut Reader<'a>, field: &'static str) -> Result<Self, ProtocolError> {
        reader.string(field)
    }
}

impl<'a> Element<'a> for Pieces<'a> {
    const SIZE_MIN: usize = 1;

    #[inline]
    fn read(reader: &mut Reader<'a>, field: &'static str) -> Result<Self, ProtocolError> {
        reader.bytes(field)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_array_is_walked_as_often_as_wished() {
        let bytes = [0, 0, 0, 2, 0, 1, b'a', 0, 2, b'b', b'c', 0xff];
        let mut reader = Reader::one(&bytes);
        let names: Array<&str> = reader.array("Names").unwrap();
        assert_eq!(reader.left(), 1);
        assert_eq!(names.len(), 2);
        for _ in 0..2 {
            assert_eq!(names.iter().collect::<Vec<_>>(), ["a", "bc"]);
        }
        assert_eq!(format!("{names:?}"), r#"["a", "bc"]"#);
    }

    #[test]
    fn an_array_with_a_bad_element_is_refused_whole() {
        let bytes = [0, 0, 0, 2, 0, 1, b'a', 0, 2, b'b', 0xc3];
        let error = Reader::one(&bytes).array::<&str>("Names").unwrap_err();
        assert_eq!(error, ProtocolError::Utf8 { field: "Names", at: 7 });
    }
}
