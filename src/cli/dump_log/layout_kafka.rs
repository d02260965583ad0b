//! The lines that the dump tool of Apache Kafka 4.3.1 prints for the same files: what it says of
//! files on stdout, what does not fit together on stderr at the end.

use super::contents::Control;
use super::indexes::AbortedEntry;
use super::layout::{BatchLine, Layout, OffsetLine, RecordLine, TimeLine};
use super::targets::{Target, TargetKind};
use crate::log::{EpochEntry, ProducerEntry};
use crate::model::{Offset, TopicId};
use crate::record::ControlType;
use crate::record::batch::sequence_minus;
use std::fmt::Write as _;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

pub struct KafkaLayout<W> {
    out: W,
    line: String,
    /// The log whose records are shown, and the offset of the last one.
    log: PathBuf,
    last_offset: i64,
    previous_time: i64,
    gaps: Vec<Told>,
    index: Vec<Told>,
    times: Vec<Told>,
    times_order: Vec<Told>,
    times_missing: Vec<Told>,
}

/// What does not fit: two numbers, of a file.
struct Told {
    path: PathBuf,
    first: i64,
    second: i64,
}

/// Pairs that are remembered for the end: a file that is nothing but wrong must not fill memory.
const TOLD_MAX: usize = 100_000;

impl<W: Write> KafkaLayout<W> {
    pub fn new(out: W) -> Self {
        Self {
            out,
            line: String::new(),
            log: PathBuf::new(),
            last_offset: -1,
            previous_time: -1,
            gaps: Vec::new(),
            index: Vec::new(),
            times: Vec::new(),
            times_order: Vec::new(),
            times_missing: Vec::new(),
        }
    }

    fn end_line(&mut self) -> io::Result<()> {
        self.line.push('\n');
        self.out.write_all(self.line.as_bytes())?;
        self.line.clear();
        Ok(())
    }

    fn control(&mut self, control: &Control<'_>) {
        let line = &mut self.line;
        let _ = match control {
            Control::EndTxn(marker) => {
                let kind = if marker.commit { "COMMIT" } else { "ABORT" };
                let epoch = marker.coordinator_epoch;
                write!(line, " endTxnMarker: {kind} coordinatorEpoch: {epoch}")
            }
            Control::Tree(kind, tree) => {
                let tree = super::json::text(tree);
                match kind {
                    ControlType::SnapshotHeader => write!(line, " SnapshotHeader {tree}"),
                    ControlType::SnapshotFooter => write!(line, " SnapshotFooter {tree}"),
                    ControlType::KraftVersion => write!(line, " KRaftVersion {tree}"),
                    ControlType::KraftVoters => write!(line, " KRaftVoters {tree}"),
                    _ => write!(line, " LeaderChange: {tree}"),
                }
            }
            Control::Unknown(number) => write!(line, " controlType: UNKNOWN({number})"),
            Control::Unreadable(reason) => write!(line, " controlType: unreadable ({reason})"),
        };
    }
}

fn tell(told: &mut Vec<Told>, path: &Path, first: i64, second: i64) {
    if told.len() < TOLD_MAX {
        let path = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
        told.push(Told { path, first, second });
    }
}

/// `OptionalLong` as Java prints it.
fn optional(value: Option<i64>) -> String {
    value.map_or_else(|| "OptionalLong.empty".to_owned(), |value| format!("OptionalLong[{value}]"))
}

impl<W: Write> Layout for KafkaLayout<W> {
    fn file(&mut self, target: &Target) -> io::Result<()> {
        let path = target.path.display();
        if matches!(target.kind, TargetKind::Epochs | TargetKind::PartitionMetadata) {
            writeln!(self.out, "Dumping {path}")?;
            self.out.flush()?;
            eprintln!("Ignoring unknown file {path}");
            return Ok(());
        }
        writeln!(self.out, "Dumping {path}")?;
        self.log.clone_from(&target.path);
        self.last_offset = -1;
        self.previous_time = -1;
        match target.kind {
            TargetKind::Log(base) => writeln!(self.out, "Log starting offset: {base}"),
            TargetKind::MetadataSnapshot { end: Some((offset, epoch)) } => {
                writeln!(self.out, "Snapshot end offset: {offset}, epoch: {epoch}")
            }
            TargetKind::MetadataSnapshot { end: None } => {
                writeln!(self.out, "KRaft bootstrap snapshot")
            }
            _ => Ok(()),
        }
    }

    fn batch(&mut self, batch: &BatchLine) -> io::Result<()> {
        let BatchLine { position, header, is_valid } = *batch;
        let attributes = header.attributes;
        let _ = write!(
            self.line,
            "baseOffset: {} lastOffset: {} count: {} baseSequence: {} lastSequence: {} \
             producerId: {} producerEpoch: {} partitionLeaderEpoch: {} isTransactional: {} \
             isControl: {} deleteHorizonMs: {} position: {position} {}: {} size: {} magic: 2 \
             compresscodec: {} crc: {} isvalid: {is_valid}",
            header.base_offset,
            header.last_offset(),
            header.record_count,
            header.base_sequence,
            header.last_sequence(),
            header.producer_id,
            header.producer_epoch,
            header.leader_epoch,
            attributes.is_transactional(),
            attributes.is_control(),
            optional(batch.delete_horizon().map(|time| time.0)),
            batch.timestamp_type(),
            header.max_timestamp,
            header.total_bytes(),
            batch.codec(),
            header.crc,
        );
        self.end_line()
    }

    fn record(&mut self, batch: &BatchLine, record: &RecordLine<'_>) -> io::Result<()> {
        let size = |bytes: Option<&[u8]>| bytes.map_or(-1, |bytes| bytes.len() as i64);
        if record.offset.0 != self.last_offset.wrapping_add(1) {
            tell(&mut self.gaps, &self.log, self.last_offset, record.offset.0);
        }
        self.last_offset = record.offset.0;
        let _ = write!(
            self.line,
            "| offset: {} {}: {} keySize: {} valueSize: {} sequence: {} headerKeys: [",
            record.offset,
            batch.timestamp_type(),
            record.timestamp,
            size(record.view.key),
            size(record.view.value),
            record.sequence,
        );
        for (index, header) in record.view.headers().enumerate() {
            self.line.push_str(if index > 0 { "," } else { "" });
            self.line.push_str(header.key);
        }
        self.line.push(']');
        if let Some(control) = &record.control {
            self.control(control);
        } else if let Some((key, value)) = &record.contents {
            for (name, shown) in [("key", key), ("payload", value)] {
                if let Some(shown) = shown {
                    let _ = write!(self.line, " {name}: {}", shown.text());
                }
            }
        }
        self.end_line()
    }

    fn bad_records(&mut self, batch: &BatchLine, reason: &str) -> io::Result<()> {
        self.out.flush()?;
        eprintln!(
            "The records of the batch at position {} cannot be read: {reason}",
            batch.position
        );
        Ok(())
    }

    fn trailing(&mut self, target: &Target, _: u64, bytes: u64) -> io::Result<()> {
        let name = target.path.file_name().unwrap_or_default().to_string_lossy();
        writeln!(self.out, "Found {bytes} invalid bytes at the end of {name}")
    }

    fn offset_entry(&mut self, target: &Target, entry: &OffsetLine) -> io::Result<()> {
        if entry.batch_last_offset != Some(entry.offset) {
            let found = entry.batch_last_offset.map_or(-1, |offset| offset.0);
            tell(&mut self.index, &target.path, entry.offset.0, found);
        }
        writeln!(self.out, "offset: {} position: {}", entry.offset, entry.position)
    }

    fn time_entry(&mut self, target: &Target, entry: &TimeLine) -> io::Result<()> {
        match entry.batch {
            Some((last_offset, max_timestamp)) if last_offset == entry.offset => {
                if max_timestamp != entry.timestamp {
                    let (time, found) = (entry.timestamp.0, max_timestamp.0);
                    tell(&mut self.times, &target.path, time, found);
                }
                if self.previous_time >= entry.timestamp.0 {
                    let (time, previous) = (entry.timestamp.0, self.previous_time);
                    tell(&mut self.times_order, &target.path, time, previous);
                }
            }
            found => {
                let found = found.map_or(-1, |(offset, _)| offset.0);
                tell(&mut self.times_missing, &target.path, entry.offset.0, found);
            }
        }
        self.previous_time = entry.timestamp.0;
        writeln!(self.out, "timestamp: {} offset: {}", entry.timestamp, entry.offset)
    }

    fn aborted(&mut self, entry: &AbortedEntry) -> io::Result<()> {
        let AbortedEntry { version, producer_id, first_offset, last_offset, last_stable_offset } =
            entry;
        writeln!(
            self.out,
            "version: {version} producerId: {producer_id} firstOffset: {first_offset} \
             lastOffset: {last_offset} lastStableOffset: {last_stable_offset}"
        )
    }

    fn producer(&mut self, entry: &ProducerEntry) -> io::Result<()> {
        let first_offset = entry.txn_first_offset.map(|Offset(offset)| offset);
        let _ = write!(
            self.line,
            "producerId: {} producerEpoch: {} coordinatorEpoch: {} currentTxnFirstOffset: {} \
             lastTimestamp: {}",
            entry.id,
            entry.epoch,
            entry.coordinator_epoch,
            optional(first_offset),
            entry.timestamp,
        );
        if let Some(batch) = entry.batches().first() {
            let first = sequence_minus(batch.last_sequence, batch.offset_delta);
            let _ = write!(
                self.line,
                " firstSequence: {first} lastSequence: {} lastOffset: {} offsetDelta: {} \
                 timestamp: {}",
                batch.last_sequence, batch.last_offset, batch.offset_delta, batch.timestamp
            );
        }
        self.end_line()
    }

    fn epoch(&mut self, _: &EpochEntry) -> io::Result<()> {
        Ok(())
    }

    fn topic_id(&mut self, _: TopicId) -> io::Result<()> {
        Ok(())
    }

    fn empty(&mut self, target: &Target) -> io::Result<()> {
        match target.kind {
            TargetKind::OffsetIndex(_) => {
                writeln!(self.out, "{} is empty.", target.path.display())
            }
            _ => Ok(()),
        }
    }

    fn bad_file(&mut self, _: &Target, reason: &str) -> io::Result<()> {
        self.out.flush()?;
        eprintln!("{reason}");
        Ok(())
    }

    fn end(&mut self) -> io::Result<bool> {
        self.out.flush()?;
        // By offset, the largest first.
        self.index.sort_by(|a, b| (&a.path, -a.first).cmp(&(&b.path, -b.first)));
        print(&self.index, "Mismatches in :", "Index offset", "log offset");
        print(&self.times, "Found timestamp mismatch in :", "Index timestamp", "log timestamp");
        let order = "Found out of order timestamp in :";
        print(&self.times_order, order, "Index timestamp", "Previously indexed timestamp");
        let mut path = None;
        for told in &self.times_missing {
            if path.replace(&told.path) != Some(&told.path) {
                eprintln!("The following indexed offsets are not found in the log.");
            }
            eprintln!("Indexed offset: {}, found log offset: {}", told.first, told.second);
        }
        let mut path = None;
        for told in &self.gaps {
            if path.replace(&told.path) != Some(&told.path) {
                eprintln!("Non-consecutive offsets in {}", told.path.display());
            }
            eprintln!("  {} is followed by {}", told.first, told.second);
        }
        Ok(true)
    }
}

fn print(all: &[Told], head: &str, first: &str, second: &str) {
    let mut path = None;
    for told in all {
        if path.replace(&told.path) != Some(&told.path) {
            eprintln!("{head}{}", told.path.display());
        }
        eprintln!("  {first}: {}, {second}: {}", told.first, told.second);
    }
}
