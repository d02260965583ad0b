//! Everything that hosted code asks of the world: one closed set of operations.
//!
//! An operation owns its buffers and handles until it completes; the completion gives them back.
//! Dropping the future of an operation only asks for its cancellation: buffers stay with the
//! driver until the kernel has let go of them. A new operation does not compile until every
//! driver answers it.

use super::buffer::{BlockMut, Gather, Slice};
use super::file::File;
use super::socket::Socket;
use super::work::Work;
use std::ffi::CString;
use std::io;
use std::net::SocketAddr;

/// How a file is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Open {
    /// Existing, for reading.
    Read,
    /// Existing, for reading and writing.
    Existing,
    /// Existing or new, for reading and writing; content is kept.
    Write,
    /// New (an old one is emptied), for reading and writing.
    Create,
    /// An existing directory (to be synced).
    Directory,
}

/// Advice about a range of a file's page cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Advice {
    WillNeed,
    DontNeed,
}

/// One operation. Positions and lengths are bytes.
#[derive(Debug)]
pub enum Op {
    /// Completes at once; used to make a loop turn.
    Nop,
    Open {
        path: CString,
        how: Open,
    },
    /// Reads up to `buffer.len() - filled` bytes at `at` into `buffer[filled..]`.
    Read {
        file: File,
        at: u64,
        buffer: Vec<u8>,
        filled: usize,
    },
    /// Writes the bytes of `data` after the first `skip` at `at` (the caller adds `skip`).
    Write {
        file: File,
        at: u64,
        data: Gather,
        skip: usize,
    },
    Sync {
        file: File,
        data_only: bool,
    },
    /// Starts write-back of a range; with `wait` also waits for it.
    SyncRange {
        file: File,
        at: u64,
        len: u64,
        wait: bool,
    },
    /// Reserves blocks without changing the file's length.
    Allocate {
        file: File,
        at: u64,
        len: u64,
    },
    Advise {
        file: File,
        at: u64,
        len: u64,
        advice: Advice,
    },
    Truncate {
        file: File,
        len: u64,
    },
    Rename {
        from: CString,
        to: CString,
    },
    Unlink {
        path: CString,
    },
    MakeDir {
        path: CString,
    },
    RemoveDir {
        path: CString,
    },
    List {
        path: CString,
    },
    /// Computes on a thread that is no core's.
    Work {
        work: Work,
    },
    Stat {
        path: CString,
    },
    /// Accepts one connection.
    Accept {
        listener: Socket,
    },
    Connect {
        socket: Socket,
        address: SocketAddr,
    },
    /// Receives into a block of the core's receive ring, chosen when bytes are there.
    RecvPooled {
        socket: Socket,
    },
    /// Receives into `block[start..end]`.
    Recv {
        socket: Socket,
        block: Option<BlockMut>,
        start: usize,
        end: usize,
    },
    /// Sends the bytes of `data` after the first `skip`; `more` says that others follow at once.
    Send {
        socket: Socket,
        data: Gather,
        skip: usize,
        more: bool,
    },
    /// Waits until the socket can be written (or, with `readable`, read) or has failed.
    Poll {
        socket: Socket,
        readable: bool,
    },
}

impl std::fmt::Debug for BlockMut {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "BlockMut({} bytes)", self.capacity())
    }
}

/// What an operation gives.
#[derive(Debug)]
pub enum Output {
    None,
    /// Bytes moved.
    Count(usize),
    File(File),
    /// A connection and its peer.
    Accepted(Socket, SocketAddr),
    /// Received bytes; empty at the end of the stream.
    Received(Slice),
    /// The stream ended.
    End,
    Entries(Vec<DirEntry>),
    Stat(Stat),
}

/// The end of an operation: what it gave, and the operation itself with its buffers.
pub struct Completion {
    pub op: Op,
    pub result: io::Result<Output>,
}

/// One name in a directory.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DirEntry {
    pub name: String,
    pub is_dir: bool,
}

/// What a path is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    pub len: u64,
    pub is_dir: bool,
    /// Last modification, ms since the Unix epoch.
    pub modified_ms: i64,
}
