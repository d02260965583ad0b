//! The log against a model, in the simulated world: random histories of appends, syncs, reads,
//! retention, clean ends, kills and power cuts, with and without a failing disk.
//!
//! `cargo test` runs a few dozen seeds. `HIGHWATER_SIM_SEEDS=5000` runs more of them,
//! `HIGHWATER_SIM_SEED=17` runs one and tells its completions.
//!
//! ```text
//! seed -> history: life, life, life ...       a life is one run of the process:
//!         open, compare with the model, random work, end (clean, killed, power cut)
//! ```

mod files;
mod life;
mod model;
mod tests;
