//! The simulated world: a clock that jumps, a disk that forgets what was not synced, a network
//! that delays, and any number of hosts and cores, all on the calling thread and all drawn from
//! one seed. The same seed gives the same history.
//!
//! Hosted code runs in it unchanged: its operations go to [`Sim`] instead of a ring. A
//! [`World`] lets its cores take turns; when none has anything to do, time jumps to the next
//! completion or timer.
//!
//! ```text
//! Core --Op--> Sim --Job--> State [ events by time | disks | network ] --Done--> Sim --> Core
//! ```
//!
//! A test makes a world, runs tasks on its cores, and may end a host at any moment:
//!
//! ```text
//! let mut world = World::new(seed);
//! world.set_faults(Faults::rough());
//! let core = world.core();                       // host 0; more hosts and cores: `boot`
//! world.run(&core, write_some(core.clone()));    // until the task is done
//! core.spawn(write_for_ever(core.clone()));
//! world.run_completions(17);                     // then, between any two completions,
//! world.crash(0);                                // the power is cut (`kill`: the process ends)
//! let core = world.core();                       // and a new process looks at what is left
//! ```
//!
//! What a power cut leaves: what was synced; of each unsynced write any of its sectors; file
//! lengths between old and new; a prefix of the unsynced changes of names (any subset of them with
//! `names_any_order`), each rename whole. A failed write-back loses its pages although reads still
//! show them, and is told once to each open handle, as in Linux.

mod content;
mod disk;
mod driver;
mod faults;
mod job;
mod network;
mod state;
#[cfg(test)]
mod tests;
mod world;

pub(super) use driver::Sim;
pub use faults::{Call, DiskFaults, Faults, NetworkFaults, Odds, Span, Trap};
pub(super) use network::SimSocket;
pub use world::{World, WorldOptions};
