//! `highwater config`: settings of the cluster, a broker, a topic or a group, and of a file.
//!
//! `args` is what is parsed; `change` is shared with `topic alter`; `check` is shared with
//! `serve --check`. `explain` and `check` ask no broker.

mod args;
pub mod change;
pub mod check;
mod diff;
mod explain;
mod get;

pub use args::{Args, run};
