//! Memory that the kernel fills: pools of equal blocks, counted slices of them, and gathers.
//!
//! A block is written by one owner (`BlockMut`) and then shared read-only as `Slice`s. A slice may
//! cross cores: the count is atomic, and the last one sends the block home to its pool. Pools live
//! as long as the process; their memory is reserved at once and touched only when used.
//!
//! ```text
//! pool:  [ block 0 | block 1 | block 2 | ... ]      free: LIFO, so that hot blocks are used again
//! slice: block 1 [ start .. start + len ]           gather: heads, slices, Bytes -> one iovec list
//! ```
#![allow(unsafe_code)]

use bytes::Bytes;
use crossbeam::queue::ArrayQueue;
use std::cell::RefCell;
use std::ops::Deref;
use std::sync::atomic::{AtomicU32, Ordering, fence};

struct PoolShared {
    base: *mut u8,
    block_bytes: usize,
    refs: Box<[AtomicU32]>,
    /// Blocks whose last slice was dropped, on whichever core; never longer than the pool.
    returns: ArrayQueue<u32>,
}

// SAFETY: `base` points at a mapping that is never unmapped; a block is written only through its
// one `BlockMut` and read only through slices that exist after it was frozen.
unsafe impl Send for PoolShared {}
// SAFETY: as above; all other fields are Sync.
unsafe impl Sync for PoolShared {}

/// One core's pool of equal blocks. Allocation is the owner's; a slice may end anywhere.
pub struct Pool {
    shared: &'static PoolShared,
    free: RefCell<Vec<u32>>,
}

impl Pool {
    /// Reserves `count` blocks of `block_bytes`; pages are touched when first used.
    pub fn new(count: u32, block_bytes: usize) -> std::io::Result<Self> {
        assert!(count > 0 && block_bytes > 0 && block_bytes <= 1 << 30);
        let len = block_bytes * count as usize;
        // SAFETY: an anonymous private mapping at an address of the kernel's choice.
        let base = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                len,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE,
                -1,
                0,
            )
        };
        if base == libc::MAP_FAILED {
            return Err(std::io::Error::last_os_error());
        }
        let shared = Box::leak(Box::new(PoolShared {
            base: base.cast(),
            block_bytes,
            refs: (0..count).map(|_| AtomicU32::new(0)).collect(),
            returns: ArrayQueue::new(count as usize),
        }));
        Ok(Self { shared, free: RefCell::new((0..count).rev().collect()) })
    }

    pub fn block_bytes(&self) -> usize {
        self.shared.block_bytes
    }

    pub fn block_count(&self) -> u32 {
        self.shared.refs.len() as u32
    }

    /// A block nobody else can see, or `None` when all are in use.
    pub fn take(&self) -> Option<BlockMut> {
        let mut free = self.free.borrow_mut();
        while let Some(index) = self.shared.returns.pop() {
            free.push(index);
        }
        let index = free.pop()?;
        Some(BlockMut { pool: self.shared, index })
    }

    pub fn has_free(&self) -> bool {
        !self.shared.returns.is_empty() || !self.free.borrow().is_empty()
    }

    /// How many blocks are in use.
    pub fn used(&self) -> usize {
        let free = self.free.borrow().len() + self.shared.returns.len();
        (self.block_count() as usize).saturating_sub(free)
    }

    /// Takes back one block that came home since the last call (for rings that lend blocks out).
    pub(super) fn pop_returned(&self) -> Option<u32> {
        self.shared.returns.pop()
    }

    /// Address of a block, for lending it to the kernel's buffer ring.
    pub(super) fn block_address(&self, index: u32) -> *mut u8 {
        self.shared.address(index)
    }

    /// Takes every block out of the free list: from now on the kernel lends them.
    pub(super) fn lend_all(&self) -> Vec<u32> {
        std::mem::take(&mut *self.free.borrow_mut())
    }

    /// The first `len` bytes of a lent block, which the kernel has filled.
    pub(super) fn lent_slice(&self, index: u32, len: usize) -> Slice {
        BlockMut { pool: self.shared, index }.freeze(len)
    }
}

impl PoolShared {
    fn address(&self, index: u32) -> *mut u8 {
        assert!((index as usize) < self.refs.len());
        // SAFETY: the index is inside the pool, so the block lies inside the mapping.
        unsafe { self.base.add(index as usize * self.block_bytes) }
    }

    fn come_home(&self, index: u32) {
        // A pool has as many places as blocks, so a push cannot fail.
        assert!(self.returns.push(index).is_ok(), "a block came home twice");
    }
}

/// A block with one owner, who may write it (or lend it to one operation that does).
pub struct BlockMut {
    pool: &'static PoolShared,
    index: u32,
}

impl BlockMut {
    pub fn capacity(&self) -> usize {
        self.pool.block_bytes
    }

    pub fn as_mut_slice(&mut self) -> &mut [u8] {
        // SAFETY: this handle is the only one; the block lies inside the mapping, which is
        // zeroed memory from the start.
        unsafe { std::slice::from_raw_parts_mut(self.pool.address(self.index), self.capacity()) }
    }

    pub fn as_mut_ptr(&mut self) -> *mut u8 {
        self.pool.address(self.index)
    }

    /// Ends writing: the first `len` bytes become shared.
    pub fn freeze(self, len: usize) -> Slice {
        assert!(len <= self.capacity());
        let slice = Slice { pool: self.pool, index: self.index, start: 0, len: len as u32 };
        self.pool.refs[self.index as usize].store(1, Ordering::Relaxed);
        std::mem::forget(self);
        slice
    }
}

impl Drop for BlockMut {
    fn drop(&mut self) {
        self.pool.come_home(self.index);
    }
}

/// Read-only bytes in a block, counted.
pub struct Slice {
    pool: &'static PoolShared,
    index: u32,
    start: u32,
    len: u32,
}

impl Slice {
    /// `len` bytes from `start` of this slice, sharing the block.
    #[must_use]
    pub fn range(&self, start: usize, len: usize) -> Self {
        assert!(start.checked_add(len).is_some_and(|end| end <= self.len as usize));
        let mut part = self.clone();
        part.start += start as u32;
        part.len = len as u32;
        part
    }
}

impl Slice {
    /// Grows over `next` if that follows in the same block.
    pub fn join(&mut self, next: &Self) -> bool {
        let follows = std::ptr::eq(self.pool, next.pool)
            && self.index == next.index
            && self.start + self.len == next.start;
        if follows {
            self.len += next.len;
        }
        follows
    }
}

impl Clone for Slice {
    fn clone(&self) -> Self {
        let before = self.pool.refs[self.index as usize].fetch_add(1, Ordering::Relaxed);
        assert!(before < u32::MAX / 2, "slice count ran over");
        Self { ..*self }
    }
}

impl Drop for Slice {
    fn drop(&mut self) {
        if self.pool.refs[self.index as usize].fetch_sub(1, Ordering::Release) == 1 {
            fence(Ordering::Acquire);
            self.pool.come_home(self.index);
        }
    }
}

impl Deref for Slice {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        let address = self.pool.address(self.index);
        // SAFETY: start and len lie inside the block (checked when the slice was made).
        let first = unsafe { address.add(self.start as usize) };
        // SAFETY: frozen blocks are only read, and this handle keeps the block from going home.
        unsafe { std::slice::from_raw_parts(first, self.len as usize) }
    }
}

impl std::fmt::Debug for Slice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Slice({} bytes of block {})", self.len, self.index)
    }
}

enum Piece {
    Head { start: u32, len: u32 },
    Slice(Slice),
    Bytes(Bytes),
}

/// Bytes to be written with one call: small heads that are copied in, and large parts that are not.
/// Reused: `clear` keeps all capacity.
#[derive(Default)]
pub struct Gather {
    heads: Vec<u8>,
    pieces: Vec<Piece>,
    len: usize,
    iovecs: Vec<libc::iovec>,
    message: Option<Box<libc::msghdr>>,
}

impl Gather {
    pub fn new() -> Self {
        Self::default()
    }

    /// One owned run of bytes.
    pub fn from_bytes(bytes: impl Into<Bytes>) -> Self {
        let mut gather = Self::new();
        gather.push_bytes(bytes.into());
        gather
    }

    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub fn piece_count(&self) -> usize {
        self.pieces.len()
    }

    /// Copies a small run of bytes in.
    pub fn push_copy(&mut self, bytes: &[u8]) {
        let start = self.heads.len() as u32;
        self.heads.extend_from_slice(bytes);
        self.len += bytes.len();
        if let Some(Piece::Head { start: last, len }) = self.pieces.last_mut()
            && *last + *len == start
        {
            *len += bytes.len() as u32;
        } else if !bytes.is_empty() {
            self.pieces.push(Piece::Head { start, len: bytes.len() as u32 });
        }
    }

    pub fn push_slice(&mut self, slice: Slice) {
        if !slice.is_empty() {
            self.len += slice.len();
            self.pieces.push(Piece::Slice(slice));
        }
    }

    pub fn push_bytes(&mut self, bytes: Bytes) {
        if !bytes.is_empty() {
            self.len += bytes.len();
            self.pieces.push(Piece::Bytes(bytes));
        }
    }

    /// Moves everything out of `other`, leaving it empty with its capacity.
    pub fn append(&mut self, other: &mut Self) {
        let base = self.heads.len() as u32;
        self.heads.extend_from_slice(&other.heads);
        self.len += other.len;
        self.pieces.extend(other.pieces.drain(..).map(|piece| match piece {
            Piece::Head { start, len } => Piece::Head { start: start + base, len },
            piece => piece,
        }));
        other.clear();
    }

    pub fn clear(&mut self) {
        self.heads.clear();
        self.pieces.clear();
        self.iovecs.clear();
        self.len = 0;
    }

    /// The pieces in order; none is empty.
    pub fn pieces(&self) -> impl Iterator<Item = &[u8]> {
        self.pieces.iter().map(|piece| match piece {
            Piece::Head { start, len } => &self.heads[*start as usize..(*start + *len) as usize],
            Piece::Slice(slice) => slice,
            Piece::Bytes(bytes) => bytes,
        })
    }

    pub fn to_vec(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.len);
        self.pieces().for_each(|piece| out.extend_from_slice(piece));
        out
    }

    /// The bytes from `skip` on as iovecs (at most `IOV_MAX`), for the kernel to read. They are
    /// good until the gather is changed or dropped.
    pub(super) fn iovecs(&mut self, skip: usize) -> &[libc::iovec] {
        let mut iovecs = std::mem::take(&mut self.iovecs);
        iovecs.clear();
        let mut skip = skip;
        for piece in self.pieces() {
            let start = skip.min(piece.len());
            skip -= start;
            if start < piece.len() && iovecs.len() < libc::UIO_MAXIOV as usize {
                let part = &piece[start..];
                let iov_base = part.as_ptr().cast_mut().cast();
                iovecs.push(libc::iovec { iov_base, iov_len: part.len() });
            }
        }
        self.iovecs = iovecs;
        &self.iovecs
    }

    /// A message header over the bytes from `skip` on, for SENDMSG; good as long as `iovecs`.
    pub(super) fn message(&mut self, skip: usize) -> *const libc::msghdr {
        self.iovecs(skip);
        let message = self.message.get_or_insert_with(|| {
            // SAFETY: msghdr is plain data, for which all zeroes are valid.
            Box::new(unsafe { std::mem::zeroed() })
        });
        message.msg_iov = self.iovecs.as_mut_ptr();
        message.msg_iovlen = self.iovecs.len() as _;
        &raw const **message
    }
}

impl std::fmt::Debug for Gather {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Gather({} bytes in {} pieces)", self.len, self.pieces.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_goes_home_when_its_last_slice_is_dropped() {
        let pool = Pool::new(1, 64).unwrap();
        let mut block = pool.take().unwrap();
        assert!(pool.take().is_none());
        block.as_mut_slice()[..4].copy_from_slice(b"abcd");
        let whole = block.freeze(4);
        let part = whole.range(1, 2);
        drop(whole);
        assert!(pool.take().is_none());
        assert_eq!(&*part, b"bc");
        std::thread::scope(|scope| drop(scope.spawn(move || drop(part))));
        assert_eq!(pool.used(), 0);
        assert!(pool.take().is_some());
    }

    #[test]
    fn the_block_used_last_is_used_next() {
        let pool = Pool::new(3, 8).unwrap();
        let (mut first, second) = (pool.take().unwrap(), pool.take().unwrap());
        let hot = first.as_mut_ptr();
        drop(second);
        drop(first);
        assert_eq!(pool.take().unwrap().as_mut_ptr(), hot);
    }

    #[test]
    fn a_gather_skips_what_was_already_written() {
        let pool = Pool::new(1, 64).unwrap();
        let mut block = pool.take().unwrap();
        block.as_mut_slice()[..3].copy_from_slice(b"cde");
        let mut gather = Gather::new();
        gather.push_copy(b"a");
        gather.push_copy(b"b");
        gather.push_slice(block.freeze(3));
        gather.push_bytes(Bytes::from_static(b"fg"));
        assert_eq!((gather.to_vec(), gather.piece_count()), (b"abcdefg".to_vec(), 3));
        for skip in 0..=7 {
            let lens: usize = gather.iovecs(skip).iter().map(|iovec| iovec.iov_len).sum();
            assert_eq!(lens, 7 - skip);
        }
        let mut all = Gather::new();
        all.push_copy(b"x");
        all.append(&mut gather);
        assert_eq!((all.to_vec(), gather.len()), (b"xabcdefg".to_vec(), 0));
    }
}
