//! Walking one file and telling a layout what is in it.

use super::contents::{self, Contents};
use super::error::{BatchFault, DumpError};
use super::indexes::{AbortedEntries, OffsetEntries, TimeEntries};
use super::layout::{BatchLine, Layout, OffsetLine, RecordLine, TimeLine};
use super::segment_file::{Found, SegmentFile};
use super::targets::{Target, TargetKind};
use crate::log::epochs::Epochs;
use crate::log::names;
use crate::log::snapshot;
use crate::model::{Offset, Timestamp, Uuid};
use crate::record::batch::{NO_SEQUENCE, sequence_plus};
use crate::record::{BatchHeader, RecordView, TimestampType};
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

/// The most that a small file may hold: checkpoints and snapshots are far below.
pub const SMALL_FILE_BYTES_MAX: u64 = 64 << 20;

/// What is shown of records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    Batches,
    Records,
    /// With keys and values as they are.
    Bytes,
    /// With keys and values, decoded in the logs that brokers keep for themselves.
    Decoded,
}

/// Tells `layout` what is in a file.
pub fn walk(target: &Target, depth: Depth, layout: &mut dyn Layout) -> Result<(), DumpError> {
    layout.file(target)?;
    match target.kind {
        TargetKind::Log(_) | TargetKind::MetadataSnapshot { .. } => log(target, depth, layout),
        TargetKind::OffsetIndex(base) => offset_index(target, base, layout),
        TargetKind::TimeIndex(base) => time_index(target, base, layout),
        TargetKind::TxnIndex(_) => txn_index(target, layout),
        TargetKind::Producers(_) => producers(target, layout),
        TargetKind::Epochs => epochs(target, layout),
        TargetKind::PartitionMetadata => partition_metadata(target, layout),
    }
}

fn log(target: &Target, depth: Depth, layout: &mut dyn Layout) -> Result<(), DumpError> {
    let path = &target.path;
    let mut file = SegmentFile::open(path).map_err(DumpError::read(path))?;
    let contents = match (depth, &target.topic, target.kind) {
        (Depth::Decoded, _, TargetKind::MetadataSnapshot { .. }) => Some(Contents::Metadata),
        (Depth::Decoded, Some(topic), _) => Some(Contents::of_topic(topic)),
        (Depth::Decoded | Depth::Bytes, ..) => Some(Contents::Plain),
        (Depth::Batches | Depth::Records, ..) => None,
    };
    let mut position = 0;
    loop {
        let header = match file.at(position).map_err(DumpError::read(path))? {
            Found::Batch(header) => header,
            Found::End => return Ok(()),
            Found::Cut { .. } => {
                let left = file.len() - position;
                return Ok(layout.trailing(target, position, left)?);
            }
            Found::Bad(error) => {
                let reason = format!("position {position}: {error}");
                return Ok(layout.bad_file(target, &reason)?);
            }
        };
        let computed = file.checksum(position, &header).map_err(DumpError::read(path))?;
        let batch = BatchLine { position, header, is_valid: computed == header.crc };
        layout.batch(&batch)?;
        if depth != Depth::Batches
            && let Err(fault) = records(&mut file, &batch, contents, layout)?
        {
            layout.bad_records(&batch, &fault.to_string())?;
        }
        position += header.total_bytes() as u64;
    }
}

fn records(
    file: &mut SegmentFile,
    batch: &BatchLine,
    contents: Option<Contents>,
    layout: &mut dyn Layout,
) -> Result<Result<(), BatchFault>, DumpError> {
    let header = &batch.header;
    let mut records = match file.records(batch.position, header) {
        Ok(records) => records,
        Err(fault) => return Ok(Err(fault)),
    };
    // What follows the counted records is not the batch's, as Kafka sees it too.
    for index in 0..header.record_count.max(0) as usize {
        match records.next() {
            None => break,
            Some(Ok(view)) => layout.record(batch, &line(header, view, contents))?,
            Some(Err(source)) => return Ok(Err(BatchFault::Record { index, source })),
        }
    }
    Ok(Ok(()))
}

fn line<'a>(
    header: &BatchHeader,
    view: RecordView<'a>,
    contents: Option<Contents>,
) -> RecordLine<'a> {
    let offset = header.base_offset.plus(i64::from(view.offset_delta));
    let sequence = match header.base_sequence {
        first if first >= 0 => sequence_plus(first, view.offset_delta),
        _ => NO_SEQUENCE,
    };
    let is_control = header.attributes.is_control();
    RecordLine {
        offset,
        timestamp: time_of(header, &view),
        sequence,
        control: is_control.then(|| contents::control(&view)),
        contents: contents.filter(|_| !is_control).map(|how| how.show(offset.0, &view)),
        view,
    }
}

/// A record's time: the batch's where the broker set it.
pub fn time_of(header: &BatchHeader, record: &RecordView<'_>) -> Timestamp {
    match header.attributes.timestamp_type() {
        TimestampType::LogAppendTime => header.max_timestamp,
        TimestampType::CreateTime => {
            Timestamp(header.base_timestamp.0.wrapping_add(record.timestamp_delta))
        }
    }
}

/// The file of the same segment that ends otherwise.
pub fn sibling(path: &Path, base: Offset, kind: names::Kind) -> PathBuf {
    names::path(path.parent().unwrap_or(Path::new("")), base, kind)
}

fn offset_index(target: &Target, base: Offset, layout: &mut dyn Layout) -> Result<(), DumpError> {
    let path = &target.path;
    let mut entries = OffsetEntries::open(path).map_err(DumpError::read(path))?;
    let log = sibling(path, base, names::Kind::Log);
    let mut log = SegmentFile::open(&log).map_err(DumpError::read(&log))?;
    let mut is_empty = true;
    while let Some((index, entry)) = entries.next().map_err(DumpError::read(path))? {
        // Kafka's tool stops here too: what follows is the room of a broker that was killed.
        if index > 0 && entry.relative_offset == 0 {
            break;
        }
        is_empty = false;
        let found = log.at(u64::from(entry.position)).map_err(DumpError::read(path))?;
        let batch_last_offset = match found {
            Found::Batch(header) => Some(header.last_offset()),
            _ => None,
        };
        let offset = base.plus(i64::from(entry.relative_offset));
        let line = OffsetLine { offset, position: entry.position, batch_last_offset };
        layout.offset_entry(target, &line)?;
    }
    if is_empty {
        layout.empty(target)?;
    }
    Ok(())
}

fn time_index(target: &Target, base: Offset, layout: &mut dyn Layout) -> Result<(), DumpError> {
    let path = &target.path;
    let mut entries = TimeEntries::open(path).map_err(DumpError::read(path))?;
    let log_path = sibling(path, base, names::Kind::Log);
    let mut log = SegmentFile::open(&log_path).map_err(DumpError::read(&log_path))?;
    let (mut position, mut last, mut is_empty) = (0, base, true);
    while let Some((index, entry)) = entries.next().map_err(DumpError::read(path))? {
        if index > 0 && entry.relative_offset == 0 {
            break;
        }
        is_empty = false;
        let offset = base.plus(i64::from(entry.relative_offset));
        // Entries that do not ascend are looked for from the start.
        if offset < last {
            position = 0;
        }
        last = offset;
        let batch = loop {
            let found = log.at(position).map_err(DumpError::read(&log_path))?;
            let Found::Batch(header) = found else { break None };
            if header.last_offset() >= offset {
                break Some(header);
            }
            position += header.total_bytes() as u64;
        };
        let batch =
            batch.map(|header| (header.last_offset(), largest_time(&mut log, position, &header)));
        layout.time_entry(target, &TimeLine { timestamp: entry.timestamp, offset, batch })?;
    }
    if is_empty {
        layout.empty(target)?;
    }
    Ok(())
}

/// The largest time of a batch's records; that of its header where they cannot be read.
fn largest_time(log: &mut SegmentFile, position: u64, header: &BatchHeader) -> Timestamp {
    let Ok(records) = log.records(position, header) else { return header.max_timestamp };
    let times = records.map_while(Result::ok).map(|record| time_of(header, &record));
    times.max().unwrap_or(Timestamp::NONE)
}

fn txn_index(target: &Target, layout: &mut dyn Layout) -> Result<(), DumpError> {
    let path = &target.path;
    let mut entries = AbortedEntries::open(path).map_err(DumpError::read(path))?;
    while let Some((_, entry)) = entries.next().map_err(DumpError::read(path))? {
        layout.aborted(&entry)?;
    }
    Ok(())
}

fn producers(target: &Target, layout: &mut dyn Layout) -> Result<(), DumpError> {
    let bytes = read_small(&target.path).map_err(DumpError::read(&target.path))?;
    match snapshot::decode(&bytes) {
        Ok(entries) => {
            for entry in &entries {
                layout.producer(entry)?;
            }
            Ok(())
        }
        Err(error) => Ok(layout.bad_file(target, &error.to_string())?),
    }
}

fn epochs(target: &Target, layout: &mut dyn Layout) -> Result<(), DumpError> {
    match read_epochs(&target.path).map_err(DumpError::read(&target.path))? {
        Ok(epochs) => {
            for entry in epochs.entries() {
                layout.epoch(entry)?;
            }
            Ok(())
        }
        Err(reason) => Ok(layout.bad_file(target, &reason)?),
    }
}

fn partition_metadata(target: &Target, layout: &mut dyn Layout) -> Result<(), DumpError> {
    match read_topic_id(&target.path).map_err(DumpError::read(&target.path))? {
        Ok(id) => Ok(layout.topic_id(id)?),
        Err(reason) => Ok(layout.bad_file(target, &reason)?),
    }
}

/// The leader epochs of a checkpoint, or why it is none.
pub fn read_epochs(path: &Path) -> io::Result<Result<Epochs, String>> {
    let bytes = read_small(path)?;
    Ok(match String::from_utf8(bytes) {
        Ok(text) => Epochs::decode(&text).map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    })
}

/// The topic id of a partition.metadata, or why there is none.
pub fn read_topic_id(path: &Path) -> io::Result<Result<Uuid, String>> {
    let text = String::from_utf8_lossy(&read_small(path)?).into_owned();
    let value = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    Ok(match (value("version:"), value("topic_id:")) {
        (Some("0"), Some(id)) => Uuid::parse(id).ok_or_else(|| format!("{id:?} is no topic id")),
        (Some("0"), None) => Err("it names no topic id".to_owned()),
        (Some(version), _) => Err(format!("version {version:?} is not known")),
        (None, _) => Err("it names no version".to_owned()),
    })
}

/// A file as a whole, if it is small.
pub fn read_small(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(SMALL_FILE_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > SMALL_FILE_BYTES_MAX {
        let told = format!("more than {SMALL_FILE_BYTES_MAX} bytes, which no such file has");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, told));
    }
    Ok(bytes)
}
