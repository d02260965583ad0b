//! Files: a shared handle and the operations on it, as `async` functions.
//!
//! The handle may be read on other cores (a fetch's span is sent from the connection's core). The
//! descriptor is closed when the last handle is dropped, on the offload thread, because closing
//! a large unlinked file can take long.

use super::core::Core;
use super::machine;
use super::op::{Advice, Completion, DirEntry, Op, Open, Output, Stat};
use super::{Gather, syscall};
use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;
#[cfg(any(test, feature = "sim"))]
use std::sync::atomic::AtomicU64;
use std::sync::atomic::{AtomicU32, Ordering};

/// A shared file handle; cheap to clone.
#[derive(Clone, Debug)]
pub struct File(Arc<Handle>, Arc<Use>);

#[derive(Debug)]
enum Handle {
    Os(Option<OwnedFd>),
    /// A file of the simulated disk; a cold one is never resident.
    #[cfg(any(test, feature = "sim"))]
    Sim {
        inode: u64,
        is_cold: bool,
        errors_seen: AtomicU64,
    },
}

impl Drop for Handle {
    fn drop(&mut self) {
        if let Self::Os(fd) = self
            && let Some(fd) = fd.take()
        {
            machine::close_later(fd);
        }
    }
}

impl File {
    pub(super) fn from_fd(fd: OwnedFd) -> Self {
        Self(Arc::new(Handle::Os(Some(fd))), Arc::default())
    }

    #[cfg(any(test, feature = "sim"))]
    pub(super) fn from_sim(inode: u64, is_cold: bool, errors_seen: u64) -> Self {
        let errors_seen = AtomicU64::new(errors_seen);
        Self(Arc::new(Handle::Sim { inode, is_cold, errors_seen }), Arc::default())
    }

    #[cfg(any(test, feature = "sim"))]
    pub(super) fn sim_inode(&self) -> u64 {
        match &*self.0 {
            Handle::Sim { inode, .. } => *inode,
            Handle::Os(_) => panic!("a real file in the simulated world"),
        }
    }

    /// Whether this handle has not been told yet that write-backs of its file failed, `count` in
    /// all; it is told now. Each handle is told once, as in Linux.
    #[cfg(any(test, feature = "sim"))]
    pub(super) fn take_sim_error(&self, count: u64) -> bool {
        match &*self.0 {
            Handle::Sim { errors_seen, .. } => errors_seen.swap(count, Ordering::Relaxed) < count,
            Handle::Os(_) => panic!("a real file in the simulated world"),
        }
    }

    #[cfg(any(test, feature = "sim"))]
    pub(super) fn is_cold(&self) -> bool {
        matches!(&*self.0, Handle::Sim { is_cold: true, .. })
    }

    /// The descriptor, for ring entries and sendfile; valid while this handle lives.
    pub(super) fn raw(&self) -> RawFd {
        match &*self.0 {
            Handle::Os(fd) => fd.as_ref().expect("taken only on drop").as_raw_fd(),
            #[cfg(any(test, feature = "sim"))]
            Handle::Sim { .. } => panic!("a simulated file has no descriptor"),
        }
    }

    /// How many handles to this open file there are (1 = only this one): leases of spans.
    pub fn handle_count(&self) -> usize {
        Arc::strong_count(&self.0)
    }

    /// Reads until `buffer` is full or the file ends; gives the buffer, cut to what was read.
    pub async fn read_at(&self, core: &Core, mut buffer: Vec<u8>, at: u64) -> io::Result<Vec<u8>> {
        let mut filled = 0;
        while filled < buffer.len() {
            let op = Op::Read { file: self.clone(), at: at + filled as u64, buffer, filled };
            let Completion { op: Op::Read { buffer: back, .. }, result } = core.submit(op).await
            else {
                unreachable!("a completion carries its operation")
            };
            buffer = back;
            match result? {
                Output::Count(0) => break,
                Output::Count(count) => filled += count,
                other => unreachable!("read gave {other:?}"),
            }
        }
        buffer.truncate(filled);
        Ok(buffer)
    }

    /// Writes all of `data` at `at` through the ring; gives the gather back for reuse, and how
    /// many bytes were written before an error.
    pub async fn write_at(
        &self,
        core: &Core,
        mut data: Gather,
        at: u64,
    ) -> (io::Result<()>, usize, Gather) {
        let mut skip = 0;
        let _writing = Writing::begin(core, &self.1).await;
        while skip < data.len() {
            let op = Op::Write { file: self.clone(), at: at + skip as u64, data, skip };
            let Completion { op: Op::Write { data: back, .. }, result } = core.submit(op).await
            else {
                unreachable!("a completion carries its operation")
            };
            data = back;
            match result {
                Ok(Output::Count(0)) => return (Err(io::ErrorKind::WriteZero.into()), skip, data),
                Ok(Output::Count(count)) => skip += count,
                Ok(other) => unreachable!("write gave {other:?}"),
                Err(error) => return (Err(error), skip, data),
            }
        }
        (Ok(()), skip, data)
    }

    /// Whether a write of this file is on its way through the ring. A worker that does it holds
    /// the inode's lock: a read made on the core could wait for the disk (561 ms were seen on XFS).
    pub fn is_being_written(&self) -> bool {
        self.1.0.load(Ordering::Relaxed) & WRITING != 0
    }

    /// Keeps writes of this file from the ring while a sendfile of it is made; `None`: one is on its
    /// way. To look at [`Self::is_being_written`] alone would leave a moment, until the sendfile is
    /// in the kernel, in which another core may begin one.
    pub fn begin_sending(&self) -> Option<Sending<'_>> {
        let before = self.1.0.fetch_add(1, Ordering::AcqRel);
        let sending = Sending(&self.1);
        (before & WRITING == 0).then_some(sending)
    }

    /// Writes all of `data` at `at` on this core, now. May wait for the disk when the kernel
    /// throttles: only within the dirty budget, at most 1 MiB. Gives how much was written
    /// before an error.
    pub fn write_inline(&self, core: &Core, data: &mut Gather, at: u64) -> (io::Result<()>, usize) {
        let mut skip = 0;
        while skip < data.len() {
            match core.write_inline(self, data, skip, at + skip as u64) {
                Ok(0) => return (Err(io::ErrorKind::WriteZero.into()), skip),
                Ok(count) => skip += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return (Err(error), skip),
            }
        }
        (Ok(()), skip)
    }

    pub async fn sync_data(&self, core: &Core) -> io::Result<()> {
        core.submit(Op::Sync { file: self.clone(), data_only: true }).await.result.map(drop)
    }

    pub async fn sync_all(&self, core: &Core) -> io::Result<()> {
        core.submit(Op::Sync { file: self.clone(), data_only: false }).await.result.map(drop)
    }

    /// Starts write-back of `[at, at + len)`; with `wait`, waits until it is done.
    pub async fn sync_range(&self, core: &Core, at: u64, len: u64, wait: bool) -> io::Result<()> {
        let op = Op::SyncRange { file: self.clone(), at, len, wait };
        core.submit(op).await.result.map(drop)
    }

    /// Reserves blocks for `[at, at + len)`; the file's length stays.
    pub async fn allocate(&self, core: &Core, at: u64, len: u64) -> io::Result<()> {
        core.submit(Op::Allocate { file: self.clone(), at, len }).await.result.map(drop)
    }

    pub async fn advise(&self, core: &Core, at: u64, len: u64, advice: Advice) -> io::Result<()> {
        core.submit(Op::Advise { file: self.clone(), at, len, advice }).await.result.map(drop)
    }

    pub async fn truncate(&self, core: &Core, len: u64) -> io::Result<()> {
        core.submit(Op::Truncate { file: self.clone(), len }).await.result.map(drop)
    }

    /// Whether `[at, at + len)` can be sent without waiting for the disk: `cachestat` where the
    /// kernel has it, then three one-byte reads that refuse to wait.
    pub fn is_resident(&self, at: u64, len: u64) -> bool {
        #[cfg(any(test, feature = "sim"))]
        if let Handle::Sim { is_cold, .. } = &*self.0 {
            return !is_cold;
        }
        syscall::is_resident(self.raw(), at, len)
    }
}

/// Who is at a file: whether a write of it is on its way through the ring, and how many sendfiles are
/// being made, on whatever cores. One word, so that all agree on who came first: a write sees the
/// sends that have begun, and waits for them; a send sees the write, and is not begun.
#[derive(Debug, Default)]
struct Use(AtomicU32);

const WRITING: u32 = 1 << 31;

/// A sendfile of the file may be made for as long as this lives; not across an await.
#[derive(Debug)]
pub struct Sending<'a>(&'a Use);

impl Drop for Sending<'_> {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Marks a file as being written for as long as it lives. One write of a file at a time.
struct Writing<'a>(&'a Use);

impl<'a> Writing<'a> {
    /// Waits for the sends of other cores: each is at most 256 KiB from memory, and none begins once
    /// the mark is there.
    async fn begin(core: &Core, file: &'a Use) -> Self {
        file.0.fetch_or(WRITING, Ordering::AcqRel);
        let writing = Self(file);
        while file.0.load(Ordering::Acquire) & !WRITING != 0 {
            core.turn_end().await;
        }
        writing
    }
}

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        self.0.0.fetch_and(!WRITING, Ordering::AcqRel);
    }
}

fn c_path(path: &Path) -> io::Result<CString> {
    CString::new(path.as_os_str().as_bytes()).map_err(|_| io::ErrorKind::InvalidInput.into())
}

/// Operations on paths.
impl Core {
    pub async fn open(&self, path: &Path, how: Open) -> io::Result<File> {
        match self.submit(Op::Open { path: c_path(path)?, how }).await.result? {
            Output::File(file) => Ok(file),
            other => unreachable!("open gave {other:?}"),
        }
    }

    pub async fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let op = Op::Rename { from: c_path(from)?, to: c_path(to)? };
        self.submit(op).await.result.map(drop)
    }

    pub async fn unlink(&self, path: &Path) -> io::Result<()> {
        self.submit(Op::Unlink { path: c_path(path)? }).await.result.map(drop)
    }

    /// Makes one directory; its parent must exist.
    pub async fn make_dir(&self, path: &Path) -> io::Result<()> {
        self.submit(Op::MakeDir { path: c_path(path)? }).await.result.map(drop)
    }

    /// Removes one empty directory.
    pub async fn remove_dir(&self, path: &Path) -> io::Result<()> {
        self.submit(Op::RemoveDir { path: c_path(path)? }).await.result.map(drop)
    }

    /// The names in a directory, in no order.
    pub async fn list(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        match self.submit(Op::List { path: c_path(path)? }).await.result? {
            Output::Entries(entries) => Ok(entries),
            other => unreachable!("list gave {other:?}"),
        }
    }

    pub async fn stat(&self, path: &Path) -> io::Result<Stat> {
        match self.submit(Op::Stat { path: c_path(path)? }).await.result? {
            Output::Stat(stat) => Ok(stat),
            other => unreachable!("stat gave {other:?}"),
        }
    }

    /// Makes names in a directory (creations, renames, removals) durable.
    pub async fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.open(path, Open::Directory).await?.sync_all(self).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::sim::World;
    use std::cell::Cell;
    use std::rc::Rc;

    #[test]
    fn a_write_through_the_ring_waits_for_sends_and_no_send_begins_beside_it() {
        let mut world = World::new(1);
        world.put(0, "/segment", b"old").unwrap();
        let core = world.core();
        let inner = core.clone();
        world.run(&core, async move {
            let file = inner.open(Path::new("/segment"), Open::Write).await.unwrap();
            let (first, second) = (file.begin_sending().unwrap(), file.begin_sending().unwrap());
            let is_written = Rc::new(Cell::new(false));
            let (core, written, of) = (inner.clone(), Rc::clone(&is_written), file.clone());
            inner.spawn(async move {
                of.write_at(&core, Gather::from_bytes(b"new".to_vec()), 3).await.0.unwrap();
                written.set(true);
            });
            for sending in [first, second] {
                for _ in 0..100 {
                    inner.turn_end().await;
                }
                assert!(file.is_being_written() && !is_written.get(), "it waits");
                assert!(file.begin_sending().is_none(), "who comes later does not overtake it");
                drop(sending);
            }
            while !is_written.get() {
                assert!(file.begin_sending().is_none());
                inner.sleep(std::time::Duration::from_millis(1)).await;
            }
            drop(file.begin_sending().expect("the write is over"));
            assert_eq!(file.read_at(&inner, vec![0; 9], 0).await.unwrap(), b"oldnew");
        });
    }
}
