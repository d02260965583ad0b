//! Highwater: a Kafka-compatible broker for Linux.

#![doc = include_str!("ARCHITECTURE.md")]

#[cfg(not(target_os = "linux"))]
compile_error!("Highwater runs on Linux: it is built on io_uring");

pub mod limits;

// floor 0
pub mod base;
// floor 1
pub mod model;
// floor 2
pub mod config;
pub mod record;
pub mod runtime;
// floor 3
pub mod log;
pub mod protocol;
// floor 4
pub mod controller;
pub mod group;
// floor 5
pub mod broker;
// floor 6
pub mod api;
// floor 7
pub mod server;
// floor 8
pub mod admin;
pub mod cli;
