//! The files of a log that was ended cleanly: they hold the batches of the model, byte for byte,
//! and their indexes say so.

use super::life::{DIR, FOLDER};
use super::model::{Batch, Model};
use crate::runtime::sim::World;

/// The segment file that holds the batch at `offset`, and where in it that begins.
pub fn place(world: &World, model: &Model, offset: i64) -> (String, u64) {
    let base = bases(world).into_iter().rfind(|base| *base <= offset).expect("a segment");
    let before = model.from(base).iter().take_while(|batch| batch.base < offset);
    let position = before.map(|batch| batch.bytes.len() as u64).sum();
    (format!("{DIR}/{FOLDER}/{base:020}.log"), position)
}

fn bases(world: &World) -> Vec<i64> {
    let names = world.names(0, &format!("{DIR}/{FOLDER}")).unwrap_or_default();
    let logs = names.iter().filter_map(|name| name.strip_suffix(".log"));
    logs.map(|base| base.parse().expect("a segment's name is its base offset")).collect()
}

/// Checks every segment in the partition's folder; how many there are.
pub fn check(world: &World, model: &Model, may_fail: bool) -> usize {
    let folder = format!("{DIR}/{FOLDER}");
    let names = world.names(0, &folder).unwrap_or_default();
    let is_left = |name: &String| name.strip_suffix(".tmp").is_some();
    assert!(may_fail || !names.iter().any(is_left), "{names:?}");
    let bases = bases(world);
    for (index, base) in bases.iter().enumerate() {
        // A roll that failed took its file away again; a power cut can bring that back, empty.
        let log = world.images(0, &format!("{folder}/{base:020}.log"));
        if may_fail && *base == model.end() && log.is_ok_and(|(cached, _)| cached.is_empty()) {
            continue;
        }
        let end = bases.get(index + 1).copied().unwrap_or(model.end());
        // Retention took it, and its removal was cut short: nobody reads what is in it.
        if end <= model.start && index + 1 < bases.len() {
            continue;
        }
        let path = format!("{folder}/{base:020}");
        // An index that could not be written is in memory, and is built again at the next start.
        let has_index = |kind: &str| names.contains(&format!("{base:020}.{kind}"));
        if may_fail && !(has_index("index") && has_index("timeindex")) {
            continue;
        }
        check_segment(world, model, &path, *base, end);
    }
    bases.len()
}

fn check_segment(world: &World, model: &Model, path: &str, base: i64, end: i64) {
    let read = |suffix: &str| {
        let (cached, durable) = world
            .images(0, &format!("{path}{suffix}"))
            .unwrap_or_else(|error| panic!("{path}{suffix}: {error}"));
        assert_eq!(cached, durable, "{path}{suffix} is synced");
        cached
    };
    let batches: Vec<&Batch> =
        model.from(base).iter().take_while(|batch| batch.base < end).collect();
    let expected: Vec<u8> = batches.iter().flat_map(|batch| batch.bytes.clone()).collect();
    assert!(read(".log") == expected, "{path}.log holds other bytes than were appended");
    let mut positions = Vec::new();
    let mut at = 0;
    for batch in &batches {
        positions.push((batch.last - base, at));
        at += batch.bytes.len() as i64;
    }
    let mut before = -1;
    for entry in read(".index").chunks(8) {
        let number = |raw: &[u8]| i64::from(u32::from_be_bytes(raw.try_into().unwrap()));
        let entry = (number(&entry[..4]), number(&entry[4..]));
        assert!(positions.contains(&entry), "{path}.index has {entry:?}");
        assert!(entry.0 > before, "{path}.index is not in order");
        before = entry.0;
    }
    check_times(&read(".timeindex"), &batches, base, path);
}

/// An entry is the largest time so far and a batch that has it; the last entry is the segment's.
fn check_times(bytes: &[u8], batches: &[&Batch], base: i64, path: &str) {
    let newest = |batch: &Batch| batch.times.iter().max().copied().unwrap_or_default();
    let mut before = -1;
    for entry in bytes.chunks(12) {
        let time = i64::from_be_bytes(entry[..8].try_into().unwrap());
        let last = base + i64::from(u32::from_be_bytes(entry[8..].try_into().unwrap()));
        let so_far = batches.iter().take_while(|batch| batch.last <= last);
        assert_eq!(
            so_far.map(|batch| newest(batch)).max(),
            Some(time),
            "{path}.timeindex at {last}"
        );
        assert!(time > before, "{path}.timeindex is not in order");
        before = time;
    }
    let newest = batches.iter().map(|batch| newest(batch)).max().unwrap_or(-1);
    assert_eq!(before, newest, "{path}.timeindex ends with the largest time");
}
