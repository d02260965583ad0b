//! A simulated disk: a tree of names over files. Names, like bytes, are cached until synced: a
//! creation, a rename or a removal is durable only after its directory's sync. A rename is one
//! step: a power cut leaves it done or not done.

use super::content::Content;
use super::faults::{Call, DiskFaults, Odds, Trap};
use super::job::FileJob;
use crate::base::Random;
use crate::runtime::file::File;
use crate::runtime::op::{DirEntry, Open, Output, Stat};
use std::collections::{BTreeMap, BTreeSet};
use std::io;

type Inode = u64;
type Names = BTreeMap<String, Inode>;

const ROOT: Inode = 1;

pub(super) struct Disk {
    nodes: BTreeMap<Inode, Node>,
    next_inode: Inode,
    /// Number of the last change to bytes or names.
    number: u64,
    /// Changes of names that no sync has covered, oldest first.
    names: Vec<NameChange>,
    /// Ring writes under way, by file.
    writing: BTreeMap<Inode, u32>,
    traps: Vec<Trap>,
    /// What the code above must never do, and did.
    pub findings: Vec<String>,
}

struct Node {
    /// Last name it was given.
    name: String,
    modified_ms: i64,
    body: Body,
}

enum Body {
    File(Content),
    Dir { cached: Names, durable: Names },
}

struct NameChange {
    number: u64,
    /// Directory, name, what it stands for from now on.
    steps: Vec<(Inode, String, Option<Inode>)>,
}

fn error(code: i32) -> io::Error {
    io::Error::from_raw_os_error(code)
}

impl Disk {
    pub fn new() -> Self {
        let body = Body::Dir { cached: Names::new(), durable: Names::new() };
        let root = Node { name: String::new(), modified_ms: 0, body };
        Self {
            nodes: BTreeMap::from([(ROOT, root)]),
            next_inode: ROOT + 1,
            number: 0,
            names: Vec::new(),
            writing: BTreeMap::new(),
            traps: Vec::new(),
            findings: Vec::new(),
        }
    }

    /// Number of the last change: what a sync that starts now covers.
    pub fn number(&self) -> u64 {
        self.number
    }

    pub fn set_trap(&mut self, trap: Trap) {
        self.traps.push(trap);
    }

    pub fn trap_count(&self) -> usize {
        self.traps.len()
    }

    pub fn write_begins(&mut self, inode: Inode) {
        let count = self.writing.entry(inode).or_default();
        *count += 1;
        let count = *count;
        if count > 1 {
            let name = self.name(inode).to_string();
            self.findings.push(format!("{count} writes in flight for {name}"));
        }
    }

    pub fn write_ends(&mut self, inode: Inode) {
        if let Some(count) = self.writing.get_mut(&inode) {
            *count -= 1;
        }
    }

    fn is_writing(&self, inode: Inode) -> bool {
        self.writing.get(&inode).is_some_and(|count| *count > 0)
    }

    fn name(&self, inode: Inode) -> &str {
        self.nodes.get(&inode).map_or("?", |node| &node.name)
    }

    /// The answer of a trap that this call springs.
    fn spring(&mut self, call: Call, name: &str) -> io::Result<()> {
        let sprung = self.traps.iter_mut().position(|trap| {
            let is_hit = trap.call == call && name.ends_with(&trap.name_end);
            let is_due = is_hit && trap.skip == 0;
            trap.skip -= u32::from(is_hit && !is_due);
            is_due
        });
        match sprung {
            Some(index) => Err(error(self.traps.remove(index).error)),
            None => Ok(()),
        }
    }

    /// Does what a file operation asks, now.
    pub fn apply(
        &mut self,
        job: FileJob,
        faults: &DiskFaults,
        random: &mut Random,
        now_ms: i64,
    ) -> io::Result<Applied> {
        let plain = |()| Applied::Output(Output::None);
        match job {
            FileJob::Read { inode, at, len } => {
                self.read(inode, at, len, faults, random).map(Applied::Bytes)
            }
            FileJob::Write { inode, at, bytes } => self
                .write(inode, at, bytes, faults, random, now_ms)
                .map(|count| Applied::Output(Output::Count(count))),
            FileJob::Sync { file, last } => self.sync(&file, last, faults, random).map(plain),
            FileJob::SyncRange { file, at, len, wait, last } => {
                self.sync_range(&file, (at, len), wait, last, faults, random).map(plain)
            }
            FileJob::Reserve { inode, end } => self.reserve(inode, end, faults).map(plain),
            FileJob::Truncate { inode, len } => {
                // Rare, and asked for most often after a write has failed: then more of them fail.
                if Odds(faults.write_error.0.saturating_mul(10)).hit(random) {
                    return Err(io::Error::from_raw_os_error(libc::EIO));
                }
                self.truncate(inode, len, now_ms).map(plain)
            }
            FileJob::Named(named) => {
                if faults.name_error.hit(random) {
                    return Err(error(libc::EIO));
                }
                self.apply_named(named, faults, random, now_ms).map(Applied::Output)
            }
        }
    }

    fn read(
        &mut self,
        inode: Inode,
        at: u64,
        len: usize,
        faults: &DiskFaults,
        random: &mut Random,
    ) -> io::Result<Vec<u8>> {
        let name = self.name(inode).to_string();
        self.spring(Call::Read, &name)?;
        if faults.read_error.hit(random) {
            return Err(error(libc::EIO));
        }
        let bytes = self.file(inode)?.read(at, len);
        let mut count = bytes.len();
        if count > 1 && faults.short_read.hit(random) {
            count = random.between(1, count as u64 - 1) as usize;
        }
        Ok(bytes[..count].to_vec())
    }

    fn write(
        &mut self,
        inode: Inode,
        at: u64,
        mut bytes: Vec<u8>,
        faults: &DiskFaults,
        random: &mut Random,
        now_ms: i64,
    ) -> io::Result<usize> {
        let name = self.name(inode).to_string();
        self.spring(Call::Write, &name)?;
        if faults.write_error.hit(random) {
            return Err(error(libc::EIO));
        }
        if bytes.len() > 1 && faults.short_write.hit(random) {
            bytes.truncate(random.between(1, bytes.len() as u64 - 1) as usize);
        }
        let end = at + bytes.len() as u64;
        let growth = end.saturating_sub(self.file(inode)?.len());
        let room = self.room(faults);
        if growth > room {
            let fits = (bytes.len() as u64).saturating_sub(growth - room);
            if fits == 0 {
                return Err(error(libc::ENOSPC));
            }
            bytes.truncate(fits as usize);
        }
        let count = bytes.len();
        self.number += 1;
        let number = self.number;
        self.file_mut(inode)?.write(number, at, bytes);
        self.touch(inode, now_ms);
        Ok(count)
    }

    fn room(&self, faults: &DiskFaults) -> u64 {
        let Some(capacity) = faults.capacity else { return u64::MAX };
        let linked: BTreeSet<Inode> = self.reachable(false);
        let used: u64 =
            linked.iter().filter_map(|inode| self.file(*inode).ok()).map(Content::len).sum();
        capacity.saturating_sub(used)
    }

    fn reserve(&mut self, inode: Inode, end: u64, faults: &DiskFaults) -> io::Result<()> {
        let growth = end.saturating_sub(self.file(inode)?.len());
        if growth > self.room(faults) { Err(error(libc::ENOSPC)) } else { Ok(()) }
    }

    fn sync(
        &mut self,
        file: &File,
        last: u64,
        faults: &DiskFaults,
        random: &mut Random,
    ) -> io::Result<()> {
        let inode = file.sim_inode();
        let name = self.name(inode).to_string();
        let is_failed = self.spring(Call::Sync, &name).is_err() || faults.sync_error.hit(random);
        if let Ok(Body::Dir { .. }) = self.node(inode).map(|node| &node.body) {
            if is_failed {
                return Err(error(libc::EIO));
            }
            self.sync_names(inode, last);
            return Ok(());
        }
        let content = self.file_mut(inode)?;
        if is_failed {
            content.lose(last, random);
        } else {
            content.sync(last);
        }
        let is_told = file.take_sim_error(content.error_count());
        if is_told { Err(error(libc::EIO)) } else { Ok(()) }
    }

    /// Write-back of a range. A failure is told to whoever waits for it, and then not again
    /// through the same handle: a later fsync of it succeeds.
    fn sync_range(
        &mut self,
        file: &File,
        (at, len): (u64, u64),
        wait: bool,
        last: u64,
        faults: &DiskFaults,
        random: &mut Random,
    ) -> io::Result<()> {
        let inode = file.sim_inode();
        let name = self.name(inode).to_string();
        let is_failed =
            self.spring(Call::SyncRange, &name).is_err() || faults.sync_error.hit(random);
        let content = self.file_mut(inode)?;
        if is_failed {
            content.lose(last, random);
        } else {
            content.pace(at.saturating_add(len));
        }
        let is_told = wait && file.take_sim_error(content.error_count());
        if is_told { Err(error(libc::EIO)) } else { Ok(()) }
    }

    fn truncate(&mut self, inode: Inode, len: u64, now_ms: i64) -> io::Result<()> {
        let name = self.name(inode).to_string();
        self.spring(Call::Truncate, &name)?;
        self.number += 1;
        let number = self.number;
        self.file_mut(inode)?.set_len(number, len);
        self.touch(inode, now_ms);
        Ok(())
    }

    fn apply_named(
        &mut self,
        named: Named,
        faults: &DiskFaults,
        random: &mut Random,
        now_ms: i64,
    ) -> io::Result<Output> {
        match named {
            Named::Open { path, how } => {
                self.spring(Call::Open, &path)?;
                let inode = self.open(&path, how, now_ms)?;
                let errors = self.file(inode).map_or(0, Content::error_count);
                Ok(Output::File(File::from_sim(inode, faults.cold.hit(random), errors)))
            }
            Named::Rename { from, to } => {
                self.spring(Call::Rename, &to)?;
                self.rename(&from, &to).map(|()| Output::None)
            }
            Named::Unlink { path } => {
                self.spring(Call::Unlink, &path)?;
                self.unlink(&path).map(|()| Output::None)
            }
            Named::MakeDir { path } => {
                self.spring(Call::MakeDir, &path)?;
                let body = Body::Dir { cached: Names::new(), durable: Names::new() };
                self.create(&path, body, now_ms).map(|_| Output::None)
            }
            Named::RemoveDir { path } => self.remove_dir(&path).map(|()| Output::None),
            Named::List { path } => {
                self.spring(Call::List, &path)?;
                self.list(&path).map(Output::Entries)
            }
            Named::Stat { path } => {
                let node = self.node(self.find(&path)?)?;
                let (len, is_dir) = match &node.body {
                    Body::File(content) => (content.len(), false),
                    Body::Dir { .. } => (4096, true),
                };
                Ok(Output::Stat(Stat { len, is_dir, modified_ms: node.modified_ms }))
            }
        }
    }

    fn open(&mut self, path: &str, how: Open, now_ms: i64) -> io::Result<Inode> {
        let inode = match (self.find(path), how) {
            (Err(missing), Open::Write | Open::Create)
                if missing.raw_os_error() == Some(libc::ENOENT) =>
            {
                return self.create(path, Body::File(Content::default()), now_ms);
            }
            (found, _) => found?,
        };
        let is_dir = matches!(self.node(inode)?.body, Body::Dir { .. });
        match how {
            Open::Existing | Open::Write | Open::Create if is_dir => {
                return Err(error(libc::EISDIR));
            }
            Open::Directory if !is_dir => return Err(error(libc::ENOTDIR)),
            Open::Create if self.file(inode)?.len() > 0 => self.truncate(inode, 0, now_ms)?,
            _ => {}
        }
        Ok(inode)
    }

    fn create(&mut self, path: &str, body: Body, now_ms: i64) -> io::Result<Inode> {
        let (parent, name) = self.place(path)?;
        if self.entries(parent)?.contains_key(name) {
            return Err(error(libc::EEXIST));
        }
        let inode = self.next_inode;
        self.next_inode += 1;
        let node = Node { name: name.to_string(), modified_ms: now_ms, body };
        self.nodes.insert(inode, node);
        self.change_names(vec![(parent, name.to_string(), Some(inode))]);
        Ok(inode)
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        let inode = self.find(from)?;
        let (from_parent, from_name) = self.place(from)?;
        let (to_parent, to_name) = self.place(to)?;
        let is_dir = |inode: Inode| {
            self.nodes.get(&inode).is_some_and(|node| matches!(node.body, Body::Dir { .. }))
        };
        match self.entries(to_parent)?.get(to_name).copied() {
            Some(old) if old == inode => return Ok(()),
            Some(old) => match (is_dir(inode), is_dir(old)) {
                (true, false) => return Err(error(libc::ENOTDIR)),
                (false, true) => return Err(error(libc::EISDIR)),
                (true, true) if !self.entries(old)?.is_empty() => {
                    return Err(error(libc::ENOTEMPTY));
                }
                _ => {}
            },
            None => {}
        }
        self.change_names(vec![
            (from_parent, from_name.to_string(), None),
            (to_parent, to_name.to_string(), Some(inode)),
        ]);
        if let Some(node) = self.nodes.get_mut(&inode) {
            node.name = to_name.to_string();
        }
        Ok(())
    }

    fn unlink(&mut self, path: &str) -> io::Result<()> {
        let inode = self.find(path)?;
        if let Body::Dir { .. } = self.node(inode)?.body {
            return Err(error(libc::EISDIR));
        }
        let (parent, name) = self.place(path)?;
        self.change_names(vec![(parent, name.to_string(), None)]);
        Ok(())
    }

    fn remove_dir(&mut self, path: &str) -> io::Result<()> {
        let inode = self.find(path)?;
        if !self.entries(inode)?.is_empty() {
            return Err(error(libc::ENOTEMPTY));
        }
        let (parent, name) = self.place(path)?;
        self.change_names(vec![(parent, name.to_string(), None)]);
        Ok(())
    }

    fn list(&self, path: &str) -> io::Result<Vec<DirEntry>> {
        let entries = self.entries(self.find(path)?)?.iter();
        entries
            .map(|(name, inode)| {
                let is_dir = matches!(self.node(*inode)?.body, Body::Dir { .. });
                Ok(DirEntry { name: name.clone(), is_dir })
            })
            .collect()
    }

    fn change_names(&mut self, steps: Vec<(Inode, String, Option<Inode>)>) {
        self.number += 1;
        for (dir, name, inode) in &steps {
            self.set_name(*dir, name, *inode, false);
        }
        self.names.push(NameChange { number: self.number, steps });
    }

    fn set_name(&mut self, dir: Inode, name: &str, inode: Option<Inode>, is_durable: bool) {
        let Some(Node { body: Body::Dir { cached, durable }, .. }) = self.nodes.get_mut(&dir)
        else {
            return;
        };
        let names = if is_durable { durable } else { cached };
        match inode {
            Some(inode) => names.insert(name.to_string(), inode),
            None => names.remove(name),
        };
    }

    /// Makes the changes of a directory's names durable, and what they stand on: earlier changes
    /// of the same names elsewhere (a rename moves a name from one directory to another).
    fn sync_names(&mut self, dir: Inode, last: u64) {
        let mut wanted: BTreeSet<(Inode, String)> = BTreeSet::new();
        let mut due = vec![false; self.names.len()];
        for (index, change) in self.names.iter().enumerate().rev() {
            let touches = |(parent, name, _): &(Inode, String, Option<Inode>)| {
                *parent == dir || wanted.contains(&(*parent, name.clone()))
            };
            if change.number <= last && change.steps.iter().any(touches) {
                due[index] = true;
                wanted.extend(change.steps.iter().map(|(parent, name, _)| (*parent, name.clone())));
            }
        }
        self.keep_names(|index| due[index]);
    }

    /// Applies the chosen changes to the platter, in order, and forgets them.
    fn keep_names(&mut self, is_kept: impl Fn(usize) -> bool) {
        let all = std::mem::take(&mut self.names);
        for (index, change) in all.into_iter().enumerate() {
            if is_kept(index) {
                for (dir, name, inode) in change.steps {
                    self.set_name(dir, &name, inode, true);
                }
            } else {
                self.names.push(change);
            }
        }
    }

    /// The power is cut: what is left is what was durable, and a part of what was not.
    pub fn crash(&mut self, faults: &DiskFaults, random: &mut Random) {
        let count = self.names.len();
        let any_order = faults.names_any_order && random.chance(1, 2);
        let prefix = random.below(count as u64 + 1) as usize;
        let kept: Vec<bool> = (0..count)
            .map(|index| if any_order { random.chance(1, 2) } else { index < prefix })
            .collect();
        self.keep_names(|index| kept[index]);
        self.names.clear();
        for node in self.nodes.values_mut() {
            match &mut node.body {
                Body::File(content) => content.crash(random),
                Body::Dir { cached, durable } => cached.clone_from(durable),
            }
        }
        let live = self.reachable(true);
        self.nodes.retain(|inode, _| live.contains(inode));
        self.writing.clear();
    }

    /// The process ended: nothing of its own is in flight any more.
    pub fn kill(&mut self) {
        self.writing.clear();
    }

    fn reachable(&self, durable_names: bool) -> BTreeSet<Inode> {
        let mut seen = BTreeSet::from([ROOT]);
        let mut open = vec![ROOT];
        while let Some(inode) = open.pop() {
            if let Some(Node { body: Body::Dir { cached, durable }, .. }) = self.nodes.get(&inode) {
                let names = if durable_names { durable } else { cached };
                open.extend(names.values().copied().filter(|child| seen.insert(*child)));
            }
        }
        seen
    }

    /// Flips bits of one byte of a file, on the platter and (where clean) in the cache.
    pub fn rot(&mut self, path: &str, at: u64, mask: u8) -> io::Result<()> {
        let inode = self.find(path)?;
        self.file_mut(inode)?.rot(at, mask);
        Ok(())
    }

    /// A file's bytes: as read, and as on the platter.
    pub fn images(&self, path: &str) -> io::Result<(Vec<u8>, Vec<u8>)> {
        let content = self.file(self.find(path)?)?;
        Ok((content.cached().to_vec(), content.durable().to_vec()))
    }

    pub fn names(&self, path: &str) -> io::Result<Vec<String>> {
        Ok(self.entries(self.find(path)?)?.keys().cloned().collect())
    }

    /// Puts a file there, as if it had been for ever; directories on the way are made.
    pub fn put(&mut self, path: &str, bytes: &[u8]) -> io::Result<()> {
        if let Some((parent, _)) = path.trim_matches('/').rsplit_once('/') {
            self.put_dir(parent)?;
        }
        let inode = self.open(path, Open::Create, 0)?;
        let number = self.number + 1;
        self.number = number;
        let content = self.file_mut(inode)?;
        content.write(number, 0, bytes.to_vec());
        content.sync(number);
        self.keep_names(|_| true);
        Ok(())
    }

    /// Makes a directory and those above it, durable from the start.
    pub fn put_dir(&mut self, path: &str) -> io::Result<()> {
        let mut made = String::new();
        for part in parts(path) {
            made = format!("{made}/{part}");
            let body = Body::Dir { cached: Names::new(), durable: Names::new() };
            match self.create(&made, body, 0) {
                Err(error) if error.raw_os_error() != Some(libc::EEXIST) => return Err(error),
                _ => {}
            }
        }
        self.keep_names(|_| true);
        Ok(())
    }

    /// Read-only look at a file for the calls that do not wait.
    pub fn peek(&self, inode: Inode, at: u64, len: usize) -> io::Result<&[u8]> {
        Ok(self.file(inode)?.read(at, len))
    }

    /// A call on this core that must not meet a ring write of the same file.
    pub fn check_alone(&mut self, inode: Inode, what: &str) {
        if self.is_writing(inode) {
            let name = self.name(inode).to_string();
            self.findings.push(format!("{what} while a write is in flight for {name}"));
        }
    }

    fn touch(&mut self, inode: Inode, now_ms: i64) {
        if let Some(node) = self.nodes.get_mut(&inode) {
            node.modified_ms = now_ms;
        }
    }

    fn node(&self, inode: Inode) -> io::Result<&Node> {
        // A handle from before a power cut.
        self.nodes.get(&inode).ok_or_else(|| error(libc::ESTALE))
    }

    fn file(&self, inode: Inode) -> io::Result<&Content> {
        match &self.node(inode)?.body {
            Body::File(content) => Ok(content),
            Body::Dir { .. } => Err(error(libc::EISDIR)),
        }
    }

    fn file_mut(&mut self, inode: Inode) -> io::Result<&mut Content> {
        match self.nodes.get_mut(&inode).map(|node| &mut node.body) {
            Some(Body::File(content)) => Ok(content),
            Some(Body::Dir { .. }) => Err(error(libc::EISDIR)),
            None => Err(error(libc::ESTALE)),
        }
    }

    fn entries(&self, inode: Inode) -> io::Result<&Names> {
        match &self.node(inode)?.body {
            Body::Dir { cached, .. } => Ok(cached),
            Body::File(_) => Err(error(libc::ENOTDIR)),
        }
    }

    fn find(&self, path: &str) -> io::Result<Inode> {
        parts(path).try_fold(ROOT, |inode, part| {
            self.entries(inode)?.get(part).copied().ok_or_else(|| error(libc::ENOENT))
        })
    }

    /// The directory that a path's last name is in, and that name.
    fn place<'a>(&self, path: &'a str) -> io::Result<(Inode, &'a str)> {
        let name = parts(path).last().ok_or_else(|| error(libc::EBUSY))?;
        let depth = parts(path).count() - 1;
        let parent = parts(path).take(depth).try_fold(ROOT, |inode, part| {
            self.entries(inode)?.get(part).copied().ok_or_else(|| error(libc::ENOENT))
        })?;
        self.entries(parent)?;
        Ok((parent, name))
    }
}

/// What an operation did.
pub(super) enum Applied {
    Output(Output),
    /// Bytes for the operation's own buffer.
    Bytes(Vec<u8>),
}

/// Operations on paths.
#[derive(Debug)]
pub(super) enum Named {
    Open { path: String, how: Open },
    Rename { from: String, to: String },
    Unlink { path: String },
    MakeDir { path: String },
    RemoveDir { path: String },
    List { path: String },
    Stat { path: String },
}

/// Names of a path from the root; a relative path starts there too.
fn parts(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter(|part| !part.is_empty() && *part != ".")
}
