//! Listeners, connections, start and stop.
//!
//! One core accepts and deals connections out to all cores in turn; a connection stays with its
//! core. Its reader finds frames and begins requests, its writer sends answers in their order.

pub mod assembler;
pub mod banner;
pub mod process;

mod acceptor;
mod connection;
mod connections;
mod send;
mod startup;
mod strays;

pub use process::{ServeError, Watch, serve, serve_watched};
