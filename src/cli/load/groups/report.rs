//! How a load of groups is told.

use super::ops::OPERATIONS;
use crate::cli::load::drive::Tally;
use crate::cli::load::report::{latencies, quantiles_json};
use std::fmt::Write as _;
use std::time::Duration;

/// Resident bytes of the broker, where its process was named.
#[derive(Clone, Copy, Debug)]
pub struct Weights {
    /// With its connections, and the offsets topic in use.
    pub before: u64,
    pub with_idle: u64,
    pub with_live: u64,
}

/// The numbers of one run.
#[derive(Debug)]
pub struct Report {
    pub title: String,
    pub group_count: usize,
    pub join_count: usize,
    pub join_time: Duration,
    pub weights: Option<Weights>,
    pub tally: Tally,
}

impl Report {
    /// Lines for people.
    pub fn text(&self) -> String {
        let (tally, mut out) = (&self.tally, String::new());
        let seconds = tally.time.as_secs_f64();
        let _ = writeln!(out, "{}", self.title);
        let _ = writeln!(
            out,
            "  joins      {:.0} members/s, {} in {:.2} s (with a commit, and group.initial.rebalance.delay.ms)",
            self.joins_per_second(),
            self.join_count,
            self.join_time.as_secs_f64(),
        );
        if let Some(weights) = self.weights {
            let (idle, live) = self.bytes_per_group(weights);
            let _ = writeln!(
                out,
                "  memory     {:.1} MB before, then {idle:.0} bytes an idle group, {live:.0} a live one",
                weights.before as f64 / 1e6,
            );
        }
        let rate = tally.requests as f64 / seconds;
        let _ =
            writeln!(out, "  requests   {rate:.0} a second over {seconds:.2} s; response times:");
        for (name, one) in OPERATIONS.iter().zip(&tally.latencies) {
            let _ = writeln!(out, "  {name:<10} {}", latencies(&one.response));
        }
        if let Some(cpu) = tally.broker_cpu {
            let _ = writeln!(out, "  broker     {}", self.cpu(cpu));
        }
        let _ = write!(out, "  load       {}", self.cpu(tally.load_cpu));
        out
    }

    /// One JSON object on one line; times in microseconds.
    pub fn json(&self) -> String {
        let tally = &self.tally;
        let seconds = tally.time.as_secs_f64();
        let mut out = format!(
            r#"{{"seconds":{seconds:.3},"requests_per_s":{:.1},"joins_per_s":{:.1}"#,
            tally.requests as f64 / seconds,
            self.joins_per_second(),
        );
        if let Some(weights) = self.weights {
            let (idle, live) = self.bytes_per_group(weights);
            let before = weights.before as f64 / 1e6;
            let _ = write!(
                out,
                r#","before_mb":{before:.2},"idle_group_bytes":{idle:.0},"live_group_bytes":{live:.0}"#
            );
        }
        for (name, one) in OPERATIONS.iter().zip(&tally.latencies) {
            out += &quantiles_json(name, &one.response);
        }
        if let Some(cpu) = tally.broker_cpu {
            let _ = write!(out, r#","broker_cpu_s":{:.2}"#, cpu.as_secs_f64());
        }
        let _ = write!(out, r#","load_cpu_s":{:.2}}}"#, tally.load_cpu.as_secs_f64());
        out
    }

    fn joins_per_second(&self) -> f64 {
        self.join_count as f64 / self.join_time.as_secs_f64()
    }

    /// Of an idle group and of a live one. Below 0 where the broker gave memory back meanwhile.
    fn bytes_per_group(&self, weights: Weights) -> (f64, f64) {
        let more = |from: u64, to: u64| (to as f64 - from as f64) / self.group_count as f64;
        (more(weights.before, weights.with_idle), more(weights.with_idle, weights.with_live))
    }

    fn cpu(&self, cpu: Duration) -> String {
        let each = cpu.as_secs_f64() * 1e6 / self.tally.requests as f64;
        format!("{:.2} CPU-s, {each:.2} us a request", cpu.as_secs_f64())
    }
}
