//! What is served to people and their tools over HTTP, off the cores that own partitions: one
//! thread of its own, which may wait for the world.
//!
//! ```text
//!   cores --relaxed counters--> metrics --text--> endpoint --HTTP--> Prometheus, curl
//! ```

mod endpoint;
mod metrics;

pub use endpoint::watch;
