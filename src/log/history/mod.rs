//! The log against a model, in the simulated world: random histories of appends, syncs, reads,
//! retention, clean ends, kills and power cuts, with and without a failing disk.
//!
//! `cargo test` runs a few dozen seeds of each kind, `ci/test sim` thousands, and
//! `cargo run --features sim -- sim log --seeds 100000` as many as wanted; with `--seed 17 --kind
//! power` it tells the completions of one. What a history is made of comes from its seed alone, so
//! the same seed gives the same history, completion by completion.
//!
//! ```text
//! seed -> history: life, life, life ...       a life is one run of the process:
//!         open, compare with the model, random work, end (clean, killed, power cut)
//! ```
//!
//! Two things say what a sweep is worth: mistakes that are planted in the log
//! (`log/planted`), each of which must be found, and marks on its rare paths (`log/rare`), each of
//! which must be reached.

pub mod kinds;
pub mod sweep;

mod files;
mod life;
mod lives;
mod model;
#[cfg(test)]
mod tests;
