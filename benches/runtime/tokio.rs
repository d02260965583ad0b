//! The yardstick: tokio-uring with the same broker work and the same two tasks per connection.
//!
//! It has no provided buffers: each connection holds one of its own, large enough for a block or
//! for the frame under way, so that a frame is always in one piece.

use crate::work::{Broker, Served, frame_end, is_goodbye};
use highwater::runtime::{BLOCK_BYTES, sync::Bell};
use std::cell::{Cell, RefCell};
use std::io;
use std::net::TcpStream;
use std::path::Path;
use std::rc::Rc;
use tokio_uring::buf::BoundedBuf;

/// How its ring is set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flags {
    /// As `tokio_uring::start` does.
    Default,
    /// COOP_TASKRUN and TASKRUN_FLAG. Not DEFER_TASKRUN: its driver reaps without entering the
    /// ring, which deferred completions need.
    Coop,
}

struct Connection {
    broker: Rc<RefCell<Broker>>,
    socket: tokio_uring::net::TcpStream,
    replies: RefCell<Vec<u8>>,
    bell: Bell,
    is_read: Cell<bool>,
    receive_bytes_max: usize,
}

/// Serves the connections on the calling thread until all of them are closed; one receive takes
/// at most `receive_bytes_max`.
pub fn serve(
    sockets: Vec<TcpStream>,
    space: &Path,
    flags: Flags,
    receive_bytes_max: usize,
) -> io::Result<Served> {
    let broker = Rc::new(RefCell::new(Broker::open(space)?));
    let mut builder = tokio_uring::builder();
    if flags == Flags::Coop {
        let mut ring = tokio_uring::uring_builder();
        ring.setup_coop_taskrun().setup_taskrun_flag();
        builder.uring_builder(&ring);
    }
    builder.start(serve_all(sockets, Rc::clone(&broker), receive_bytes_max))?;
    let requests = broker.borrow().requests;
    Ok(Served { requests, calls: None, dry: None })
}

async fn serve_all(
    sockets: Vec<TcpStream>,
    broker: Rc<RefCell<Broker>>,
    receive_bytes_max: usize,
) -> io::Result<()> {
    let mut tasks = Vec::new();
    for socket in sockets {
        socket.set_nodelay(true)?;
        let connection = Rc::new(Connection {
            broker: Rc::clone(&broker),
            socket: tokio_uring::net::TcpStream::from_std(socket),
            replies: RefCell::default(),
            bell: Bell::default(),
            is_read: Cell::new(false),
            receive_bytes_max,
        });
        tasks.push(tokio_uring::spawn(Rc::clone(&connection).read()));
        tasks.push(tokio_uring::spawn(connection.write()));
    }
    for task in tasks {
        match task.await.map_err(io::Error::other)? {
            Err(error) if !is_goodbye(&error) => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

impl Connection {
    async fn read(self: Rc<Self>) -> io::Result<()> {
        let outcome = self.read_all().await;
        self.is_read.set(true);
        self.bell.ring();
        outcome
    }

    async fn read_all(&self) -> io::Result<()> {
        let mut buffer = Vec::with_capacity(BLOCK_BYTES);
        loop {
            let filled = buffer.len();
            let end = filled.saturating_add(self.receive_bytes_max).min(buffer.capacity());
            let (result, back) = self.socket.read(buffer.slice(filled..end)).await;
            buffer = back.into_inner();
            if result? == 0 {
                return Ok(());
            }
            let mut replies = self.replies.borrow_mut();
            let served = self.broker.borrow_mut().serve(&buffer, &mut replies)?;
            drop(replies);
            if served > 0 {
                buffer.drain(..served);
                self.bell.ring();
            }
            if let Some(end) = frame_end(&buffer)? {
                // A frame larger than a block goes on in a buffer of its own size.
                buffer.reserve_exact(end.max(BLOCK_BYTES) - buffer.len());
            }
        }
    }

    async fn write(self: Rc<Self>) -> io::Result<()> {
        let mut out = Vec::new();
        loop {
            if self.replies.borrow().is_empty() {
                if self.is_read.get() {
                    return Ok(());
                }
                self.bell.heard().await;
                continue;
            }
            out.clear();
            std::mem::swap(&mut out, &mut self.replies.borrow_mut());
            let (result, back) = self.socket.write_all(out).await;
            out = back;
            result?;
        }
    }
}
