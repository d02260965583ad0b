//! One connection on the load's reactor that sends a request and waits for its answer.

use crate::cli::client::Versions;
use crate::cli::client_error::ClientError;
use crate::cli::load::error::LoadError;
use crate::cli::load::work::CALL_TIMEOUT;
use crate::protocol::frame::{self, FRAME_SIZE_LEN};
use crate::protocol::{Parse as _, Reader, Request, RequestHeader, Writer};
use crate::runtime::sync;
use crate::runtime::{Core, Gather, Received, Socket};
use std::net::SocketAddr;
use std::rc::Rc;

/// No answer of a group is larger: a leader is told of all members.
const ANSWER_BYTES_MAX: usize = 64 << 20;

pub struct Line {
    core: Core,
    socket: Socket,
    versions: Rc<Versions>,
    next_correlation_id: i32,
    writer: Writer,
    /// What was received and not taken.
    held: Vec<u8>,
}

impl Line {
    pub async fn open(
        core: &Core,
        address: SocketAddr,
        versions: &Rc<Versions>,
    ) -> Result<Self, LoadError> {
        let io = |source| LoadError::Io { during: "connect", source };
        let socket = Socket::to_connect(address).map_err(io)?;
        socket.connect(core, address).await.map_err(io)?;
        socket.set_up().map_err(io)?;
        Ok(Self {
            core: core.clone(),
            socket,
            versions: Rc::clone(versions),
            next_correlation_id: 0,
            writer: Writer::new(),
            held: Vec::new(),
        })
    }

    pub fn core(&self) -> &Core {
        &self.core
    }

    /// Calls in the newest version that both sides have, up to `version_max`.
    pub async fn call<R: Request, T>(
        &mut self,
        version_max: i16,
        request: &R,
        read: impl FnOnce(R::Answer<'_>) -> T,
    ) -> Result<T, LoadError> {
        let version = self.versions.newest(R::KEY)?.min(version_max);
        let correlation_id = self.next_correlation_id;
        self.next_correlation_id = correlation_id.wrapping_add(1);
        let client_id = Some("highwater-load");
        let header = RequestHeader { api: R::KEY, version, correlation_id, client_id };
        self.writer.clear();
        let start = header.begin(&mut self.writer);
        request.encode(version, &mut self.writer);
        self.writer.frame_end(start);
        let bytes = self.writer.to_vec(|_| &[]);
        let frame = self.exchange(bytes).await?;
        let mut reader = Reader::one(&frame);
        let protocol = |source| LoadError::Client(ClientError::Protocol(source));
        let found = frame::answer_header(&mut reader, R::KEY, version).map_err(protocol)?;
        if found != correlation_id {
            return Err(ClientError::Correlation { expected: correlation_id, found }.into());
        }
        Ok(read(R::Answer::parse(reader, version).map_err(protocol)?))
    }

    async fn exchange(&mut self, bytes: Vec<u8>) -> Result<Vec<u8>, LoadError> {
        let timeout = self.core.sleep(CALL_TIMEOUT);
        let late = async {
            timeout.await;
            Err(ClientError::TimedOut { during: "receive", timeout: CALL_TIMEOUT }.into())
        };
        sync::race(self.send_and_receive(bytes), late).await
    }

    async fn send_and_receive(&mut self, bytes: Vec<u8>) -> Result<Vec<u8>, LoadError> {
        let (sent, _) = self.socket.send(&self.core, Gather::from_bytes(bytes), false).await;
        sent.map_err(|source| LoadError::Io { during: "send", source })?;
        loop {
            if let Some(size) = self.held.first_chunk::<FRAME_SIZE_LEN>() {
                let size = frame::frame_size(*size, ANSWER_BYTES_MAX).map_err(ClientError::from)?;
                if self.held.len() >= FRAME_SIZE_LEN + size {
                    let rest = self.held.split_off(FRAME_SIZE_LEN + size);
                    let mut frame = std::mem::replace(&mut self.held, rest);
                    frame.drain(..FRAME_SIZE_LEN);
                    return Ok(frame);
                }
            }
            let io = |source| LoadError::Io { during: "receive", source };
            match self.socket.receive_pooled(&self.core).await.map_err(io)? {
                Received::Bytes(slice) => self.held.extend_from_slice(&slice),
                Received::End => return Err(ClientError::Closed.into()),
                Received::NoBuffer => self.core.receive_buffers().await,
            }
        }
    }
}
