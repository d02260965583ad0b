//! Sends a span of a segment file: sendfile in slices, after a check that the pages of the next
//! ones are in the page cache, made anew where the socket made them wait. What is cold is brought in
//! through the ring first, never on the core.

use crate::broker::metrics::CoreMetrics;
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
pub async fn span(
    core: &Core,
    socket: &Socket,
    span: &Span,
    metrics: &CoreMetrics,
) -> io::Result<()> {
    let (mut sent, mut resident) = (0, 0);
    while sent < span.len {
        let at = span.position + sent as u64;
        if sent >= resident {
            let ahead = (span.len - sent).min(RESIDENT_BYTES_MAX);
            if may_send_file(core, span, at, ahead, metrics).await? {
                resident = sent + ahead;
            }
        }
        let len = (span.len - sent).min(SENDFILE_BYTES_MAX);
        // While a worker appends to the file, even a hot page could wait for it.
        let Some(sending) = span.file.begin_sending().filter(|_| sent < resident) else {
            let copied = send_read(core, socket, span, at, len.min(READ_BYTES)).await?;
            metrics.bytes_copied.add(copied as u64);
            sent += copied;
            continue;
        };
        let len = len.min(resident - sent);
        let result = core.sendfile(socket, &span.file, at, len);
        drop(sending);
        match result {
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
async fn may_send_file(
    core: &Core,
    span: &Span,
    at: u64,
    len: usize,
    metrics: &CoreMetrics,
) -> io::Result<bool> {
    for _ in 0..WARM_TRIES {
        if span.file.is_being_written() {
            return Ok(false);
        }
        if span.file.is_resident(at, len as u64) {
            return Ok(true);
        }
        warm(core, span, at, len).await?;
        metrics.slices_warmed.add(1);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Random;
    use crate::broker::Metrics;
    use crate::model::Offset;
    use crate::runtime::sim::{self, Faults, Odds, World};
    use crate::runtime::{File, Open};
    use std::cell::RefCell;
    use std::path::Path;
    use std::rc::Rc;

    const FILE: &str = "/segment";
    const FILE_BYTES: usize = 1_000_000;
    const FROM: u64 = 1234;

    fn content(seed: u64) -> Vec<u8> {
        let mut bytes = vec![0; FILE_BYTES];
        Random::new(seed).fill(&mut bytes);
        bytes
    }

    /// Two ends of a connection, and what arrives at the other one.
    async fn connected(core: &Core) -> (Socket, Rc<RefCell<Vec<u8>>>) {
        let address = "10.0.0.1:9092".parse().unwrap();
        let listener = core.listen(address, 4).unwrap();
        let client = core.connect(address).await.unwrap();
        let (server, _) = listener.accept(core).await.unwrap();
        let arrived = Rc::new(RefCell::new(Vec::new()));
        let (inner, into) = (core.clone(), Rc::clone(&arrived));
        core.spawn(async move {
            loop {
                let block = inner.take_block().await;
                let end = block.capacity();
                let (count, block) = client.receive(&inner, block, 0, end).await;
                match count.unwrap() {
                    0 => return,
                    count => into.borrow_mut().extend_from_slice(&block.freeze(count)),
                }
            }
        });
        (server, arrived)
    }

    /// Sends most of a file while `meanwhile` runs beside it; gives how many bytes were copied.
    fn send<F: Future<Output = ()> + 'static>(
        seed: u64,
        faults: Faults,
        meanwhile: impl FnOnce(Core, File) -> F + 'static,
    ) -> u64 {
        let mut world = World::new(seed);
        let bytes = content(seed);
        world.put(0, FILE, &bytes).unwrap();
        world.set_faults(faults);
        let core = world.core();
        let inner = core.clone();
        let len = FILE_BYTES - 2 * FROM as usize;
        let (copied, arrived) = world.run(&core, async move {
            let metrics = Metrics::new(1, 0);
            let file = inner.open(Path::new(FILE), Open::Write).await.unwrap();
            let (socket, arrived) = connected(&inner).await;
            inner.spawn(meanwhile(inner.clone(), file.clone()));
            // It has begun what it does.
            inner.turn_end().await;
            let (base_offset, position) = (Offset(0), FROM);
            let is_of_old_segment = false;
            let sent = Span { file, position, len, base_offset, is_tail: false, is_of_old_segment };
            span(&inner, &socket, &sent, &metrics.cores()[0]).await.unwrap();
            (metrics.cores()[0].bytes_copied.get(), arrived)
        });
        assert!(world.run_until(|| arrived.borrow().len() >= len));
        assert!(*arrived.borrow() == bytes[FROM as usize..][..len], "seed {seed}: other bytes");
        assert_eq!(world.findings(), [""; 0], "seed {seed}");
        copied
    }

    async fn nothing(_: Core, _: File) {}

    #[test]
    fn what_is_resident_is_sent_from_the_file() {
        for seed in 0..5 {
            assert_eq!(send(seed, Faults::none(), nothing), 0);
        }
    }

    #[test]
    fn what_stays_cold_is_sent_as_a_copy() {
        for seed in 0..5 {
            let mut faults = Faults::rough();
            faults.disk.cold = Odds(10_000);
            let copied = send(seed, faults, nothing);
            assert_eq!(copied, FILE_BYTES as u64 - 2 * FROM);
        }
    }

    #[test]
    fn while_a_worker_appends_the_file_is_sent_as_a_copy_and_then_from_the_file_again() {
        for seed in 0..20 {
            let mut faults = Faults::none();
            faults.disk.latency = sim::Span::micros(20_000, 20_000);
            let copied = send(seed, faults, |core, file| async move {
                let tail = Gather::from_bytes(vec![1; 5000]);
                file.write_at(&core, tail, FILE_BYTES as u64).await.0.unwrap();
            });
            // One copy takes as long as the write; the sendfiles after it would be found out by the
            // simulated disk if they ran into one.
            assert!(copied >= READ_BYTES as u64, "{copied}");
            assert!(copied <= 3 * READ_BYTES as u64, "{copied}");
        }
    }

    #[test]
    fn a_worker_that_appends_all_the_time_does_not_hold_the_reader_up() {
        for seed in 0..5 {
            let mut faults = Faults::rough();
            faults.disk.latency = sim::Span::micros(500, 20_000);
            let copied = send(seed, faults, |core, file| async move {
                for round in 0..500 {
                    let tail = Gather::from_bytes(vec![1; 500]);
                    let at = FILE_BYTES as u64 + round * 500;
                    file.write_at(&core, tail, at).await.0.unwrap();
                }
            });
            assert!(copied > 0);
        }
    }

    #[test]
    fn a_span_that_was_cut_off_ends_the_connection() {
        for cold in [Odds::NEVER, Odds(10_000)] {
            let mut world = World::new(1);
            world.put(0, FILE, &content(1)[..100]).unwrap();
            let mut faults = Faults::none();
            faults.disk.cold = cold;
            world.set_faults(faults);
            let core = world.core();
            let inner = core.clone();
            let error = world.run(&core, async move {
                let metrics = Metrics::new(1, 0);
                let file = inner.open(Path::new(FILE), Open::Read).await.unwrap();
                let (socket, _) = connected(&inner).await;
                let (base_offset, position, len) = (Offset(0), 50, 51);
                let is_of_old_segment = false;
                let sent =
                    Span { file, position, len, base_offset, is_tail: true, is_of_old_segment };
                span(&inner, &socket, &sent, &metrics.cores()[0]).await.unwrap_err()
            });
            assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        }
    }
}
