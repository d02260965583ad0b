//! `highwater dump-log`: its arguments, and the run.

use super::error::DumpError;
use super::finding::{Finding, Teller};
use super::layout::Layout;
use super::layout_kafka::KafkaLayout;
use super::layout_rows::{self, RowsLayout};
use super::layout_text::TextLayout;
use super::targets::targets;
use super::verify::{Rules, Summary, verify};
use super::walk::{Depth, walk};
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use serde_json::json;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// Show what lies in a log's files, or verify them; no broker is needed.
///
/// A path is a file (.log, .index, .timeindex, .txnindex, .snapshot, .checkpoint,
/// leader-epoch-checkpoint, partition.metadata), a partition's folder, or a data directory. Files
/// are only read; a running broker may have them open.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct DumpLogArgs {
    /// Files, partitions' folders, data directories
    #[arg(required = true, value_name = "FILE|DIR")]
    paths: Vec<PathBuf>,

    /// Show every record: offset, time, sizes, header keys; with --verify, check every record
    #[arg(long)]
    deep: bool,

    /// Show every record with what it says: groups, commits and metadata decoded, else key and value
    #[arg(long)]
    records: bool,

    /// Show every record with its key and value as they are
    #[arg(long, conflicts_with = "records")]
    keys_values: bool,

    /// Lines for people, JSON rows, or the lines of Kafka's own dump tool
    #[arg(long, value_enum, default_value_t = DumpFormat::Text)]
    format: DumpFormat,

    /// Of a folder, show the entries of indexes too
    #[arg(long)]
    index: bool,

    /// Check instead of showing: checksums, offsets, epochs, indexes, snapshots; ends with 9 if
    /// something is damaged
    #[arg(long, conflicts_with_all = ["records", "keys_values", "index"])]
    verify: bool,

    /// With --verify: offsets may be missing, as compaction leaves them (known by itself where the
    /// data directory remembers it)
    #[arg(long, requires = "verify")]
    compacted: bool,
}

const EXAMPLES: &str = "\
Examples:
  highwater dump-log data/orders-0
  highwater dump-log --records data/__consumer_offsets-12
  highwater dump-log --verify data
  highwater dump-log --format kafka --deep data/orders-0/00000000000000000000.log

Exit status: 0 whole, 9 something is damaged";

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum DumpFormat {
    Text,
    Json,
    Kafka,
}

/// Runs the command.
pub fn run(args: &DumpLogArgs) -> Result<Exit, Failure> {
    let out = BufWriter::with_capacity(1 << 16, io::stdout().lock());
    let is_whole = if args.verify {
        verify_all(args, out)
    } else {
        match args.format {
            DumpFormat::Text => show(args, &mut TextLayout::new(out)),
            DumpFormat::Json => show(args, &mut RowsLayout::new(out)),
            DumpFormat::Kafka => show(args, &mut KafkaLayout::new(out)),
        }
    };
    Ok(if is_whole? { Exit::Done } else { Exit::Corrupt })
}

fn show(args: &DumpLogArgs, layout: &mut dyn Layout) -> Result<bool, DumpError> {
    let depth = match args {
        DumpLogArgs { records: true, .. } => Depth::Decoded,
        DumpLogArgs { keys_values: true, .. } => Depth::Bytes,
        DumpLogArgs { deep: true, .. } => Depth::Records,
        _ => Depth::Batches,
    };
    for path in &args.paths {
        for target in targets(path, args.index)? {
            walk(&target, depth, layout)?;
        }
    }
    Ok(layout.end()?)
}

fn verify_all(args: &DumpLogArgs, out: impl Write) -> Result<bool, DumpError> {
    let rules = Rules { deep: args.deep, compacted: args.compacted };
    let mut report = Report { out, is_json: args.format == DumpFormat::Json };
    let mut is_whole = true;
    for path in &args.paths {
        let summary = verify(path, rules, &mut report)?;
        report.summary(path, &summary)?;
        is_whole &= summary.damaged == 0;
    }
    report.out.flush()?;
    Ok(is_whole)
}

/// Prints findings as they come.
struct Report<W> {
    out: W,
    is_json: bool,
}

impl<W: Write> Teller for Report<W> {
    fn tell(&mut self, finding: &Finding) -> io::Result<()> {
        if self.is_json {
            layout_rows::row(&mut self.out, &finding.json())?;
        } else {
            writeln!(self.out, "{}", finding.text())?;
        }
        // A data directory takes its time; what is found is told at once.
        self.out.flush()
    }
}

impl<W: Write> Report<W> {
    fn summary(&mut self, path: &Path, summary: &Summary) -> io::Result<()> {
        let Summary { partitions, logs, batches, records, bytes, damaged, notes } = summary;
        if self.is_json {
            let data = json!({
                "kind": "summary", "path": path.display().to_string(), "partitions": partitions,
                "logs": logs, "batches": batches, "records": records, "bytes": bytes,
                "damaged": damaged, "notes": notes,
            });
            return layout_rows::row(&mut self.out, &data);
        }
        let verdict = match damaged {
            0 => "whole".to_owned(),
            1 => "DAMAGED in one place".to_owned(),
            many => format!("DAMAGED in {many} places"),
        };
        let path = path.display();
        writeln!(
            self.out,
            "{path}: {verdict} ({partitions} partitions, {logs} logs, {batches} batches, {bytes} bytes)"
        )
    }
}
