//! Kinds of histories: how lives end in them, and what goes wrong meanwhile.

use super::model::End;
use crate::base::Random;
use crate::runtime::sim::{Faults, Odds};

#[derive(Clone, Copy, Debug)]
pub struct Kind {
    pub name: &'static str,
    /// What a history of this kind shows.
    pub what: &'static str,
    pub(super) ends: &'static [End],
    pub(super) faults: fn(&mut Random) -> Faults,
    /// Calls may fail: then the log may refuse, but what it promised must hold.
    pub(super) may_fail: bool,
    /// At the end bits of the log rot.
    pub(super) rots: bool,
}

const ANY_END: &[End] = &[End::Power, End::Kill, End::Clean];

impl Kind {
    pub const CLEAN: Self = Self {
        name: "clean",
        what: "a log that is closed and opened again holds what was appended",
        ends: &[End::Clean],
        faults: rough,
        may_fail: false,
        rots: false,
    };
    pub const KILL: Self = Self {
        name: "kill",
        what: "a killed process loses nothing that was written",
        ends: &[End::Kill, End::Clean],
        ..Self::CLEAN
    };
    pub const POWER: Self = Self {
        name: "power",
        what: "a power cut loses nothing that was synced and shows nothing torn",
        ends: ANY_END,
        ..Self::CLEAN
    };
    pub const NAMES: Self = Self {
        name: "names",
        what: "a power cut may keep any of the names that were not synced",
        ends: ANY_END,
        faults: shuffled,
        ..Self::CLEAN
    };
    pub const FAILING: Self = Self {
        name: "failing",
        what: "a failing disk costs no acknowledged record",
        ends: ANY_END,
        faults: failing,
        may_fail: true,
        ..Self::CLEAN
    };
    pub const ROT: Self = Self {
        name: "rot",
        what: "rot costs only the batch that it hit",
        rots: true,
        ..Self::CLEAN
    };
    pub const ALL: [Self; 6] =
        [Self::CLEAN, Self::KILL, Self::POWER, Self::NAMES, Self::FAILING, Self::ROT];

    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name == name)
    }

    /// Whether lives of this kind may end in a crash.
    pub fn crashes(&self) -> bool {
        self.ends.iter().any(|end| *end != End::Clean)
    }
}

fn rough(_: &mut Random) -> Faults {
    Faults::rough()
}

/// A power cut keeps any of the names that no sync has covered.
fn shuffled(_: &mut Random) -> Faults {
    let mut faults = Faults::rough();
    faults.disk.names_any_order = true;
    faults
}

fn failing(random: &mut Random) -> Faults {
    let mut faults = Faults::rough();
    let mut odds =
        |most: u64| Odds(if random.chance(1, 3) { random.below(most) as u16 } else { 0 });
    faults.disk.write_error = odds(200);
    faults.disk.sync_error = odds(300);
    faults.disk.name_error = odds(100);
    faults.disk.read_error = odds(100);
    faults.disk.names_any_order = random.chance(1, 2);
    if random.chance(1, 4) {
        faults.disk.capacity = Some(random.between(2_000, 60_000));
    }
    faults
}
