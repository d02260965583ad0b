//! What an operation asks, copied out of it when it is submitted: the world works on its own
//! copy, for the core that asked may be gone when the answer is due.

use super::disk::Named;
use super::network::NetJob;
use crate::runtime::file::File;
use crate::runtime::op::Op;
use crate::runtime::work::Work;
use std::ffi::CStr;

#[derive(Debug)]
pub(super) enum Job {
    Nop,
    File(FileJob),
    Net(NetJob),
    Work(Work),
}

#[derive(Debug)]
pub(super) enum FileJob {
    Read {
        inode: u64,
        at: u64,
        len: usize,
    },
    Write {
        inode: u64,
        at: u64,
        bytes: Vec<u8>,
    },
    /// Covers the changes up to `last`: those that were there when it was asked for.
    Sync {
        file: File,
        last: u64,
    },
    SyncRange {
        file: File,
        at: u64,
        len: u64,
        wait: bool,
        last: u64,
    },
    Reserve {
        inode: u64,
        end: u64,
    },
    Truncate {
        inode: u64,
        len: u64,
    },
    Named(Named),
}

impl Job {
    /// Every operation has its answer here, or the crate does not compile. `last` is the number
    /// of the disk's last change.
    pub fn of(op: &Op, last: u64) -> Self {
        match op {
            Op::Nop | Op::Advise { .. } => Self::Nop,
            Op::Work { work } => Self::Work(work.clone()),
            Op::Accept { .. }
            | Op::Connect { .. }
            | Op::RecvPooled { .. }
            | Op::Recv { .. }
            | Op::Send { .. }
            | Op::Poll { .. } => NetJob::of(op).map_or(Self::Nop, Self::Net),
            Op::Read { file, at, buffer, filled } => {
                let len = buffer.len() - filled;
                Self::File(FileJob::Read { inode: file.sim_inode(), at: *at, len })
            }
            Op::Write { file, at, data, skip } => {
                let bytes = data.to_vec().split_off(*skip);
                Self::File(FileJob::Write { inode: file.sim_inode(), at: *at, bytes })
            }
            Op::Sync { file, data_only: _ } => {
                Self::File(FileJob::Sync { file: file.clone(), last })
            }
            Op::SyncRange { file, at, len, wait } => {
                let (file, at, len, wait) = (file.clone(), *at, *len, *wait);
                Self::File(FileJob::SyncRange { file, at, len, wait, last })
            }
            Op::Allocate { file, at, len } => {
                Self::File(FileJob::Reserve { inode: file.sim_inode(), end: at + len })
            }
            Op::Truncate { file, len } => {
                Self::File(FileJob::Truncate { inode: file.sim_inode(), len: *len })
            }
            Op::Open { path, how } => Self::named(Named::Open { path: text(path), how: *how }),
            Op::Rename { from, to } => {
                Self::named(Named::Rename { from: text(from), to: text(to) })
            }
            Op::Unlink { path } => Self::named(Named::Unlink { path: text(path) }),
            Op::MakeDir { path } => Self::named(Named::MakeDir { path: text(path) }),
            Op::RemoveDir { path } => Self::named(Named::RemoveDir { path: text(path) }),
            Op::List { path } => Self::named(Named::List { path: text(path) }),
            Op::Stat { path } => Self::named(Named::Stat { path: text(path) }),
        }
    }

    fn named(named: Named) -> Self {
        Self::File(FileJob::Named(named))
    }

    /// Name for traces.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Nop => "nop",
            Self::Work(_) => "work",
            Self::Net(job) => job.kind(),
            Self::File(job) => match job {
                FileJob::Read { .. } => "read",
                FileJob::Write { .. } => "write",
                FileJob::Sync { .. } => "sync",
                FileJob::SyncRange { .. } => "sync_range",
                FileJob::Reserve { .. } => "allocate",
                FileJob::Truncate { .. } => "truncate",
                FileJob::Named(named) => match named {
                    Named::Open { .. } => "open",
                    Named::Rename { .. } => "rename",
                    Named::Unlink { .. } => "unlink",
                    Named::MakeDir { .. } => "make_dir",
                    Named::RemoveDir { .. } => "remove_dir",
                    Named::List { .. } => "list",
                    Named::Stat { .. } => "stat",
                },
            },
        }
    }
}

fn text(path: &CStr) -> String {
    path.to_string_lossy().into_owned()
}
