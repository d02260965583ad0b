//! A count or a length that lies costs no memory: every place of every recorded frame says in turn
//! that very much follows, and reading it allocates nothing.
#![allow(unsafe_code, reason = "a counting allocator")]

#[path = "golden/frames.rs"]
mod frames;

use highwater::protocol::frame::FRAME_SIZE_LEN;
use highwater::protocol::{ApiKey, Parse as _, ProtocolError, Reader, RequestHeader, read};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

struct Counting;

thread_local! {
    /// Bytes that this thread has asked for.
    static ASKED: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: every call is the system allocator's, unchanged; the counter does not allocate.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // The counter is gone when its thread ends.
        let _ = ASKED.try_with(|asked| asked.set(asked.get() + layout.size()));
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Reads a whole request, its header first.
fn read(frame: &[u8]) -> Result<(), ProtocolError> {
    let mut reader = Reader::one(frame);
    let header = RequestHeader::parse(&mut reader)?;
    macro_rules! parse {
        ($header:ident, $reader:ident; $($key:ident: $request:ident $answer:ident,)*) => {
            match $header.api {
                $(ApiKey::$key => read::$request::parse($reader, $header.version).map(drop),)*
            }
        };
    }
    highwater::for_each_api!(parse; header, reader)
}

#[test]
fn whatever_a_request_says_of_its_size_reading_it_allocates_nothing() {
    let large: [&[u8]; 4] = [
        &[0x7f, 0xff, 0xff, 0xff],
        &[0x7f, 0xff],
        &[0xff, 0xff, 0xff, 0xff, 0x0f],
        &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
    ];
    let (mut count, mut refused) = (0, 0);
    for exchange in frames::exchanges().into_values().flatten() {
        let frame = &exchange.request[FRAME_SIZE_LEN..];
        for at in 0..frame.len() {
            for lie in large {
                // In the place of as many bytes, and in the place of one.
                for instead in [lie.len(), 1] {
                    let rest = frame.get(at + instead..).unwrap_or_default();
                    let bytes = [&frame[..at], lie, rest].concat();
                    let before = ASKED.get();
                    let result = read(&bytes);
                    assert_eq!(ASKED.get(), before, "{} at {at}: {result:?}", exchange.place);
                    count += 1;
                    refused += usize::from(result.is_err());
                }
            }
        }
    }
    assert!(count > 100_000 && refused > count / 4, "{refused} of {count} were refused");
}
