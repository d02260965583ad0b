//! Sends a span of a segment file: sendfile in slices, each only after a check that its pages are
//! in the page cache. What is cold is brought in through the ring first, never on the core.

use crate::limits::SENDFILE_BYTES_MAX;
use crate::log::Span;
use crate::runtime::{Advice, Core, Gather, Socket};
use std::io;

/// Bytes that one check covers: the slices of one go, unless the socket makes them wait.
const RESIDENT_BYTES_MAX: usize = 1 << 20;
/// How often a cold slice is brought in before it is read instead: another reader may push it out
/// again as fast as it comes.
const WARM_TRIES: usize = 2;
/// Bytes that are read at once where sendfile would not do.
const READ_BYTES: usize = 64 << 10;

/// Sends all of a span.
pub async fn span(core: &Core, socket: &Socket, span: &Span) -> io::Result<()> {
    let (mut sent, mut resident) = (0, 0);
    while sent < span.len {
        let at = span.position + sent as u64;
        if sent >= resident {
            let ahead = (span.len - sent).min(RESIDENT_BYTES_MAX);
            if may_send_file(core, span, at, ahead).await? {
                resident = sent + ahead;
            }
        }
        let len = (span.len - sent).min(SENDFILE_BYTES_MAX);
        // While a worker appends to the file, even a hot page could wait for it.
        if sent >= resident || span.file.is_being_written() {
            sent += send_read(core, socket, span, at, len.min(READ_BYTES)).await?;
            continue;
        }
        let len = len.min(resident - sent);
        match core.sendfile(socket, &span.file, at, len) {
            // The file is shorter than the span: the log was cut under it. The answer cannot be
            // completed, so the connection must end.
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => sent += count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                socket.wait(core, false).await?;
                // A slow reader: what was in the cache may have left it.
                resident = sent;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        if sent < span.len {
            // Others have their turn between two slices.
            core.turn_end().await;
        }
    }
    Ok(())
}

/// Whether a sendfile of the range would not wait for the disk; what is cold is brought in first.
async fn may_send_file(core: &Core, span: &Span, at: u64, len: usize) -> io::Result<bool> {
    for _ in 0..WARM_TRIES {
        if span.file.is_being_written() {
            return Ok(false);
        }
        if span.file.is_resident(at, len as u64) {
            return Ok(true);
        }
        warm(core, span, at, len).await?;
    }
    Ok(!span.file.is_being_written() && span.file.is_resident(at, len as u64))
}

/// Reads through the ring and sends the copy: never waits on the core.
async fn send_read(
    core: &Core,
    socket: &Socket,
    span: &Span,
    at: u64,
    len: usize,
) -> io::Result<usize> {
    let bytes = span.file.read_at(core, vec![0; len], at).await?;
    let count = bytes.len();
    if count == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    socket.send(core, Gather::from_bytes(bytes), false).await.0?;
    Ok(count)
}

/// Brings a range into the page cache: read-ahead is started, and its last page waited for.
async fn warm(core: &Core, span: &Span, at: u64, len: usize) -> io::Result<()> {
    const PAGE: u64 = 4096;
    // Not every file system takes advice; the read below is what counts.
    let _ = span.file.advise(core, at, len as u64, Advice::WillNeed).await;
    let last = (at + len as u64 - 1) / PAGE * PAGE;
    span.file.read_at(core, vec![0; PAGE as usize], last.max(at)).await.map(drop)
}
