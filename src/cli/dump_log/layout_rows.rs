//! One JSON object a line: `{"_cmd":"dump-log","_v":1,"data":{"kind":"batch",...}}`.

use super::contents::{Control, Shown};
use super::indexes::AbortedEntry;
use super::json::Json;
use super::layout::{BatchLine, Layout, OffsetLine, RecordLine, TimeLine};
use super::targets::Target;
use crate::log::{EpochEntry, ProducerEntry};
use crate::model::TopicId;
use crate::record::RecordView;
use serde::ser::{Serialize, SerializeMap as _, Serializer};
use serde_json::json;
use std::io::{self, Write};

pub struct RowsLayout<W> {
    out: W,
    file: String,
    is_whole: bool,
}

impl<W: Write> RowsLayout<W> {
    pub fn new(out: W) -> Self {
        Self { out, file: String::new(), is_whole: true }
    }

    fn row(&mut self, data: &impl Serialize) -> io::Result<()> {
        row(&mut self.out, data)
    }
}

/// Writes one row.
pub fn row(out: &mut impl Write, data: &impl Serialize) -> io::Result<()> {
    out.write_all(b"{\"_cmd\":\"dump-log\",\"_v\":1,\"data\":")?;
    serde_json::to_writer(&mut *out, data).map_err(io::Error::from)?;
    out.write_all(b"}\n")
}

impl<W: Write> Layout for RowsLayout<W> {
    fn file(&mut self, target: &Target) -> io::Result<()> {
        self.file = target.path.display().to_string();
        let row = json!({ "kind": "file", "file": self.file });
        self.row(&row)
    }

    fn batch(&mut self, batch: &BatchLine) -> io::Result<()> {
        let header = &batch.header;
        let attributes = header.attributes;
        let data = json!({
            "kind": "batch",
            "file": self.file,
            "position": batch.position,
            "size": header.total_bytes(),
            "base_offset": header.base_offset.0,
            "last_offset": header.last_offset().0,
            "count": header.record_count,
            "leader_epoch": header.leader_epoch.0,
            "timestamp_type": batch.timestamp_type(),
            "base_timestamp": header.base_timestamp.0,
            "max_timestamp": header.max_timestamp.0,
            "delete_horizon": batch.delete_horizon().map(|time| time.0),
            "codec": batch.codec(),
            "producer_id": header.producer_id.0,
            "producer_epoch": header.producer_epoch.0,
            "base_sequence": header.base_sequence,
            "last_sequence": header.last_sequence(),
            "transactional": attributes.is_transactional(),
            "control": attributes.is_control(),
            "crc": header.crc,
            "valid": batch.is_valid,
        });
        self.is_whole &= batch.is_valid;
        self.row(&data)
    }

    fn record(&mut self, _: &BatchLine, record: &RecordLine<'_>) -> io::Result<()> {
        row(&mut self.out, &RecordRow { record })
    }

    fn bad_records(&mut self, batch: &BatchLine, reason: &str) -> io::Result<()> {
        self.is_whole = false;
        let data = json!({
            "kind": "damage", "file": self.file, "position": batch.position,
            "offset": batch.header.base_offset.0, "reason": reason,
        });
        self.row(&data)
    }

    fn trailing(&mut self, _: &Target, position: u64, bytes: u64) -> io::Result<()> {
        self.is_whole = false;
        let data = json!({
            "kind": "damage", "file": self.file, "position": position, "bytes": bytes,
            "reason": format!("{bytes} bytes are no whole batch"),
        });
        self.row(&data)
    }

    fn offset_entry(&mut self, _: &Target, entry: &OffsetLine) -> io::Result<()> {
        let is_valid = entry.batch_last_offset == Some(entry.offset);
        self.is_whole &= is_valid;
        let data = json!({
            "kind": "offset_entry", "file": self.file, "offset": entry.offset.0,
            "position": entry.position, "valid": is_valid,
        });
        self.row(&data)
    }

    fn time_entry(&mut self, _: &Target, entry: &TimeLine) -> io::Result<()> {
        let is_valid = entry.batch == Some((entry.offset, entry.timestamp));
        self.is_whole &= is_valid;
        let data = json!({
            "kind": "time_entry", "file": self.file, "timestamp": entry.timestamp.0,
            "offset": entry.offset.0, "valid": is_valid,
        });
        self.row(&data)
    }

    fn aborted(&mut self, entry: &AbortedEntry) -> io::Result<()> {
        let data = json!({
            "kind": "aborted", "file": self.file, "producer_id": entry.producer_id.0,
            "first_offset": entry.first_offset.0, "last_offset": entry.last_offset.0,
            "last_stable_offset": entry.last_stable_offset.0,
        });
        self.row(&data)
    }

    fn producer(&mut self, entry: &ProducerEntry) -> io::Result<()> {
        let batch = entry.batches().first();
        let data = json!({
            "kind": "producer", "file": self.file, "producer_id": entry.id.0,
            "producer_epoch": entry.epoch.0, "coordinator_epoch": entry.coordinator_epoch,
            "txn_first_offset": entry.txn_first_offset.map(|offset| offset.0),
            "timestamp": entry.timestamp.0,
            "last_sequence": batch.map(|batch| batch.last_sequence),
            "last_offset": batch.map(|batch| batch.last_offset.0),
            "offset_delta": batch.map(|batch| batch.offset_delta),
        });
        self.row(&data)
    }

    fn epoch(&mut self, entry: &EpochEntry) -> io::Result<()> {
        let data = json!({
            "kind": "leader_epoch", "file": self.file, "leader_epoch": entry.epoch.0,
            "start_offset": entry.start_offset.0,
        });
        self.row(&data)
    }

    fn topic_id(&mut self, id: TopicId) -> io::Result<()> {
        let data = json!({ "kind": "partition", "file": self.file, "topic_id": id.to_string() });
        self.row(&data)
    }

    fn empty(&mut self, _: &Target) -> io::Result<()> {
        Ok(())
    }

    fn bad_file(&mut self, _: &Target, reason: &str) -> io::Result<()> {
        self.is_whole = false;
        let data = json!({ "kind": "damage", "file": self.file, "reason": reason });
        self.row(&data)
    }

    fn end(&mut self) -> io::Result<bool> {
        self.out.flush()?;
        Ok(self.is_whole)
    }
}

struct RecordRow<'r, 'a> {
    record: &'r RecordLine<'a>,
}

impl Serialize for RecordRow<'_, '_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let record = self.record;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("kind", "record")?;
        map.serialize_entry("offset", &record.offset.0)?;
        map.serialize_entry("timestamp", &record.timestamp.0)?;
        map.serialize_entry("sequence", &record.sequence)?;
        map.serialize_entry("key_size", &record.view.key.map(<[u8]>::len))?;
        map.serialize_entry("value_size", &record.view.value.map(<[u8]>::len))?;
        map.serialize_entry("headers", &Headers { view: &record.view })?;
        match (&record.control, &record.contents) {
            (Some(control), _) => map.serialize_entry("control", &ControlRow { control })?,
            (None, Some((key, value))) => {
                map.serialize_entry("key", key)?;
                map.serialize_entry("value", value)?;
            }
            (None, None) => {}
        }
        map.end()
    }
}

/// Headers in their order, each with its key: equal keys stay apart.
struct Headers<'r, 'a> {
    view: &'r RecordView<'a>,
}

impl Serialize for Headers<'_, '_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(
            self.view.headers().map(|header| Header { key: header.key, value: header.value }),
        )
    }
}

struct Header<'a> {
    key: &'a str,
    value: Option<&'a [u8]>,
}

impl Serialize for Header<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("key", self.key)?;
        map.serialize_entry("value", &self.value.map(Shown::Bytes))?;
        map.end()
    }
}

struct ControlRow<'r, 'a> {
    control: &'r Control<'a>,
}

impl Serialize for ControlRow<'_, '_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        match self.control {
            Control::EndTxn(marker) => {
                map.serialize_entry("type", if marker.commit { "COMMIT" } else { "ABORT" })?;
                map.serialize_entry("coordinator_epoch", &marker.coordinator_epoch)?;
            }
            Control::Tree(kind, tree) => {
                map.serialize_entry("type", super::layout_text::control_name(*kind))?;
                map.serialize_entry("data", &Json(tree))?;
            }
            Control::Unknown(number) => map.serialize_entry("type", number)?,
            Control::Unreadable(reason) => map.serialize_entry("unreadable", reason)?,
        }
        map.end()
    }
}
