//! Lines for people: a file's name, what lies in it indented below.

use super::contents::Control;
use super::indexes::AbortedEntry;
use super::layout::{BatchLine, Layout, OffsetLine, RecordLine, TimeLine};
use super::targets::{Target, TargetKind};
use crate::cli::output::visible;
use crate::log::{EpochEntry, ProducerEntry};
use crate::model::{Timestamp, TopicId};
use crate::record::ControlType;
use std::io::{self, Write};

pub struct TextLayout<W> {
    out: W,
    is_whole: bool,
}

impl<W: Write> TextLayout<W> {
    pub fn new(out: W) -> Self {
        Self { out, is_whole: true }
    }
}

/// What kind of control record it is, in Kafka's words.
pub fn control_name(kind: ControlType) -> &'static str {
    match kind {
        ControlType::Abort => "ABORT",
        ControlType::Commit => "COMMIT",
        ControlType::LeaderChange => "LEADER_CHANGE",
        ControlType::SnapshotHeader => "SNAPSHOT_HEADER",
        ControlType::SnapshotFooter => "SNAPSHOT_FOOTER",
        ControlType::KraftVersion => "KRAFT_VERSION",
        ControlType::KraftVoters => "KRAFT_VOTERS",
        ControlType::Unknown(_) => "UNKNOWN",
    }
}

fn control_text(control: &Control<'_>) -> String {
    match control {
        Control::EndTxn(marker) => {
            let kind = if marker.commit { "COMMIT" } else { "ABORT" };
            format!("{kind} coordinator epoch {}", marker.coordinator_epoch)
        }
        Control::Tree(kind, tree) => {
            format!("{} {}", control_name(*kind), super::json::text(tree))
        }
        Control::Unknown(number) => format!("control record of type {number}"),
        Control::Unreadable(reason) => format!("control record that cannot be read: {reason}"),
    }
}

fn time(at: Timestamp) -> String {
    if at == Timestamp::NONE { "none".to_owned() } else { at.to_string() }
}

impl<W: Write> Layout for TextLayout<W> {
    fn file(&mut self, target: &Target) -> io::Result<()> {
        writeln!(self.out, "{}", target.path.display())
    }

    fn batch(&mut self, batch: &BatchLine) -> io::Result<()> {
        let BatchLine { position, header, is_valid } = batch;
        let (attributes, bytes) = (header.attributes, header.total_bytes());
        write!(
            self.out,
            "  offsets {}-{}  position {position}  {bytes} bytes  {} records  {}  {} {}  epoch {}",
            header.base_offset,
            header.last_offset(),
            header.record_count,
            batch.codec(),
            batch.timestamp_type(),
            time(header.max_timestamp),
            header.leader_epoch,
        )?;
        if header.has_producer() {
            let (first, last) = (header.base_sequence, header.last_sequence());
            let (id, epoch) = (header.producer_id, header.producer_epoch);
            write!(self.out, "  producer {id}/{epoch} sequence {first}-{last}")?;
        }
        if attributes.is_transactional() {
            self.out.write_all(b"  transactional")?;
        }
        if attributes.is_control() {
            self.out.write_all(b"  control")?;
        }
        if let Some(horizon) = batch.delete_horizon() {
            write!(self.out, "  delete horizon {horizon}")?;
        }
        if !is_valid {
            self.is_whole = false;
            write!(self.out, "  DAMAGED: its CRC-32C is not {:#010x}", header.crc)?;
        }
        self.out.write_all(b"\n")
    }

    fn record(&mut self, _: &BatchLine, record: &RecordLine<'_>) -> io::Result<()> {
        let size = |bytes: Option<&[u8]>| match bytes {
            Some(bytes) => format!("{} bytes", bytes.len()),
            None => "null".to_owned(),
        };
        let (key, value) = (size(record.view.key), size(record.view.value));
        let (offset, at) = (record.offset, time(record.timestamp));
        write!(self.out, "    offset {offset}  time {at}  key {key}  value {value}")?;
        for (index, header) in record.view.headers().enumerate() {
            let before = if index == 0 { "  headers " } else { "," };
            write!(self.out, "{before}{}", visible(header.key))?;
        }
        if let Some(control) = &record.control {
            write!(self.out, "  {}", control_text(control))?;
        } else if let Some((key, value)) = &record.contents {
            for (name, shown) in [("key", key), ("value", value)] {
                if let Some(shown) = shown {
                    write!(self.out, "  {name}={}", visible(&shown.text()))?;
                }
            }
        }
        self.out.write_all(b"\n")
    }

    fn bad_records(&mut self, _: &BatchLine, reason: &str) -> io::Result<()> {
        self.is_whole = false;
        writeln!(self.out, "    DAMAGED: its records cannot be read: {reason}")
    }

    fn trailing(&mut self, _: &Target, position: u64, bytes: u64) -> io::Result<()> {
        self.is_whole = false;
        writeln!(
            self.out,
            "  DAMAGED: {bytes} bytes from position {position} on are no whole batch"
        )
    }

    fn offset_entry(&mut self, _: &Target, entry: &OffsetLine) -> io::Result<()> {
        write!(self.out, "  offset {}  position {}", entry.offset, entry.position)?;
        match entry.batch_last_offset {
            Some(found) if found == entry.offset => self.out.write_all(b"\n"),
            found => {
                self.is_whole = false;
                let found = found.map_or("none".to_owned(), |offset| format!("one up to {offset}"));
                writeln!(self.out, "  DAMAGED: the batch there is {found}")
            }
        }
    }

    fn time_entry(&mut self, _: &Target, entry: &TimeLine) -> io::Result<()> {
        write!(self.out, "  time {}  offset {}", entry.timestamp, entry.offset)?;
        match entry.batch {
            Some(found) if found == (entry.offset, entry.timestamp) => self.out.write_all(b"\n"),
            Some((offset, timestamp)) => {
                self.is_whole = false;
                writeln!(self.out, "  DAMAGED: the batch up to {offset} has the time {timestamp}")
            }
            None => {
                self.is_whole = false;
                writeln!(self.out, "  DAMAGED: no batch reaches this offset")
            }
        }
    }

    fn aborted(&mut self, entry: &AbortedEntry) -> io::Result<()> {
        let AbortedEntry { producer_id, first_offset, last_offset, last_stable_offset, .. } = entry;
        writeln!(
            self.out,
            "  aborted: producer {producer_id}  offsets {first_offset}-{last_offset}  \
             last stable offset {last_stable_offset}"
        )
    }

    fn producer(&mut self, entry: &ProducerEntry) -> io::Result<()> {
        let (id, epoch, at) = (entry.id, entry.epoch, time(entry.timestamp));
        write!(self.out, "  producer {id}/{epoch}  time {at}")?;
        if let Some(batch) = entry.batches().first() {
            let (sequence, offset) = (batch.last_sequence, batch.last_offset);
            write!(self.out, "  last sequence {sequence} at offset {offset}")?;
        }
        if let Some(offset) = entry.txn_first_offset {
            write!(self.out, "  transaction open since offset {offset}")?;
        }
        self.out.write_all(b"\n")
    }

    fn epoch(&mut self, entry: &EpochEntry) -> io::Result<()> {
        writeln!(self.out, "  leader epoch {} from offset {}", entry.epoch, entry.start_offset)
    }

    fn topic_id(&mut self, id: TopicId) -> io::Result<()> {
        writeln!(self.out, "  topic id {id}")
    }

    fn empty(&mut self, target: &Target) -> io::Result<()> {
        match target.kind {
            TargetKind::OffsetIndex(_) | TargetKind::TimeIndex(_) => {
                self.out.write_all(b"  no entries\n")
            }
            _ => Ok(()),
        }
    }

    fn bad_file(&mut self, _: &Target, reason: &str) -> io::Result<()> {
        self.is_whole = false;
        writeln!(self.out, "  DAMAGED: {reason}")
    }

    fn end(&mut self) -> io::Result<bool> {
        self.out.flush()?;
        Ok(self.is_whole)
    }
}
