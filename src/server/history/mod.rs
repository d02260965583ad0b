//! Histories of a whole broker in the simulated world, from the frames of its clients to its disk.
//!
//! A history is a few lives of one data folder, on one or two cores. Clients on another host produce,
//! read, commit offsets, make and delete topics, and come back when their connections break. A
//! life ends when its process is killed or stopped, or, where appends are answered after a sync, when
//! its machine loses its power. What was answered once holds in all later lives: a record keeps
//! its offset and is there once, a committed offset never goes back, a topic is there until it is
//! deleted and never after.

mod broker;
mod client;
mod model;
mod tests;
mod work;
