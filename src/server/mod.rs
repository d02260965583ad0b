//! Listeners, connections, start and stop.
//!
//! One core accepts and deals connections out to all cores in turn; a connection stays with its
//! core. Its reader finds frames and begins requests, its writer sends answers in their order.
//!
//! A listener tells its clients the address that is advertised for it, or where none is, each client
//! the address that it has come to. Clients that were told another one and never come are named.

pub mod assembler;
pub mod banner;
pub mod process;

mod absent;
mod acceptor;
mod bind;
mod connection;
mod connections;
mod crowd;
mod foreign;
#[cfg(test)]
mod history;
mod pace;
mod send;
mod startup;
mod strays;
mod watchdog;

pub use process::{ServeError, Watch, serve, serve_watched};
