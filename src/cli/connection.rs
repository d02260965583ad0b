//! One blocking connection to a broker: frames out, frames in, answers in the order of requests.
//!
//! Requests may be sent ahead ([`Connection::send`]) and their answers taken later, oldest first;
//! [`Connection::call`] does both. Bytes that are no request at all can be sent too: that is how
//! bad input is tested.

use super::client_error::ClientError;
use crate::protocol::frame::{self, FRAME_SIZE_LEN};
use crate::protocol::{ApiKey, Parse as _, Reader, Request, RequestHeader, Writer};
use std::collections::VecDeque;
use std::io::{self, BufReader, Read as _, Write as _};
use std::marker::PhantomData;
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

/// Largest answer that is read; a fetch of ours asks for less.
pub const ANSWER_BYTES_MAX: usize = 256 * 1024 * 1024;

/// A connection with its requests that have no answer yet.
#[derive(Debug)]
pub struct Connection {
    stream: BufReader<TcpStream>,
    timeout: Duration,
    client_id: String,
    next_correlation_id: i32,
    pending: VecDeque<Pending>,
    writer: Writer,
}

#[derive(Clone, Copy, Debug)]
struct Pending {
    api: ApiKey,
    version: i16,
    correlation_id: i32,
}

/// The answer to a request `R`, whole and readable.
pub struct Answer<R> {
    frame: Vec<u8>,
    body_at: usize,
    version: i16,
    request: PhantomData<fn() -> R>,
}

impl Connection {
    /// Connects; `timeout` bounds the connect and every later wait for bytes.
    pub fn open(address: SocketAddr, timeout: Duration) -> Result<Self, ClientError> {
        let io = |source| ClientError::Io { during: "connect", source };
        let stream = TcpStream::connect_timeout(&address, timeout).map_err(io)?;
        stream.set_nodelay(true).map_err(io)?;
        stream.set_read_timeout(Some(timeout)).map_err(io)?;
        stream.set_write_timeout(Some(timeout)).map_err(io)?;
        Ok(Self {
            stream: BufReader::new(stream),
            timeout,
            client_id: "highwater".to_owned(),
            next_correlation_id: 0,
            pending: VecDeque::new(),
            writer: Writer::new(),
        })
    }

    /// Calls itself something else in what it sends from now on.
    pub fn set_client_id(&mut self, client_id: &str) {
        client_id.clone_into(&mut self.client_id);
    }

    /// Sends a request and takes its answer; answers of requests sent before must have been taken.
    pub fn call<R: Request>(
        &mut self,
        version: i16,
        request: &R,
        records: &[&[u8]],
    ) -> Result<Answer<R>, ClientError> {
        self.send(version, request, records)?;
        self.receive()
    }

    /// Sends a request, whose answer is to be taken later. `records` fill the gaps, by their tags.
    pub fn send<R: Request>(
        &mut self,
        version: i16,
        request: &R,
        records: &[&[u8]],
    ) -> Result<(), ClientError> {
        let correlation_id = self.send_unanswered(version, request, records)?;
        self.pending.push_back(Pending { api: R::KEY, version, correlation_id });
        Ok(())
    }

    /// Sends a request that the broker does not answer: a produce with acks 0.
    pub fn send_unanswered<R: Request>(
        &mut self,
        version: i16,
        request: &R,
        records: &[&[u8]],
    ) -> Result<i32, ClientError> {
        if !R::VERSIONS.contains(&version) {
            return Err(ClientError::Version { api: R::KEY, version });
        }
        let correlation_id = self.next_correlation_id;
        self.next_correlation_id = self.next_correlation_id.wrapping_add(1);
        let client_id = Some(self.client_id.as_str());
        let header = RequestHeader { api: R::KEY, version, correlation_id, client_id };
        self.writer.clear();
        let start = header.begin(&mut self.writer);
        request.encode(version, &mut self.writer);
        self.writer.frame_end(start);
        let bytes = self.writer.to_vec(|gap| records[gap.tag]);
        self.send_bytes(&bytes)?;
        Ok(correlation_id)
    }

    /// Takes the oldest answer, which must be one to an `R`.
    pub fn receive<R: Request>(&mut self) -> Result<Answer<R>, ClientError> {
        let pending = self.pending.pop_front().ok_or(ClientError::NothingAsked)?;
        assert!(pending.api == R::KEY, "the oldest request is a {:?}", pending.api);
        let frame = self.receive_frame()?;
        let mut reader = Reader::one(&frame);
        let found = frame::answer_header(&mut reader, R::KEY, pending.version)?;
        if found != pending.correlation_id {
            return Err(ClientError::Correlation { expected: pending.correlation_id, found });
        }
        R::Answer::parse(reader, pending.version)?;
        let body_at = reader.at();
        Ok(Answer { frame, body_at, version: pending.version, request: PhantomData })
    }

    /// Requests whose answers have not been taken.
    pub fn pending_count(&self) -> usize {
        self.pending.len()
    }

    /// Sends bytes as they are.
    pub fn send_bytes(&mut self, bytes: &[u8]) -> Result<(), ClientError> {
        let during = "send";
        self.stream.get_mut().write_all(bytes).map_err(|source| self.failed(during, source))
    }

    /// The next frame without its size.
    pub fn receive_frame(&mut self) -> Result<Vec<u8>, ClientError> {
        let mut size = [0; FRAME_SIZE_LEN];
        self.fill(&mut size)?;
        let size = frame::frame_size(size, ANSWER_BYTES_MAX)?;
        // Grows with the bytes that arrive, not with the size that was announced.
        let mut bytes = Vec::new();
        let read = (&mut self.stream).take(size as u64).read_to_end(&mut bytes);
        read.map_err(|source| self.failed("receive", source))?;
        if bytes.len() < size { Err(ClientError::Closed) } else { Ok(bytes) }
    }

    /// This side's address.
    pub fn local_address(&self) -> Result<SocketAddr, ClientError> {
        let address = self.stream.get_ref().local_addr();
        address.map_err(|source| ClientError::Io { during: "ask for the address", source })
    }

    /// No more bytes will be sent.
    pub fn end(&mut self) -> Result<(), ClientError> {
        let ended = self.stream.get_ref().shutdown(Shutdown::Write);
        ended.map_err(|source| self.failed("end", source))
    }

    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), ClientError> {
        self.stream.read_exact(bytes).map_err(|source| match source.kind() {
            io::ErrorKind::UnexpectedEof => ClientError::Closed,
            _ => self.failed("receive", source),
        })
    }

    fn failed(&self, during: &'static str, source: io::Error) -> ClientError {
        match source.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
                ClientError::TimedOut { during, timeout: self.timeout }
            }
            _ => ClientError::Io { during, source },
        }
    }
}

impl<R: Request> Answer<R> {
    /// The answer's fields, borrowed.
    pub fn view(&self) -> R::Answer<'_> {
        let reader = Reader::one(&self.frame[self.body_at..]);
        R::Answer::parse(reader, self.version).expect("it was read when it came")
    }

    pub fn version(&self) -> i16 {
        self.version
    }

    /// The body's bytes, as sent.
    pub fn body(&self) -> &[u8] {
        &self.frame[self.body_at..]
    }
}

impl<R: Request> std::fmt::Debug for Answer<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "answer to {} version {}, {} bytes", R::NAME, self.version, self.body().len())
    }
}
