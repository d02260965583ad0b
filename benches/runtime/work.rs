//! What the broker does with a frame, the same for every variant: find its edges, CRC-32C of the
//! body, one gathered append for all whole frames of a receive, a reply of 32 bytes per frame.
//!
//! Bodies go round a file of 64 MiB that is written before anything is measured: pages that the
//! host of a virtual machine has not backed yet would cost more than the receive.
#![allow(unsafe_code)]

use highwater::base::crc32c;
use highwater::protocol::frame::{FRAME_SIZE_LEN, frame_size};
use smallvec::SmallVec;
use std::fs::File;
use std::io::{self, IoSlice, Write};
use std::os::fd::AsRawFd;
use std::path::Path;

pub const REPLY_BYTES: usize = 32;
/// Largest frame that a server of this bench takes.
pub const FRAME_BYTES_MAX: usize = 1 << 20;
const SPACE_BYTES: u64 = 64 << 20;

/// The file that bodies go to, written once and overwritten in place.
pub struct Space(tempfile::NamedTempFile);

impl Space {
    pub fn create(folder: &Path) -> io::Result<Self> {
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        let chunk = vec![0x5a; 1 << 20];
        for _ in 0..SPACE_BYTES >> 20 {
            file.write_all(&chunk)?;
        }
        file.as_file().sync_all()?;
        Ok(Self(file))
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }
}

/// Where the next append goes.
#[derive(Default)]
pub struct Head(u64);

impl Head {
    /// The position of `len` bytes, in one piece.
    pub fn reserve(&mut self, len: usize) -> u64 {
        if self.0 + len as u64 > SPACE_BYTES {
            self.0 = 0;
        }
        let at = self.0;
        self.0 += len as u64;
        at
    }
}

/// What a server has done in its life.
#[derive(Clone, Copy, Debug, Default)]
pub struct Served {
    pub requests: u64,
    /// System calls of the receive, send and append roads, where the variant can count them.
    pub calls: Option<u64>,
    /// Receives that found no provided buffer free, where there are such buffers.
    pub dry: Option<u64>,
}

/// The reply to a body with this checksum: proof that the work was done.
pub fn reply(crc: u32) -> [u8; REPLY_BYTES] {
    let mut reply = [0; REPLY_BYTES];
    reply[..4].copy_from_slice(&((REPLY_BYTES - 4) as u32).to_be_bytes());
    reply[4..8].copy_from_slice(&crc.to_be_bytes());
    reply
}

/// The checksum that a reply carries.
pub fn reply_crc(reply: &[u8; REPLY_BYTES]) -> u32 {
    u32::from_be_bytes([reply[4], reply[5], reply[6], reply[7]])
}

/// The work on frames that lie in one piece, as the variants without our buffers have them.
pub struct Broker {
    file: File,
    head: Head,
    pub requests: u64,
    pub appends: u64,
}

impl Broker {
    pub fn open(space: &Path) -> io::Result<Self> {
        let file = File::options().write(true).open(space)?;
        Ok(Self { file, head: Head::default(), requests: 0, appends: 0 })
    }

    /// Serves every whole frame at the front of `bytes`; gives how many bytes those were.
    pub fn serve(&mut self, bytes: &[u8], replies: &mut Vec<u8>) -> io::Result<usize> {
        let mut bodies = SmallVec::<[IoSlice<'_>; 16]>::new();
        let (mut from, mut len) = (0, 0);
        while let Some(end) = frame_end(&bytes[from..])?.filter(|end| from + end <= bytes.len()) {
            let body = &bytes[from + FRAME_SIZE_LEN..from + end];
            replies.extend_from_slice(&reply(crc32c::checksum(body)));
            bodies.push(IoSlice::new(body));
            len += body.len();
            from += end;
        }
        if !bodies.is_empty() {
            self.requests += bodies.len() as u64;
            self.append(&bodies, len)?;
        }
        Ok(from)
    }

    fn append(&mut self, bodies: &[IoSlice<'_>], len: usize) -> io::Result<()> {
        let at = self.head.reserve(len) as i64;
        let (fd, iovecs) = (self.file.as_raw_fd(), bodies.as_ptr().cast());
        // SAFETY: an IoSlice has the layout of an iovec, and the bodies outlive the call.
        let written = unsafe { libc::pwritev(fd, iovecs, bodies.len() as i32, at) };
        self.appends += 1;
        match usize::try_from(written) {
            Err(_) => Err(io::Error::last_os_error()),
            Ok(written) if written == len => Ok(()),
            Ok(_) => Err(io::ErrorKind::WriteZero.into()),
        }
    }
}

/// Bytes of the frame at the front, its size included, once the size is there.
pub fn frame_end(bytes: &[u8]) -> io::Result<Option<usize>> {
    let Some(size) = bytes.first_chunk() else { return Ok(None) };
    let size = frame_size(*size, FRAME_BYTES_MAX).map_err(io::Error::other)?;
    Ok(Some(FRAME_SIZE_LEN + size))
}

/// Whether an error only says that the client has gone: how every run ends.
pub fn is_goodbye(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe)
}
