//! One simulated file's bytes: what reads see, what is on the platter, and what a power cut makes
//! of the difference.
//!
//! ```text
//! durable  ---- pending[0] ---- pending[1] ---- ... ---->  cached
//! ```
//! `cached` is `durable` with all pending changes applied. A write-back takes a page as it is at
//! that moment, so after a power cut every touched sector shows some prefix of its own changes.

use crate::base::Random;
use std::collections::BTreeMap;

#[derive(Debug, Default)]
pub(super) struct Content {
    cached: Vec<u8>,
    durable: Vec<u8>,
    pending: Vec<Change>,
    /// Write-back of at least this much was asked for: likelier on the platter, but no promise.
    paced_to: u64,
    /// Write-backs that failed; each open handle is told once of what is new since its last sync.
    error_count: u64,
}

#[derive(Debug)]
struct Change {
    number: u64,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Write {
        at: usize,
        bytes: Vec<u8>,
    },
    /// The file is cut, or grown with zeros, to this length.
    Length(usize),
}

impl Kind {
    fn apply(&self, image: &mut Vec<u8>) {
        match self {
            Self::Write { at, bytes } => {
                let end = at + bytes.len();
                image.resize(image.len().max(end), 0);
                image[*at..end].copy_from_slice(bytes);
            }
            Self::Length(len) => image.resize(*len, 0),
        }
    }

    /// Applies the part that lies in `[from, from + sector)`, leaving the length alone.
    fn apply_within(&self, image: &mut [u8], from: usize, sector: usize) {
        let to = (from + sector).min(image.len());
        match self {
            Self::Write { at, bytes } => {
                let (start, end) = ((*at).max(from), (at + bytes.len()).min(to));
                if start < end {
                    image[start..end].copy_from_slice(&bytes[start - at..end - at]);
                }
            }
            Self::Length(len) => {
                let start = (*len).max(from);
                if start < to {
                    image[start..to].fill(0);
                }
            }
        }
    }
}

impl Content {
    pub fn len(&self) -> u64 {
        self.cached.len() as u64
    }

    pub fn cached(&self) -> &[u8] {
        &self.cached
    }

    pub fn durable(&self) -> &[u8] {
        &self.durable
    }

    pub fn read(&self, at: u64, len: usize) -> &[u8] {
        let start = usize::try_from(at).unwrap_or(usize::MAX).min(self.cached.len());
        &self.cached[start..self.cached.len().min(start.saturating_add(len))]
    }

    pub fn write(&mut self, number: u64, at: u64, bytes: Vec<u8>) {
        self.change(number, Kind::Write { at: at as usize, bytes });
    }

    pub fn set_len(&mut self, number: u64, len: u64) {
        self.change(number, Kind::Length(len as usize));
    }

    fn change(&mut self, number: u64, kind: Kind) {
        kind.apply(&mut self.cached);
        self.pending.push(Change { number, kind });
    }

    /// Flips bits of one byte on the platter, and in the cache if it is clean there.
    pub fn rot(&mut self, at: u64, mask: u8) {
        let at = at as usize;
        if let Some(byte) = self.durable.get_mut(at) {
            *byte ^= mask;
        }
        let is_dirty = self.pending.iter().any(|change| match &change.kind {
            Kind::Write { at: start, bytes } => (*start..start + bytes.len()).contains(&at),
            Kind::Length(len) => at >= *len,
        });
        if !is_dirty && let Some(byte) = self.cached.get_mut(at) {
            *byte ^= mask;
        }
    }

    /// All changes with numbers up to `last` reach the platter.
    pub fn sync(&mut self, last: u64) {
        let count = self.pending.partition_point(|change| change.number <= last);
        for change in self.pending.drain(..count) {
            change.kind.apply(&mut self.durable);
        }
    }

    /// A failed write-back: the pages are clean from now on, whether they reached the platter or
    /// not. Reads still see them, and no later sync brings them back.
    pub fn lose(&mut self, last: u64, random: &mut Random) {
        let count = self.pending.partition_point(|change| change.number <= last);
        let lost: Vec<Change> = self.pending.drain(..count).collect();
        self.error_count += 1;
        self.durable = torn(&self.durable, &lost, 0, random);
    }

    pub fn pace(&mut self, to: u64) {
        self.paced_to = self.paced_to.max(to);
    }

    pub fn error_count(&self) -> u64 {
        self.error_count
    }

    /// The power is cut.
    pub fn crash(&mut self, random: &mut Random) {
        self.durable = torn(&self.durable, &self.pending, self.paced_to, random);
        self.cached.clone_from(&self.durable);
        self.pending.clear();
        self.paced_to = 0;
        self.error_count = 0;
    }
}

/// What a power cut may leave of `base` and changes that were not synced.
fn torn(base: &[u8], changes: &[Change], paced_to: u64, random: &mut Random) -> Vec<u8> {
    if changes.is_empty() {
        return base.to_vec();
    }
    // Lengths are set by transactions, in order; what was written after one that did not make it
    // went to blocks that the file does not have.
    let cuts: Vec<usize> = (0..changes.len())
        .filter(|index| matches!(changes[*index].kind, Kind::Length(_)))
        .collect();
    let survived = random.below(cuts.len() as u64 + 1) as usize;
    let changes = &changes[..cuts.get(survived).copied().unwrap_or(changes.len())];
    let first_write = if survived == 0 { 0 } else { cuts[survived - 1] + 1 };

    let mut image = base.to_vec();
    let mut len = base.len();
    let mut len_max = len;
    let mut steps = Vec::new();
    for (index, change) in changes.iter().enumerate() {
        len = match &change.kind {
            Kind::Write { at, bytes } => len.max(at + bytes.len()),
            Kind::Length(new) => *new,
        };
        len_max = len_max.max(len);
        if index + 1 >= first_write {
            steps.push(len);
        }
    }
    image.resize(len_max, 0);
    let sector = if random.chance(1, 2) { 512 } else { 4096 };
    for (place, touching) in touched(changes, sector, len_max) {
        let least = touching.partition_point(|index| *index < first_write);
        let is_likely = ((place * sector) as u64) < paced_to && random.chance(3, 4);
        let count = if is_likely {
            touching.len()
        } else {
            random.between(least as u64, touching.len() as u64) as usize
        };
        for index in &touching[..count] {
            changes[*index].kind.apply_within(&mut image, place * sector, sector);
        }
    }
    let shortest = if first_write == 0 { base.len() } else { steps[0] };
    let longest = steps.last().copied().unwrap_or(base.len()).max(shortest);
    image.resize(surviving_len(shortest, longest, &steps, sector, random), 0);
    image
}

/// The changes that touch each sector, by index.
fn touched(changes: &[Change], sector: usize, len_max: usize) -> BTreeMap<usize, Vec<usize>> {
    let mut map: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (index, change) in changes.iter().enumerate() {
        let (start, end) = match &change.kind {
            Kind::Write { at, bytes } => (*at, at + bytes.len()),
            Kind::Length(len) => (*len, len_max),
        };
        if start < end {
            (start / sector..=(end - 1) / sector)
                .for_each(|s| map.entry(s).or_default().push(index));
        }
    }
    map
}

/// A length between the old and the new: either, the end of a write, or the end of a page that
/// was written back.
fn surviving_len(
    shortest: usize,
    longest: usize,
    steps: &[usize],
    sector: usize,
    random: &mut Random,
) -> usize {
    match random.below(4) {
        0 => shortest,
        1 => longest,
        2 => random.pick(steps).map_or(shortest, |step| (*step).clamp(shortest, longest)),
        _ => {
            let any = random.between(shortest as u64, longest as u64) as usize;
            any.next_multiple_of(sector).clamp(shortest, longest)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(parts: &[(u64, &[u8])]) -> Content {
        let mut content = Content::default();
        for (number, (at, bytes)) in parts.iter().enumerate() {
            content.write(number as u64 + 1, *at, bytes.to_vec());
        }
        content
    }

    #[test]
    fn what_was_synced_survives_every_power_cut() {
        for seed in 0..200 {
            let mut content = written(&[(0, &[1; 3000]), (3000, &[2; 3000])]);
            content.sync(2);
            content.write(3, 6000, vec![3; 5000]);
            content.crash(&mut Random::new(seed));
            assert_eq!(content.read(0, 6000), [[1; 3000], [2; 3000]].concat());
            assert!((6000..=11_000).contains(&content.len()));
            assert!(content.read(6000, 5000).iter().all(|byte| *byte == 0 || *byte == 3));
        }
    }

    #[test]
    fn an_unsynced_write_is_kept_lost_and_torn_by_some_seed() {
        let (mut kept, mut lost, mut torn) = (0, 0, 0);
        for seed in 0..200 {
            let mut content = written(&[(0, &[7; 4096])]);
            content.crash(&mut Random::new(seed));
            let image = content.cached();
            let is_kept = image == [7; 4096];
            let is_lost = image.iter().all(|byte| *byte == 0);
            kept += u32::from(is_kept);
            lost += u32::from(is_lost);
            torn += u32::from(!is_kept && !is_lost);
        }
        assert!(kept > 10 && lost > 10 && torn > 10, "{kept} {lost} {torn}");
    }

    #[test]
    fn a_sync_covers_only_what_was_written_before_it() {
        let mut content = written(&[(0, b"aaaa"), (4, b"bbbb")]);
        content.sync(1);
        assert_eq!((content.durable(), content.cached()), (&b"aaaa"[..], &b"aaaabbbb"[..]));
    }

    #[test]
    fn after_a_failed_write_back_no_sync_brings_the_pages_back() {
        let mut was_lost = false;
        for seed in 0..50 {
            let mut content = written(&[(0, &[7; 600])]);
            content.lose(1, &mut Random::new(seed));
            content.sync(u64::MAX);
            assert_eq!(content.cached(), [7; 600]);
            content.crash(&mut Random::new(seed));
            was_lost |= content.cached() != [7; 600];
        }
        assert!(was_lost);
    }

    #[test]
    fn a_cut_file_keeps_its_head_and_never_shows_what_came_after_a_lost_cut() {
        for seed in 0..200 {
            let mut content = written(&[(0, &[1; 2000])]);
            content.sync(1);
            content.set_len(2, 1000);
            content.write(3, 1000, vec![2; 1000]);
            content.crash(&mut Random::new(seed));
            let image = content.cached();
            assert_eq!(image[..1000], [1; 1000]);
            let rest = &image[1000..];
            let not_cut = rest.len() == 1000 && rest.iter().all(|byte| *byte == 1);
            assert!(not_cut || rest.iter().all(|byte| *byte == 0 || *byte == 2), "{rest:?}");
        }
    }
}
