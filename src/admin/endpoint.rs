//! The HTTP endpoint: `GET /metrics`, one request per connection, a few connections at a time. What
//! it cannot read costs its sender the connection and nobody anything else; a client that is slow
//! is given up after a moment, and meanwhile others are answered.

use super::metrics;
use crate::broker::Metrics;
use crate::config::BrokerConfig;
use crate::runtime::{clock, machine};
use std::fmt::Write as _;
use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Bytes of a request's line and headers.
const HEAD_BYTES_MAX: usize = 8 << 10;
const HEADERS_MAX: usize = 64;
/// Clients that are answered at the same time: a scraper or two, and people.
const SCRAPES_MAX: usize = 8;
/// A whole request must have come within this, and within as long the whole answer been taken.
const PATIENCE: Duration = Duration::from_secs(2);
/// Between two tries to accept where that fails.
const PAUSE: Duration = Duration::from_millis(100);
/// The type of Prometheus' text format.
const METRICS_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";
const TEXT_TYPE: &str = "text/plain; charset=utf-8";

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    Metrics,
    /// The same without the body.
    MetricsHead,
    Nothing,
    OtherMethod,
}

/// A request that is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
enum BadRequest {
    #[error("not HTTP")]
    Syntax,
    #[error("headers of more than {HEAD_BYTES_MAX} bytes")]
    TooLong,
    #[error("it ended, or was too slow")]
    Cut,
}

/// Serves the metrics where the settings say; gives the address. A port that is taken is a warning:
/// nobody loses data because a number is not shown.
pub fn watch(config: &BrokerConfig, counters: &Arc<Metrics>) -> Option<SocketAddr> {
    let asked = config.metrics_listener?;
    let counters = Arc::clone(counters);
    let dirs = config.log_dirs.iter().map(|path| path.display().to_string()).collect();
    let started = TcpListener::bind(asked).and_then(|listener| {
        let address = listener.local_addr()?;
        let page = metrics::Page::new(counters, dirs);
        machine::start_aside("metrics", move || serve(&listener, page))?;
        Ok(address)
    });
    match started {
        Ok(address) => Some(address),
        Err(error) => {
            tracing::warn!(
                "no metrics: cannot listen on {asked}: {error} (highwater.metrics.listener chooses \
                 another address, 127.0.0.1:0 any free port, and an empty one switches them off)"
            );
            None
        }
    }
}

/// Scrapes that are answered now.
#[derive(Clone, Default)]
struct Open(Arc<AtomicUsize>);

/// One of them, until it is over.
struct Place(Open);

impl Open {
    fn take(&self) -> Option<Place> {
        let place = Place(self.clone());
        (self.0.fetch_add(1, Ordering::Relaxed) < SCRAPES_MAX).then_some(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Each client has a thread of its own: a slow one holds nobody up but itself.
fn serve(listener: &TcpListener, page: metrics::Page) {
    let (page, open) = (Arc::new(page), Open::default());
    loop {
        let stream = match listener.accept() {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::debug!("the metrics' listener: {error}");
                std::thread::sleep(PAUSE);
                continue;
            }
        };
        let Some(place) = open.take() else {
            turn_away(&stream);
            continue;
        };
        let page = Arc::clone(&page);
        let answering = machine::start_aside("scrape", move || {
            let _place = place;
            // Whatever went wrong, went wrong for this one.
            drop(answer(stream, &page));
        });
        if let Err(error) = answering {
            tracing::debug!("a scrape has no thread: {error}");
        }
    }
}

/// Says that there are too many, if that can be said at once.
fn turn_away(mut stream: &TcpStream) {
    let text = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    if stream.set_nonblocking(true).is_ok() {
        let _ = stream.write(text.as_bytes());
    }
}

fn answer(mut stream: TcpStream, page: &metrics::Page) -> io::Result<()> {
    let (status, kind, body, is_head) = match read_request(&mut stream) {
        Ok(Wanted::Metrics) => ("200 OK", METRICS_TYPE, page.text(), false),
        Ok(Wanted::MetricsHead) => ("200 OK", METRICS_TYPE, page.text(), true),
        Ok(Wanted::Nothing) => {
            ("404 Not Found", TEXT_TYPE, "the metrics are at /metrics\n".into(), false)
        }
        Ok(Wanted::OtherMethod) => ("405 Method Not Allowed", TEXT_TYPE, "GET it\n".into(), false),
        Err(error) => ("400 Bad Request", TEXT_TYPE, format!("{error}\n"), false),
    };
    let mut text = String::new();
    let len = body.len();
    let _ = write!(
        text,
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len}\r\n\
         Allow: GET, HEAD\r\nConnection: close\r\n\r\n"
    );
    if !is_head {
        text.push_str(&body);
    }
    write_in_time(&mut stream, text.as_bytes())?;
    stream.shutdown(Shutdown::Write)
}

/// Writes all, or gives up: who takes a byte now and then is not waited for without end.
fn write_in_time(stream: &mut TcpStream, mut bytes: &[u8]) -> io::Result<()> {
    let give_up = clock::monotonic() + PATIENCE;
    while !bytes.is_empty() {
        let left = give_up.since(clock::monotonic());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        stream.set_write_timeout(Some(left))?;
        match stream.write(bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => bytes = &bytes[count..],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn read_request(stream: &mut TcpStream) -> Result<Wanted, BadRequest> {
    let give_up = clock::monotonic() + PATIENCE;
    let mut head = [0; HEAD_BYTES_MAX];
    let mut filled = 0;
    loop {
        if let Some(wanted) = parse(&head[..filled])? {
            return Ok(wanted);
        }
        let left = give_up.since(clock::monotonic());
        let rest = head.get_mut(filled..).filter(|rest| !rest.is_empty());
        let rest = rest.ok_or(BadRequest::TooLong)?;
        // A zero timeout would be none at all.
        if left.is_zero() || stream.set_read_timeout(Some(left)).is_err() {
            return Err(BadRequest::Cut);
        }
        match stream.read(rest) {
            Ok(0) => return Err(BadRequest::Cut),
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return Err(BadRequest::Cut),
        }
    }
}

/// What a request's head asks for; `None`: more of it must come.
fn parse(head: &[u8]) -> Result<Option<Wanted>, BadRequest> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut request = httparse::Request::new(&mut headers);
    match request.parse(head) {
        Ok(httparse::Status::Complete(_)) => {}
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(httparse::Error::TooManyHeaders) => return Err(BadRequest::TooLong),
        Err(_) => return Err(BadRequest::Syntax),
    }
    let path = request.path.unwrap_or_default();
    let path = path.split_once('?').map_or(path, |(path, _)| path);
    Ok(Some(match (request.method.unwrap_or_default(), path) {
        ("GET", "/metrics") => Wanted::Metrics,
        ("HEAD", "/metrics") => Wanted::MetricsHead,
        ("GET" | "HEAD", _) => Wanted::Nothing,
        _ => Wanted::OtherMethod,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_read_however_much_of_it_has_come() {
        let whole = b"GET /metrics?x=1 HTTP/1.1\r\nHost: a\r\n\r\n";
        for end in 0..whole.len() {
            assert_eq!(parse(&whole[..end]), Ok(None), "{end}");
        }
        assert_eq!(parse(whole), Ok(Some(Wanted::Metrics)));
        assert_eq!(parse(b"HEAD /metrics HTTP/1.0\r\n\r\n"), Ok(Some(Wanted::MetricsHead)));
        assert_eq!(parse(b"GET / HTTP/1.1\r\n\r\n"), Ok(Some(Wanted::Nothing)));
        assert_eq!(parse(b"POST /metrics HTTP/1.1\r\n\r\n"), Ok(Some(Wanted::OtherMethod)));
    }

    #[test]
    fn what_is_no_request_is_refused() {
        assert_eq!(parse(b"\x16\x03\x01\x02\x00"), Err(BadRequest::Syntax));
        assert_eq!(parse(b"GET /metrics SMTP\r\n\r\n"), Err(BadRequest::Syntax));
        let many = "a: b\r\n".repeat(HEADERS_MAX + 1);
        let many = format!("GET / HTTP/1.1\r\n{many}\r\n");
        assert_eq!(parse(many.as_bytes()), Err(BadRequest::TooLong));
    }
}
