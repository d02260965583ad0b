//! The log of the process: lines are queued, and a thread of its own writes them to standard error.
//!
//! A core that has something to say never waits for whoever reads it. Where nobody reads, or not
//! fast enough, the queue fills; what does not fit is counted, and the count is said as soon as
//! lines are taken again.
//!
//! ```text
//!   cores --events--> OneLine --lines--> queue, bounded --> writer thread --> standard error
//! ```

use super::log_level;
pub use super::log_line::Format;
use super::log_line::{OneLine, Said};
use crate::base::Quoted;
use std::io::{self, IsTerminal as _, Write};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use tracing::Level;
use tracing_appender::non_blocking::{ErrorCounter, NonBlocking, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::EnvFilter;

/// Lines that wait to be written; with some kilobytes for the longest of them, at most 16 MiB.
const LINES_MAX: usize = 4096;

/// Ends the writer thread when it is dropped, after what is queued has been written, or after a
/// second, if nobody reads.
static WRITER: Mutex<Option<WorkerGuard>> = Mutex::new(None);

/// Starts the log, once. Whoever holds signals back must have done so: a thread is born here.
pub fn start(format: Format, node: i32) {
    let stderr = io::stderr();
    // Colours are for people: a log file would hold their control characters.
    let one_line = OneLine { format, is_coloured: stderr.is_terminal(), node };
    let (queue, guard) = queue(stderr, one_line, LINES_MAX);
    let asked = std::env::var_os("HIGHWATER_LOG").unwrap_or_else(|| "info".into());
    let asked = asked.to_string_lossy();
    let filter = EnvFilter::try_new(&*asked);
    let fault = filter.as_ref().err().map(ToString::to_string);
    let filter = filter.unwrap_or_else(|_| EnvFilter::new("info"));
    let log = tracing_subscriber::fmt()
        .with_writer(queue)
        .event_format(one_line)
        .with_env_filter(filter)
        .with_filter_reloading();
    let handle = log.reload_handle();
    log_level::set_up(move |level| {
        handle.reload(EnvFilter::default().add_directive(level.into())).is_ok()
    });
    log.init();
    if let Some(fault) = fault {
        tracing::warn!(
            "HIGHWATER_LOG={} says nothing that is understood ({fault}), so info counts; debug is a \
             value, or info,highwater::log=debug",
            Quoted(&asked)
        );
    }
    *WRITER.lock().unwrap_or_else(PoisonError::into_inner) = Some(guard);
}

/// Writes out what is queued, and ends the log: lines after this are lost. A reader that does not
/// read is given up after a second. Another thread that comes here waits for that.
pub fn end() {
    let mut writer = WRITER.lock().unwrap_or_else(PoisonError::into_inner);
    drop(writer.take());
}

fn queue(
    sink: impl Write + Send + 'static,
    one_line: OneLine,
    lines_max: usize,
) -> (NonBlocking, WorkerGuard) {
    let left_out = Arc::new(OnceLock::new());
    let paper = Paper { sink, one_line, left_out: Arc::clone(&left_out), said: 0 };
    let (queue, guard) = NonBlockingBuilder::default()
        .lossy(true)
        .buffered_lines_limit(lines_max)
        .thread_name("log")
        .finish(paper);
    assert!(left_out.set(queue.error_counter()).is_ok(), "it is set here");
    (queue, guard)
}

/// What the writer thread writes on: says first how many lines did not fit the queue.
struct Paper<W> {
    sink: W,
    one_line: OneLine,
    left_out: Arc<OnceLock<ErrorCounter>>,
    said: usize,
}

impl<W: Write> Write for Paper<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let count = self.left_out.get().map_or(0, ErrorCounter::dropped_lines);
        if count > self.said {
            let more = count - self.said;
            let said = Said::of(format!(
                "{more} lines of this log were left out about here: they came faster than standard \
                 error was read"
            ));
            self.said = count;
            let told = self.one_line.line(Level::WARN, module_path!(), &said);
            self.sink.write_all(told.unwrap_or_default().as_bytes())?;
        }
        self.sink.write_all(line)?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.sink.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crossbeam::channel::{Receiver, Sender, bounded, unbounded};

    /// Takes each write only when it is let.
    struct Slow {
        may: Receiver<()>,
        wrote: Sender<String>,
    }

    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            // When nobody lets any more, everything is taken.
            let _ = self.may.recv();
            let _ = self.wrote.send(String::from_utf8_lossy(bytes).into_owned());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_that_does_not_read_stops_nobody_and_learns_how_much_it_missed() {
        let ((let_it, may), (wrote, written)) = (bounded::<()>(0), unbounded());
        let one_line = OneLine { format: Format::Text, is_coloured: false, node: 1 };
        let (mut queue, guard) = queue(Slow { may, wrote }, one_line, 10);
        // One line is with the writer, ten are queued: whichever way that falls, the rest is not.
        for number in 0..1000 {
            queue.write_all(format!("{number}\n").as_bytes()).unwrap();
        }
        let missed = queue.error_counter().dropped_lines();
        assert!((989..=990).contains(&missed), "{missed}");
        drop(let_it);
        drop((queue, guard));
        let lines: Vec<String> = written.iter().collect();
        let told = lines.iter().find(|line| line.contains("lines of this log")).unwrap();
        assert!(told.contains(&format!(" {missed} lines of this log were left out")), "{told}");
        assert_eq!(lines.len(), 1000 - missed + 1, "said once, and nothing is written twice");
        assert!(
            lines
                .iter()
                .filter(|line| *line != told)
                .is_sorted_by_key(|line| { line.trim().parse::<u32>().unwrap() })
        );
    }
}
