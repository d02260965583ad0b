//! Tells tests where the counts and lengths of a message lie: a reader notes each one that it reads.

use std::cell::RefCell;

/// How a count or a length stands on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Two bytes.
    Short,
    /// Four bytes.
    Long,
    /// A varint, one more than it means.
    Compact,
    /// A varint as it is: of tagged fields.
    Plain,
}

/// Where one lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    pub at: usize,
    pub field: &'static str,
    pub form: Form,
}

thread_local! {
    static PLACES: RefCell<Option<Vec<Place>>> = const { RefCell::new(None) };
}

/// Of the reader: here is one.
pub fn note(at: usize, field: &'static str, form: Form) {
    PLACES.with_borrow_mut(|places| {
        if let Some(places) = places {
            places.push(Place { at, field, form });
        }
    });
}

/// The places that were read while `read` ran.
pub fn places(read: impl FnOnce()) -> Vec<Place> {
    PLACES.set(Some(Vec::new()));
    read();
    PLACES.take().unwrap_or_default()
}
