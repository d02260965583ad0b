//! Sockets: a shared handle and the operations on it.

use super::buffer::{BlockMut, Gather, Slice};
use super::core::{Core, count};
use super::op::{Completion, Op, Output};
use super::syscall;
use std::io;
use std::net::{Shutdown, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::time::Duration;

#[cfg(any(test, feature = "sim"))]
use super::sim::SimSocket;

/// A TCP socket (or listener); non-blocking, closed when the last handle is dropped. It may be mailed
/// to another core.
#[derive(Clone, Debug)]
pub struct Socket(Arc<Handle>);

#[derive(Debug)]
enum Handle {
    Os(OwnedFd),
    /// A socket of the simulated network.
    #[cfg(any(test, feature = "sim"))]
    Sim(SimSocket),
}

/// What a receive gives.
#[derive(Debug)]
pub enum Received {
    Bytes(Slice),
    /// The peer has closed its side.
    End,
    /// No receive buffer is free now.
    NoBuffer,
}

impl Socket {
    /// Takes over a connection.
    pub fn from_fd(fd: OwnedFd) -> Self {
        Self(Arc::new(Handle::Os(fd)))
    }

    /// A listener on `address`. Fails if anyone else listens there: the port is never shared.
    pub fn listen(address: SocketAddr, backlog: u32) -> io::Result<Self> {
        syscall::listen(address, backlog).map(Self::from_fd)
    }

    /// A socket that is about to connect.
    pub fn to_connect(address: SocketAddr) -> io::Result<Self> {
        syscall::stream_socket(address).map(Self::from_fd)
    }

    #[cfg(any(test, feature = "sim"))]
    pub(super) fn from_sim(socket: SimSocket) -> Self {
        Self(Arc::new(Handle::Sim(socket)))
    }

    #[cfg(any(test, feature = "sim"))]
    pub(super) fn sim(&self) -> &SimSocket {
        match &*self.0 {
            Handle::Sim(socket) => socket,
            Handle::Os(_) => panic!("a real socket in the simulated world"),
        }
    }

    pub(super) fn raw(&self) -> RawFd {
        self.fd().as_raw_fd()
    }

    fn fd(&self) -> BorrowedFd<'_> {
        match &*self.0 {
            Handle::Os(fd) => fd.as_fd(),
            #[cfg(any(test, feature = "sim"))]
            Handle::Sim(_) => panic!("a simulated socket has no descriptor"),
        }
    }

    pub fn local_address(&self) -> io::Result<SocketAddr> {
        match &*self.0 {
            Handle::Os(fd) => syscall::local_address(fd.as_fd()),
            #[cfg(any(test, feature = "sim"))]
            Handle::Sim(socket) => Ok(socket.local),
        }
    }

    /// Non-blocking, no Nagle delay.
    pub fn set_up(&self) -> io::Result<()> {
        match &*self.0 {
            Handle::Os(fd) => syscall::set_up_stream(fd.as_fd()),
            #[cfg(any(test, feature = "sim"))]
            Handle::Sim(_) => Ok(()),
        }
    }

    /// How long the peer may take nothing of what was sent before the kernel gives the connection
    /// up: what waits on it then fails with `TimedOut`.
    pub fn set_write_patience(&self, patience: Duration) -> io::Result<()> {
        match &*self.0 {
            Handle::Os(fd) => {
                let ms = patience.as_millis().min(i32::MAX as u128) as i32;
                syscall::set_write_patience(fd.as_fd(), ms)
            }
            #[cfg(any(test, feature = "sim"))]
            Handle::Sim(_) => Ok(()),
        }
    }

    /// Sets SO_SNDBUF / SO_RCVBUF where given.
    pub fn set_buffers(&self, send: Option<u32>, receive: Option<u32>) -> io::Result<()> {
        match &*self.0 {
            Handle::Os(fd) => syscall::set_buffers(fd.as_fd(), send, receive),
            #[cfg(any(test, feature = "sim"))]
            Handle::Sim(socket) => {
                socket.set_buffers(send, receive);
                Ok(())
            }
        }
    }

    /// Ends both directions: pending receives and sends complete.
    pub fn shut_down(&self) {
        match &*self.0 {
            Handle::Os(fd) => syscall::shut_down(fd.as_fd(), Shutdown::Both),
            #[cfg(any(test, feature = "sim"))]
            Handle::Sim(socket) => socket.shut_down(),
        }
    }

    pub async fn accept(&self, core: &Core) -> io::Result<(Self, SocketAddr)> {
        match core.submit(Op::Accept { listener: self.clone() }).await.result? {
            Output::Accepted(socket, peer) => Ok((socket, peer)),
            other => unreachable!("accept gave {other:?}"),
        }
    }

    pub async fn connect(&self, core: &Core, address: SocketAddr) -> io::Result<()> {
        core.submit(Op::Connect { socket: self.clone(), address }).await.result.map(drop)
    }

    /// Receives into a block of the core's receive ring, which is held only once bytes are there.
    pub async fn receive_pooled(&self, core: &Core) -> io::Result<Received> {
        loop {
            let op = Op::RecvPooled { socket: self.clone() };
            match core.submit(op).await.result {
                Ok(Output::Received(slice)) => return Ok(Received::Bytes(slice)),
                Ok(Output::End) => return Ok(Received::End),
                Ok(other) => unreachable!("receive gave {other:?}"),
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => {
                    return Ok(Received::NoBuffer);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.wait(core, true).await?;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Receives into `block[start..end]`; 0 at the end of the stream.
    pub async fn receive(
        &self,
        core: &Core,
        block: BlockMut,
        start: usize,
        end: usize,
    ) -> (io::Result<usize>, BlockMut) {
        assert!(start < end && end <= block.capacity());
        let mut block = Some(block);
        loop {
            let op = Op::Recv { socket: self.clone(), block: block.take(), start, end };
            let Completion { op: Op::Recv { block: Some(back), .. }, result } =
                core.submit(op).await
            else {
                unreachable!("a completion carries its operation")
            };
            match result {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    block = Some(back);
                    if let Err(error) = self.wait(core, true).await {
                        return (Err(error), block.take().expect("just put there"));
                    }
                }
                Ok(output) => return (Ok(count(output)), back),
                Err(error) => return (Err(error), back),
            }
        }
    }

    /// Sends all of `data`; gives the gather back for reuse. `more`: other bytes follow at once.
    pub async fn send(
        &self,
        core: &Core,
        mut data: Gather,
        more: bool,
    ) -> (io::Result<()>, Gather) {
        let mut skip = 0;
        while skip < data.len() {
            let op = Op::Send { socket: self.clone(), data, skip, more };
            let Completion { op: Op::Send { data: back, .. }, result } = core.submit(op).await
            else {
                unreachable!("a completion carries its operation")
            };
            data = back;
            match result {
                Ok(output) => skip += count(output),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if let Err(error) = self.wait(core, false).await {
                        return (Err(error), data);
                    }
                }
                Err(error) => return (Err(error), data),
            }
        }
        (Ok(()), data)
    }

    /// Waits until the socket can be read (or written), or has failed.
    pub async fn wait(&self, core: &Core, readable: bool) -> io::Result<()> {
        core.submit(Op::Poll { socket: self.clone(), readable }).await.result.map(drop)
    }
}

/// Sockets of this core's world.
impl Core {
    /// A listener on `address`; see [`Socket::listen`].
    pub fn listen(&self, address: SocketAddr, backlog: u32) -> io::Result<Socket> {
        self.driver(|driver| driver.listen(address, backlog))
    }

    /// Connects to `address`.
    pub async fn connect(&self, address: SocketAddr) -> io::Result<Socket> {
        let socket = self.driver(|driver| driver.socket(address))?;
        socket.connect(self, address).await?;
        Ok(socket)
    }
}
