//! A client in the simulated world: one connection, one request at a time.

use crate::protocol::{Parse, Reader, Request, RequestHeader, Writer, frame};
use crate::runtime::{Core, Socket};
use std::marker::PhantomData;
use std::net::SocketAddr;
use std::time::Duration;

const ANSWER_BYTES_MAX: usize = 64 << 20;
/// Between two tries to reach a broker that is not there.
const TRY_AGAIN: Duration = Duration::from_millis(5);

/// A connection to the broker.
pub struct Client {
    core: Core,
    socket: Socket,
    next_id: i32,
    /// What has arrived and was not taken.
    arrived: Vec<u8>,
}

/// An answer, with the bytes that its fields lie in.
pub struct Answer<R> {
    frame: Vec<u8>,
    body_at: usize,
    version: i16,
    request: PhantomData<R>,
}

impl<R: Request> Answer<R> {
    pub fn view(&self) -> R::Answer<'_> {
        R::Answer::parse(Reader::one(&self.frame[self.body_at..]), self.version).unwrap()
    }
}

impl Client {
    /// Connects, as soon as there is a broker.
    pub async fn connect(core: &Core, address: SocketAddr) -> Self {
        loop {
            if let Ok(socket) = core.connect(address).await {
                let core = core.clone();
                return Self { core, socket, next_id: 0, arrived: Vec::new() };
            }
            core.sleep(TRY_AGAIN).await;
        }
    }

    /// Sends a request and waits for its answer; `None` where the connection breaks before.
    /// `records` fill the gap of a produce.
    pub async fn call<R: Request>(
        &mut self,
        version: i16,
        request: &R,
        records: &[u8],
    ) -> Option<Answer<R>> {
        let mut writer = Writer::new();
        self.next_id += 1;
        let client_id = Some("history");
        let header =
            RequestHeader { api: R::KEY, version, correlation_id: self.next_id, client_id };
        let start = header.begin(&mut writer);
        request.encode(version, &mut writer);
        writer.frame_end(start);
        let bytes = writer.to_vec(|_| records);
        let gather = crate::runtime::Gather::from_bytes(bytes);
        self.socket.send(&self.core, gather, false).await.0.ok()?;
        let frame = self.receive().await?;
        let mut reader = Reader::one(&frame);
        let id = frame::answer_header(&mut reader, R::KEY, version).unwrap();
        assert_eq!(id, self.next_id, "{} is answered out of order", R::NAME);
        let body_at = reader.at();
        R::Answer::parse(reader, version).unwrap();
        Some(Answer { frame, body_at, version, request: PhantomData })
    }

    async fn receive(&mut self) -> Option<Vec<u8>> {
        let size = self.take(frame::FRAME_SIZE_LEN).await?;
        let size = frame::frame_size(size.try_into().unwrap(), ANSWER_BYTES_MAX).unwrap();
        self.take(size).await
    }

    async fn take(&mut self, count: usize) -> Option<Vec<u8>> {
        while self.arrived.len() < count {
            let block = self.core.take_block().await;
            let end = block.capacity();
            let (received, block) = self.socket.receive(&self.core, block, 0, end).await;
            match received {
                Ok(received) if received > 0 => {
                    self.arrived.extend_from_slice(&block.freeze(received));
                }
                _ => return None,
            }
        }
        let rest = self.arrived.split_off(count);
        Some(std::mem::replace(&mut self.arrived, rest))
    }
}
