//! The table of settings: every key that Kafka 4.3 knows and our own, once each. Help, documents,
//! parser and DescribeConfigs derive from it.

// The rows are a table to be read: each cell one word.
#![allow(clippy::enum_glob_use)]

mod cluster;
mod group;
mod lookup;
mod network;
mod node;
mod own;
mod remote;
mod security;
mod storage;
mod topic;
mod why;

pub use lookup::{
    broker_setting, broker_settings, group_setting, group_settings, topic_setting, topic_settings,
};
pub(super) use why::why;
