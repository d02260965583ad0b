//! Opening a log: from its files, and after a crash from what the files are worth.
//!
//! Below the recovery point everything was synced: bytes that do not fit there are rot. Nothing is
//! cut; the range is set aside, reads of it fail and name its offsets, reads after it work. Above
//! the recovery point bytes may be torn: the log is cut at the last whole batch before the damage.
//! Whole batches after the damage are kept in a file beside it, whose name says so. After a clean
//! stop nothing is scanned but what comes after the last index entry.

use super::checkpoint::{self, Durable};
use super::config::LogConfig;
use super::cut;
use super::directory::LogDir;
use super::epochs::Epochs;
use super::error::LogError;
use super::folder::{self, Contents};
use super::index::{IndexedBatch, Indexes};
use super::load;
use super::log::{Log, LogSpec};
use super::names::Kind;
use super::planted::Bug;
use super::rare::Rare;
use super::replay::{self, Replay};
use super::scan::{Check, Follows, Links, Scanned, Scanner};
use super::seal;
use super::segment::Segment;
use crate::model::{Offset, Timestamp};
use crate::record::BatchHeader;
use crate::runtime::{Core, File};
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;

/// What opening a log found. Shown to the operator where it is not plain.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovery {
    pub segment_count: usize,
    /// Bytes read to check batches.
    pub bytes_scanned: u64,
    pub findings: Vec<Finding>,
}

/// One thing that recovery did or saw.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Finding {
    #[error(
        "segment {segment}: a torn tail of {bytes} bytes was cut at position {position}; the log \
         ends at offset {log_end_offset}"
    )]
    TailCut { segment: Offset, position: u64, bytes: u64, log_end_offset: Offset },
    #[error(
        "segment {segment}: damage at position {position} is FOLLOWED BY WHOLE BATCHES, or by much \
         that looks like some; {bytes} bytes were cut and kept in {kept_in}; the log ends at offset \
         {log_end_offset}"
    )]
    CutKept { segment: Offset, position: u64, bytes: u64, log_end_offset: Offset, kept_in: String },
    #[error(
        "segment {segment}: {bytes} bytes at position {position} are DAMAGED below the recovery \
         point: offsets {from} to {to} (exclusive) cannot be read; nothing was cut"
    )]
    Quarantined { segment: Offset, position: u64, bytes: u64, from: Offset, to: Offset },
    #[error("segment {segment}: its indexes were built again")]
    IndexRebuilt { segment: Offset },
    #[error("{name} was no usable file and is left out: {reason}")]
    Unusable { name: String, reason: String },
    #[error("{name} is not a file of a log; it is left alone")]
    UnknownFile { name: String },
}

impl Finding {
    /// Whether acknowledged or whole records are concerned: to be shown loudly.
    pub fn is_loud(&self) -> bool {
        matches!(self, Self::CutKept { .. } | Self::Quarantined { .. })
    }
}

/// How far a segment can be read.
struct Reached {
    end: Offset,
    torn: Option<Torn>,
    /// What comes after this segment is not part of the log.
    is_last: bool,
}

/// Damage above the recovery point.
#[derive(Clone, Copy)]
struct Torn {
    position: u64,
    /// Whole batches follow, or may.
    follows: bool,
}

/// A log being opened.
struct Opening<'a> {
    core: &'a Core,
    log: Log,
    replay: Replay,
    recovery: Recovery,
    /// Below, damage is rot.
    recovery_point: Offset,
    is_clean: bool,
    refuses_damage: bool,
    now: Timestamp,
    /// Segments that were read through and are to be synced.
    recovered: Vec<Rc<Segment>>,
    epochs_on_disk: Epochs,
}

impl Log {
    /// Opens a log's folder, or creates the log if there is none; recovers it where needed.
    pub async fn open(
        core: &Core,
        dir: Rc<LogDir>,
        spec: LogSpec,
        config: LogConfig,
    ) -> Result<(Self, Recovery), LogError> {
        let (recovery_point, is_clean) = (spec.recovery_point, spec.is_clean);
        let refuses_damage = spec.refuses_damage;
        let log = Self::create(dir, spec, config);
        let mut log = log;
        let Some(contents) = folder::read(core, &log.folder).await? else {
            log.begin_at(recovery_point);
            return Ok((log, Recovery::default()));
        };
        log.folder_state.is_made.set(true);
        log.folder_state.name.on_change();
        log.durability.names.on_change();
        folder::check_topic_id(core, &log.folder, log.topic_id).await?;
        let mut opening = Opening {
            core,
            log,
            replay: Replay::new(core.wall()),
            recovery: Recovery::default(),
            recovery_point,
            is_clean,
            refuses_damage,
            now: core.wall(),
            recovered: Vec::new(),
            epochs_on_disk: Epochs::default(),
        };
        opening.run(contents).await?;
        Ok((opening.log, opening.recovery))
    }
}

impl Opening<'_> {
    async fn run(&mut self, contents: Contents) -> Result<(), LogError> {
        for name in &contents.unknown {
            self.recovery.findings.push(Finding::UnknownFile { name: name.clone() });
        }
        self.read_epochs().await?;
        let bases = contents.log_bases();
        let from = if self.is_clean {
            bases.len().saturating_sub(1)
        } else {
            bases.partition_point(|(base, _)| *base <= self.recovery_point).saturating_sub(1)
        };
        let first_start = bases.first().map_or(self.log.log_start_offset, |(base, _)| *base);
        self.log.log_start_offset = self.log.log_start_offset.max(first_start);
        let mut segments: VecDeque<Rc<Segment>> = bases
            .iter()
            .map(|(base, len)| {
                Segment::existing(Arc::clone(&self.log.folder), *base, *len, self.now)
            })
            .collect();
        let scan_base = bases.get(from).map_or(first_start, |(base, _)| *base);
        let after = if self.is_clean { Offset(i64::MAX) } else { scan_base };
        self.load_producers(&contents, after).await?;
        self.replay_before(&segments, from).await?;
        let mut end = scan_base;
        if segments.is_empty() {
            // Nothing is left; what was synced once is not written again under the same offsets.
            self.log.begin_at(self.recovery_point);
            end = self.log.log_end_offset;
        }
        for (segment, next) in segments.iter().zip(segments.iter().skip(1)) {
            segment.end_offset.set(next.base);
        }
        for index in 0..segments.len() {
            let segment = Rc::clone(&segments[index]);
            self.log.segments.push(Rc::clone(&segment));
            if index < from {
                if !contents.has_indexes(segment.base) {
                    load::load(self.core, &self.log.dir, &segment).await?;
                    let segment = segment.base;
                    self.recovery.findings.push(Finding::IndexRebuilt { segment });
                }
                continue;
            }
            let next_base = segments.get(index + 1).map(|next| next.base);
            if self.is_clean
                && let Some(reached) = self.load_active(&segment).await?
            {
                end = reached;
                continue;
            }
            let reached = self.recover(&segment, next_base).await?;
            end = reached.end;
            if reached.is_last {
                // First what comes after, then the cut: a crash in between finds the damage again.
                let rest = segments.drain(index + 1..).collect::<Vec<_>>();
                if rest.iter().any(|segment| segment.len.get() > 0) {
                    let at = reached.torn.map_or(segment.len.get(), |torn| torn.position);
                    self.check_refusal(&segment, at, end)?;
                }
                self.set_aside(&rest, end).await?;
                if let Some(torn) = reached.torn {
                    self.cut(&segment, torn, end).await?;
                }
                break;
            }
        }
        self.finish(end, &contents).await
    }

    /// The epochs of the file; a bad one counts as empty and is filled by what is scanned.
    async fn read_epochs(&mut self) -> Result<(), LogError> {
        match folder::read_epochs(self.core, &self.log.folder).await? {
            Ok(epochs) => {
                self.epochs_on_disk = epochs.clone();
                self.log.epochs = epochs;
            }
            Err(reason) => {
                Rare::EpochsUnusable.reached();
                let name = super::names::EPOCHS.to_string();
                self.recovery.findings.push(Finding::Unusable { name, reason });
            }
        }
        Ok(())
    }

    /// The newest good snapshot at or below `at_most`; bad ones are removed.
    async fn load_producers(
        &mut self,
        contents: &Contents,
        at_most: Offset,
    ) -> Result<(), LogError> {
        let snapshots = contents.snapshots().filter(|offset| *offset <= at_most);
        let (core, folder) = (self.core, Arc::clone(&self.log.folder));
        let found = replay::newest_snapshot(core, &folder, snapshots.collect()).await?;
        self.recovery.findings.extend(found.findings);
        self.replay.position = found.offset.unwrap_or(self.log.log_start_offset);
        self.log.producers.load(found.entries, self.now);
        Ok(())
    }

    /// Replays headers between the snapshot and the first segment that is scanned anyway.
    async fn replay_before(
        &mut self,
        segments: &VecDeque<Rc<Segment>>,
        from: usize,
    ) -> Result<(), LogError> {
        for (index, segment) in segments.iter().enumerate().take(from) {
            let end = segments.get(index + 1).map_or(Offset(i64::MAX), |next| next.base);
            if end > self.replay.position {
                Rare::SnapshotReplayed.reached();
                let file = load::open(self.core, segment).await?;
                self.replay.segment(self.core, segment, &file, &mut self.log.producers).await?;
            }
        }
        Ok(())
    }

    /// After a clean stop: the indexes are exact; what comes after their last entry is read. `None`
    /// where that is not so, and all of it must be looked at.
    async fn load_active(&mut self, segment: &Rc<Segment>) -> Result<Option<Offset>, LogError> {
        let file = load::open(self.core, segment).await?;
        segment.set_file(file.clone());
        self.load_first_timestamp(segment, &file).await?;
        let Some(mut indexes) = load::read_indexes(self.core, segment).await? else {
            self.recovery.findings.push(Finding::IndexRebuilt { segment: segment.base });
            return Ok(None);
        };
        let position = indexes.offsets.last().map_or(0, |entry| u64::from(entry.position));
        let path = segment.path(Kind::Log);
        let span = (position, segment.len.get());
        let mut scanner =
            Scanner::new(self.core, file.clone(), &path, segment.base, span, Check::Whole);
        loop {
            match scanner.next().await? {
                Scanned::Batch { position: at, header } => {
                    let batch = indexed(&header);
                    if batch.max_timestamp > indexes.max_timestamp {
                        indexes.max_timestamp = batch.max_timestamp;
                        indexes.max_timestamp_offset = batch.last_offset;
                    }
                    if at > position {
                        Rare::CleanTail.reached();
                        indexes.bytes_since_entry += batch.bytes;
                    }
                    self.log.epochs.observe(header.leader_epoch, header.base_offset);
                }
                // The marker lied, or the disk.
                Scanned::Damage { .. } => {
                    Rare::MarkerLied.reached();
                    return Ok(None);
                }
                Scanned::End => break,
            }
        }
        self.recovery.bytes_scanned += scanner.bytes_read;
        let end = scanner.next_offset;
        if end != self.recovery_point {
            Rare::MarkerLied.reached();
            return Ok(None);
        }
        segment.max_timestamp.set(Some(indexes.max_timestamp));
        *segment.indexes.borrow_mut() = Some(indexes);
        segment.has_index_files.set(true);
        if end > self.replay.position {
            self.replay.segment(self.core, segment, &file, &mut self.log.producers).await?;
        }
        Ok(Some(end))
    }

    async fn load_first_timestamp(&self, segment: &Segment, file: &File) -> Result<(), LogError> {
        let path = segment.path(Kind::Log);
        let span = (0, segment.len.get());
        let check = Check::HeadersOnly;
        let mut scanner = Scanner::new(self.core, file.clone(), &path, segment.base, span, check);
        if let Scanned::Batch { header, .. } = scanner.next().await? {
            segment.first_timestamp.set(header.max_timestamp);
        }
        Ok(())
    }

    /// Reads a whole segment.
    async fn recover(
        &mut self,
        segment: &Rc<Segment>,
        next_base: Option<Offset>,
    ) -> Result<Reached, LogError> {
        let file = load::open(self.core, segment).await?;
        segment.set_file(file.clone());
        segment.damage.borrow_mut().clear();
        // The file may speak of batches that were never written; these here say what was.
        self.log.epochs.truncate_end(segment.base);
        let path = segment.path(Kind::Log);
        let (base, len) = (segment.base, segment.len.get());
        let check =
            if Bug::TailNotChecked.is_planted() { Check::HeadersOnly } else { Check::Whole };
        let scanner = Scanner::new(self.core, file.clone(), &path, base, (0, len), check);
        let mut scanner = scanner.with(Links {
            epochs: self.epochs_on_disk.clone(),
            epochs_end: self.recovery_point,
            is_compacted: self.log.config.is_compacted,
            is_active: next_base.is_none(),
            end_offset: next_base.unwrap_or(Offset(i64::MAX)),
        });
        let mut indexes = Indexes::new(base);
        let mut torn = None;
        let mut last = None;
        loop {
            match scanner.next().await? {
                Scanned::Batch { position, header } => {
                    let interval = self.log.config.index_interval_bytes;
                    indexes.on_batch(base, &indexed(&header), position, interval);
                    last = Some((position, header.base_offset));
                    if position == 0 {
                        segment.first_timestamp.set(header.max_timestamp);
                    }
                    self.log.epochs.observe(header.leader_epoch, header.base_offset);
                    let producers = &mut self.log.producers;
                    self.replay
                        .batch(self.core, segment, &file, position, &header, producers)
                        .await?;
                }
                Scanned::Damage { position } if scanner.next_offset < self.recovery_point => {
                    self.check_refusal(segment, position, scanner.next_offset)?;
                    segment.end_offset.set(next_base.unwrap_or(self.recovery_point));
                    cut::skip_damage(segment, &mut scanner).await?;
                    self.quarantine(segment, position, &mut scanner);
                }
                Scanned::Damage { position } => {
                    let end = scanner.next_offset;
                    // One whose offset cannot be is whole all the same; and what is not known to be
                    // worth nothing is kept, too.
                    let is_whole = scanner.is_whole().await?;
                    let follows = scanner.resync().await? != Follows::Nothing || is_whole;
                    if follows {
                        self.check_refusal(segment, position, end)?;
                    }
                    torn = Some(Torn { position, follows });
                    break;
                }
                Scanned::End => break,
            }
        }
        self.recovery.bytes_scanned += scanner.bytes_read;
        if let Some((position, offset)) = last
            && let Some(torn) = torn.as_mut().filter(|_| Bug::TailCutTooFar.is_planted())
        {
            torn.position = position;
            scanner.next_offset = offset;
        }
        let end = self.lost_end(segment, &mut scanner, next_base)?;
        segment.end_offset.set(end);
        segment.max_timestamp.set(Some(indexes.max_timestamp));
        *segment.indexes.borrow_mut() = Some(indexes);
        self.recovered.push(Rc::clone(segment));
        segment.on_read_through();
        // Whole segments may be lost, too, and ends of segments at a batch's end.
        // Below the log's start nothing is missed: after a crash a log may go on there.
        let needed_from = end.max(self.log.log_start_offset);
        let is_hole =
            next_base.is_some_and(|next| next > needed_from) && !self.log.config.is_compacted;
        if is_hole {
            Rare::Hole.reached();
        }
        let is_hole = is_hole && !Bug::HoleAccepted.is_planted();
        Ok(Reached { end, is_last: torn.is_some() || is_hole, torn })
    }

    fn quarantine(&mut self, segment: &Segment, position: u64, scanner: &mut Scanner<'_>) {
        Rare::Quarantined.reached();
        let Some(damage) = segment.damage_at(position) else { return };
        self.recovery.findings.push(Finding::Quarantined {
            segment: segment.base,
            position,
            bytes: damage.end_position - position,
            from: damage.from,
            to: damage.to,
        });
        scanner.next_offset = damage.to.max(scanner.next_offset);
    }

    /// A file that ends too early below the recovery point has lost its end: those offsets are set
    /// aside. (Compaction leaves such holes behind.)
    fn lost_end(
        &mut self,
        segment: &Segment,
        scanner: &mut Scanner<'_>,
        next_base: Option<Offset>,
    ) -> Result<Offset, LogError> {
        let (from, len) = (scanner.next_offset, segment.len.get());
        let expected = next_base.unwrap_or(self.recovery_point);
        let is_compacted = self.log.config.is_compacted && next_base.is_some();
        if from >= expected || from >= self.recovery_point || is_compacted {
            return Ok(from);
        }
        self.check_refusal(segment, len, from)?;
        let damage =
            super::segment::Damage { position: len, end_position: len + 1, from, to: expected };
        segment.set_aside(damage);
        self.quarantine(segment, len, scanner);
        Ok(expected)
    }

    /// Refuses damage at `position`, where `offset` should be, in a log that must lose nothing.
    fn check_refusal(
        &self,
        segment: &Segment,
        position: u64,
        offset: Offset,
    ) -> Result<(), LogError> {
        if !self.refuses_damage {
            return Ok(());
        }
        let path = segment.path(Kind::Log);
        let dir = self.log.dir.path();
        let checkpoint = dir.join(checkpoint::CheckpointKind::RecoveryPoint.file_name());
        Err(LogError::corrupt(
            &path,
            format_args!(
                "it is damaged at position {position}, where offset {offset} should be, and records \
                 that were on disk are lost with it; nothing was changed\n  \
                 fix: put a good copy of the file in its place; or give up the records from offset \
                 {offset} on: truncate -s {position} '{}', remove what comes after it in its \
                 folder, and remove {} (every log is checked then)",
                path.display(),
                checkpoint.display()
            ),
        ))
    }

    async fn cut(
        &mut self,
        segment: &Segment,
        torn: Torn,
        log_end_offset: Offset,
    ) -> Result<(), LogError> {
        let Torn { position, follows } = torn;
        let bytes = segment.len.get() - position;
        let file = load::open(self.core, segment).await?;
        let kept_in = cut::cut(self.core, segment, &file, position, follows).await?;
        self.note_cut(segment.base, position, bytes, log_end_offset, kept_in);
        Ok(())
    }

    fn note_cut(
        &mut self,
        segment: Offset,
        position: u64,
        bytes: u64,
        log_end_offset: Offset,
        kept_in: Option<String>,
    ) {
        let rare = if kept_in.is_some() { Rare::CutKept } else { Rare::TailCut };
        rare.reached();
        self.recovery.findings.push(match kept_in {
            Some(kept_in) => Finding::CutKept { segment, position, bytes, log_end_offset, kept_in },
            None => Finding::TailCut { segment, position, bytes, log_end_offset },
        });
    }

    /// Segments after the one that was cut: what they hold is kept aside, not deleted.
    async fn set_aside(
        &mut self,
        segments: &[Rc<Segment>],
        log_end_offset: Offset,
    ) -> Result<(), LogError> {
        for segment in segments.iter().rev() {
            let bytes = segment.len.get();
            let kept_in = folder::set_segment_aside(self.core, segment).await?;
            self.note_cut(segment.base, 0, bytes, log_end_offset, kept_in);
        }
        let folder = &self.log.folder;
        self.core.sync_dir(folder).await.map_err(LogError::at("fsync", folder))
    }

    async fn finish(&mut self, end: Offset, contents: &Contents) -> Result<(), LogError> {
        let reached = end;
        let end = end.max(self.log.log_start_offset);
        let log = &mut self.log;
        log.epochs.truncate_end(end);
        if let Some(first) = log.segments.get(0) {
            log.epochs.truncate_start(first.base);
        }
        log.log_end_offset = end;
        log.next_offset = end;
        if let Some(active) = log.active() {
            active.end_offset.set(reached);
        }
        // What comes next cannot go after damage, nor after offsets that are not there.
        log.must_roll = log.active().is_some_and(|active| {
            let len = active.len.get();
            let damage = active.damage.borrow();
            damage.iter().any(|damage| damage.end_position >= len)
        });
        // The files may not even reach the log start offset.
        log.must_roll |= reached < end;
        log.must_roll &= log.active().is_some_and(|active| active.base < end);
        let is_trusted = self.is_clean && self.recovered.is_empty();
        let point = if is_trusted { end } else { self.recovery_point.min(end) };
        self.log.durability.restore(point);
        self.write_epochs().await?;
        self.sync_recovered().await?;
        self.log.durability.on_synced(end);
        folder::remove_snapshots_above(self.core, &self.log.folder, contents, end).await?;
        self.recovery.segment_count = self.log.segments.len();
        for finding in &self.recovery.findings {
            let log = self.log.folder.display();
            if finding.is_loud() {
                tracing::error!(%log, "{finding}");
            } else {
                tracing::warn!(%log, "{finding}");
            }
        }
        Ok(())
    }

    /// What was read from batches must be in the file before the recovery point passes them.
    async fn write_epochs(&self) -> Result<(), LogError> {
        let (log, epochs) = (&self.log, &self.log.epochs);
        if *epochs == self.epochs_on_disk {
            return Ok(());
        }
        let path = log.folder.join(super::names::EPOCHS);
        let bytes = epochs.encode().into_bytes();
        checkpoint::replace_file(self.core, &path, bytes, Durable::Yes).await
    }

    async fn sync_recovered(&mut self) -> Result<(), LogError> {
        let last = self.log.active().map(|active| active.base);
        for segment in std::mem::take(&mut self.recovered) {
            // The active segment's too: the next append may go to a new segment, and a crash before
            // this one is sealed leaves the files as they are written here, below the recovery
            // point, where nobody looks at them again.
            seal::finish_indexes(&segment);
            // Blocks that were reserved for appends before the crash are given back, too.
            segment.allocated.set(segment.len.get() + 1);
            seal::seal(self.core, &self.log.dir, &segment).await?;
            if Some(segment.base) != last {
                self.log.dir.cache.borrow_mut().on_load(&segment);
            }
        }
        Ok(())
    }
}

fn indexed(header: &BatchHeader) -> IndexedBatch {
    IndexedBatch {
        last_offset: header.last_offset(),
        max_timestamp: header.max_timestamp,
        bytes: header.total_bytes() as u64,
    }
}
