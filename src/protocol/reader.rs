//! Reads Kafka's primitives from a frame that lies in one or more receive buffers.
//!
//! A reader is a cursor: small, `Copy`, and without memory of its own. Strings, bytes and records
//! are borrowed from the frame. Only a string that straddles two buffers is copied, into an arena
//! that the owner of the connection resets between requests.
//!
//! A length or count is compared with the bytes that are left before anything follows from it, and
//! the elements of all arrays of a message together with what its reader allows: an element may be
//! one byte on the wire and hundreds in memory and in the answer.

use super::array::{Array, Element, Records};
use super::error::ProtocolError;
#[cfg(test)]
use super::watch::{self, Form};
use crate::base::Pieces;
use crate::model::Uuid;
use bumpalo::Bump;

/// Longest string in bytes; Kafka's own readers refuse more in either form of length.
pub const STRING_LEN_MAX: usize = i16::MAX as usize;

/// A cursor over the bytes of one message.
#[derive(Clone, Copy)]
pub struct Reader<'a> {
    rest: Pieces<'a>,
    /// Bytes read so far: the position of `rest` in what the reader was made over.
    at: usize,
    /// Where straddling strings go. None over one piece, in which nothing can straddle.
    arena: Option<&'a Bump>,
    version: i16,
    /// Whether this version has compact lengths and tagged fields (KIP-482).
    flexible: bool,
    /// Elements that the message's arrays may still have, all together.
    elements_left: u32,
}

macro_rules! numbers {
    ($($name:ident -> $type:ty),* $(,)?) => {$(
        #[inline]
        pub fn $name(&mut self, field: &'static str) -> Result<$type, ProtocolError> {
            Ok(<$type>::from_be_bytes(self.take_array(field)?))
        }
    )*};
}

impl<'a> Reader<'a> {
    /// A reader over bytes in any number of pieces; `arena` takes the strings that straddle two.
    pub fn new(bytes: Pieces<'a>, arena: &'a Bump) -> Self {
        let elements_left = u32::MAX;
        Self { rest: bytes, at: 0, arena: Some(arena), version: 0, flexible: false, elements_left }
    }

    /// A reader over one piece, which needs no arena.
    pub fn one(bytes: &'a [u8]) -> Self {
        let (rest, elements_left) = (Pieces::one(bytes), u32::MAX);
        Self { rest, at: 0, arena: None, version: 0, flexible: false, elements_left }
    }

    /// The same cursor over a message whose arrays have at most `max` elements, all together.
    #[must_use]
    pub fn with_elements_max(self, max: u32) -> Self {
        Self { elements_left: max, ..self }
    }

    /// The same cursor, reading `version` of a message whose versions from `flexible_from` on are
    /// flexible.
    #[must_use]
    pub fn with_version(self, version: i16, flexible_from: Option<i16>) -> Self {
        let flexible = flexible_from.is_some_and(|from| version >= from);
        Self { version, flexible, ..self }
    }

    /// The message must end here.
    pub fn finish(&self, message: &'static str) -> Result<(), ProtocolError> {
        if self.rest.is_empty() {
            return Ok(());
        }
        Err(ProtocolError::Trailing { message, at: self.at, left: self.left() })
    }

    pub fn version(&self) -> i16 {
        self.version
    }

    pub fn flexible(&self) -> bool {
        self.flexible
    }

    /// Bytes read so far.
    pub fn at(&self) -> usize {
        self.at
    }

    /// Bytes not yet read.
    pub fn left(&self) -> usize {
        self.rest.len()
    }

    /// The bytes not yet read.
    pub fn rest(&self) -> Pieces<'a> {
        self.rest
    }

    numbers! {
        i8 -> i8, i16 -> i16, i32 -> i32, i64 -> i64, u16 -> u16, u32 -> u32, f64 -> f64,
    }

    /// Any byte but 0 is true, as in Kafka.
    #[inline]
    pub fn bool(&mut self, field: &'static str) -> Result<bool, ProtocolError> {
        Ok(self.i8(field)? != 0)
    }

    #[inline]
    pub fn uuid(&mut self, field: &'static str) -> Result<Uuid, ProtocolError> {
        Ok(Uuid(self.take_array(field)?))
    }

    /// An unsigned varint of at most 32 bits.
    #[inline]
    pub fn uvarint(&mut self, field: &'static str) -> Result<u32, ProtocolError> {
        let at = self.at;
        let mut value = 0u32;
        for shift in [0, 7, 14, 21, 28] {
            let [byte] = self.take_array(field)?;
            let bits = u32::from(byte & 0x7f);
            if shift == 28 && bits > 0x0f {
                break;
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(ProtocolError::Varint { field, at })
    }

    pub fn string(&mut self, field: &'static str) -> Result<&'a str, ProtocolError> {
        let at = self.at;
        self.string_nullable(field)?.ok_or(ProtocolError::Null { field, at })
    }

    pub fn string_nullable(
        &mut self,
        field: &'static str,
    ) -> Result<Option<&'a str>, ProtocolError> {
        let at = self.at;
        #[cfg(test)]
        watch::note(at, field, if self.flexible { Form::Compact } else { Form::Short });
        let len = if self.flexible {
            self.len_compact(field)?
        } else {
            let len = self.i16(field)?;
            Self::len_classic(i64::from(len), field, at)?
        };
        let Some(len) = len else { return Ok(None) };
        if len > STRING_LEN_MAX {
            return Err(ProtocolError::Length { field, at, length: len as i64 });
        }
        let bytes = self.take(len, field)?;
        let bytes = bytes.contiguous().unwrap_or_else(|| self.gather(bytes));
        let text = std::str::from_utf8(bytes).map_err(|_| ProtocolError::Utf8 { field, at })?;
        Ok(Some(text))
    }

    pub fn bytes(&mut self, field: &'static str) -> Result<Pieces<'a>, ProtocolError> {
        let at = self.at;
        self.bytes_nullable(field)?.ok_or(ProtocolError::Null { field, at })
    }

    pub fn bytes_nullable(
        &mut self,
        field: &'static str,
    ) -> Result<Option<Pieces<'a>>, ProtocolError> {
        match self.len_i32(field)? {
            Some(len) => self.take(len, field).map(Some),
            None => Ok(None),
        }
    }

    pub fn records(&mut self, field: &'static str) -> Result<Records<'a>, ProtocolError> {
        let at = self.at;
        self.records_nullable(field)?.ok_or(ProtocolError::Null { field, at })
    }

    pub fn records_nullable(
        &mut self,
        field: &'static str,
    ) -> Result<Option<Records<'a>>, ProtocolError> {
        let Some(len) = self.len_i32(field)? else { return Ok(None) };
        let at = self.at;
        Ok(Some(Records { at, bytes: self.take(len, field)? }))
    }

    pub fn array<T: Element<'a>>(
        &mut self,
        field: &'static str,
    ) -> Result<Array<'a, T>, ProtocolError> {
        let at = self.at;
        self.array_nullable(field)?.ok_or(ProtocolError::Null { field, at })
    }

    /// Walks and checks every element once; the array then re-reads them without failing.
    pub fn array_nullable<T: Element<'a>>(
        &mut self,
        field: &'static str,
    ) -> Result<Option<Array<'a, T>>, ProtocolError> {
        const { assert!(T::SIZE_MIN > 0) };
        let at = self.at;
        let Some(count) = self.len_i32(field)? else { return Ok(None) };
        let left = self.left();
        if count > left / T::SIZE_MIN {
            return Err(ProtocolError::Count { field, at, count, left });
        }
        let left = self.elements_left;
        let after = u32::try_from(count).ok().and_then(|count| left.checked_sub(count));
        self.elements_left = after.ok_or(ProtocolError::Elements { field, at, count, left })?;
        let start = *self;
        if T::FIXED {
            self.take(count * T::SIZE_MIN, field)?;
        } else {
            for _ in 0..count {
                T::read(self, field)?;
            }
        }
        Ok(Some(Array::over(start, count)))
    }

    /// A struct behind a marker byte: negative is null.
    pub fn optional<T: Element<'a>>(
        &mut self,
        field: &'static str,
    ) -> Result<Option<T>, ProtocolError> {
        if self.i8(field)? < 0 { Ok(None) } else { T::read(self, field).map(Some) }
    }

    /// Reads the tagged fields that end a flexible struct. `known` gets each tag with a reader of
    /// exactly its bytes and answers whether it read them; unknown tags are skipped.
    pub fn tags(
        &mut self,
        message: &'static str,
        mut known: impl FnMut(u32, &mut Reader<'a>) -> Result<bool, ProtocolError>,
    ) -> Result<(), ProtocolError> {
        if !self.flexible {
            return Ok(());
        }
        let at = self.at;
        #[cfg(test)]
        watch::note(at, message, Form::Plain);
        let count = self.uvarint(message)? as usize;
        let left = self.left();
        // A tagged field is at least its tag and its size.
        if count > left / 2 {
            return Err(ProtocolError::Count { field: message, at, count, left });
        }
        for _ in 0..count {
            let at = self.at;
            let tag = self.uvarint(message)?;
            #[cfg(test)]
            watch::note(self.at, message, Form::Plain);
            let size = self.uvarint(message)? as usize;
            let mut inner = Self { at: self.at, rest: Pieces::default(), ..*self };
            inner.rest = self.take(size, message)?;
            let is_known = known(tag, &mut inner)?;
            self.elements_left = inner.elements_left;
            if is_known && inner.left() > 0 {
                return Err(ProtocolError::Tag { field: message, at, left: inner.left() });
            }
        }
        Ok(())
    }

    /// Cuts off the next `len` bytes.
    #[inline]
    pub fn take(&mut self, len: usize, field: &'static str) -> Result<Pieces<'a>, ProtocolError> {
        if len > self.rest.len() {
            return Err(self.truncated(len, field));
        }
        let (bytes, rest) = self.rest.split_at(len);
        self.rest = rest;
        self.at += len;
        Ok(bytes)
    }

    #[inline]
    fn take_array<const N: usize>(
        &mut self,
        field: &'static str,
    ) -> Result<[u8; N], ProtocolError> {
        let Some(bytes) = self.rest.array::<N>(0) else { return Err(self.truncated(N, field)) };
        self.rest = self.rest.split_at(N).1;
        self.at += N;
        Ok(bytes)
    }

    /// Length of bytes, records or an array in either form; `None` is null.
    #[inline]
    fn len_i32(&mut self, field: &'static str) -> Result<Option<usize>, ProtocolError> {
        #[cfg(test)]
        watch::note(self.at, field, if self.flexible { Form::Compact } else { Form::Long });
        if self.flexible {
            return self.len_compact(field);
        }
        let at = self.at;
        let len = self.i32(field)?;
        Self::len_classic(i64::from(len), field, at)
    }

    /// Compact form: 0 is null, n + 1 is n.
    #[inline]
    fn len_compact(&mut self, field: &'static str) -> Result<Option<usize>, ProtocolError> {
        Ok((self.uvarint(field)? as usize).checked_sub(1))
    }

    fn len_classic(
        length: i64,
        field: &'static str,
        at: usize,
    ) -> Result<Option<usize>, ProtocolError> {
        match length {
            -1 => Ok(None),
            0.. => Ok(Some(length as usize)),
            _ => Err(ProtocolError::Length { field, at, length }),
        }
    }

    #[cold]
    fn truncated(&self, needed: usize, field: &'static str) -> ProtocolError {
        ProtocolError::Truncated { field, at: self.at, needed, left: self.left() }
    }

    /// Copies a string's bytes together; at most `STRING_LEN_MAX`, all of which have arrived.
    #[cold]
    fn gather(&self, bytes: Pieces<'a>) -> &'a [u8] {
        let arena = self.arena.expect("only a reader over one piece has no arena");
        let out = arena.alloc_slice_fill_copy(bytes.len(), 0);
        bytes.copy_to(out);
        out
    }
}

impl std::fmt::Debug for Reader<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reader")
            .field("at", &self.at)
            .field("left", &self.left())
            .field("version", &self.version)
            .field("flexible", &self.flexible)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_varint_without_end_is_refused() {
        for bytes in [&[0xff; 5][..], &[0xff; 64], &[0x80, 0x80, 0x80, 0x80, 0x10]] {
            let error = Reader::one(bytes).uvarint("n").unwrap_err();
            assert_eq!(error, ProtocolError::Varint { field: "n", at: 0 });
        }
        assert!(matches!(
            Reader::one(&[0x80, 0x80]).uvarint("n"),
            Err(ProtocolError::Truncated { at: 2, .. })
        ));
        assert_eq!(Reader::one(&[0xff, 0xff, 0xff, 0xff, 0x0f]).uvarint("n"), Ok(u32::MAX));
        assert_eq!(Reader::one(&[0xac, 0x02]).uvarint("n"), Ok(300));
    }

    #[test]
    fn a_count_beyond_the_bytes_left_is_refused() {
        let bytes = [0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 1];
        let error = Reader::one(&bytes).array::<i32>("Ids").unwrap_err();
        let count = i32::MAX as usize;
        assert_eq!(error, ProtocolError::Count { field: "Ids", at: 0, count, left: 4 });

        let mut flexible = Reader::one(&[0x03, 1, 2]).with_version(0, Some(0));
        assert!(matches!(
            flexible.tags("M", |_, _| Ok(false)),
            Err(ProtocolError::Count { count: 3, left: 2, .. })
        ));
    }

    #[test]
    fn the_elements_of_all_arrays_of_a_message_are_counted_together() {
        // An array of two arrays, of two and three elements: seven in all.
        let bytes = [0, 0, 0, 2, 0, 0, 0, 2, 1, 2, 0, 0, 0, 3, 3, 4, 5];
        struct Inner(usize);
        impl<'a> Element<'a> for Inner {
            const SIZE_MIN: usize = 4;
            fn read(reader: &mut Reader<'a>, field: &'static str) -> Result<Self, ProtocolError> {
                reader.array::<i8>(field).map(|array| Self(array.len()))
            }
        }
        let mut reader = Reader::one(&bytes).with_elements_max(7);
        let array = reader.array::<Inner>("Ids").unwrap();
        for _ in 0..2 {
            assert_eq!(array.iter().map(|inner| inner.0).collect::<Vec<_>>(), [2, 3]);
        }
        let error = Reader::one(&bytes).with_elements_max(6).array::<Inner>("Ids").err().unwrap();
        assert_eq!(error, ProtocolError::Elements { field: "Ids", at: 10, count: 3, left: 2 });
        // Those in a tagged field count too, and those of the one before it.
        let tagged = [2, 0, 3, 3, 1, 2, 1, 3, 3, 1, 2];
        let read = |max: u32| {
            let mut reader = Reader::one(&tagged).with_version(0, Some(0)).with_elements_max(max);
            reader.tags("M", |_, r| r.array::<i8>("x").map(|_| true))
        };
        assert_eq!(read(4), Ok(()));
        assert!(matches!(read(3), Err(ProtocolError::Elements { count: 2, left: 1, .. })));
    }

    #[test]
    fn null_is_refused_where_no_null_is_allowed() {
        let error = Reader::one(&[0xff, 0xff]).string("Name").unwrap_err();
        assert_eq!(error, ProtocolError::Null { field: "Name", at: 0 });
        assert_eq!(Reader::one(&[0xff, 0xff]).string_nullable("Name"), Ok(None));
        let error = Reader::one(&[0xff, 0xfe]).string_nullable("Name").unwrap_err();
        assert_eq!(error, ProtocolError::Length { field: "Name", at: 0, length: -2 });
    }

    #[test]
    fn a_tagged_field_is_read_to_its_end_or_refused() {
        let bytes = [0x01, 0x00, 0x05, 0, 0, 0, 7, 9];
        let mut reader = Reader::one(&bytes).with_version(0, Some(0));
        let error = reader.tags("M", |_, r| r.i32("x").map(|_| true)).unwrap_err();
        assert_eq!(error, ProtocolError::Tag { field: "M", at: 1, left: 1 });
        let mut reader = Reader::one(&bytes).with_version(0, Some(0));
        reader.tags("M", |_, _| Ok(false)).unwrap();
        assert_eq!(reader.finish("M"), Ok(()));
    }

    #[test]
    fn a_string_that_straddles_two_buffers_is_gathered() {
        let bytes = b"\x00\x05h\xc3\xbcgo";
        let arena = Bump::new();
        for cut in 0..=bytes.len() {
            let parts = [&bytes[..cut], &bytes[cut..]];
            let mut reader = Reader::new(Pieces::many(&parts), &arena);
            assert_eq!(reader.string("Name"), Ok("h\u{fc}go"), "cut at {cut}");
            assert_eq!(reader.finish("M"), Ok(()));
        }
    }
}
