//! How a measurement is told: lines for people, one line of JSON for programs.

use super::drive::{Latencies, Tally};
use hdrhistogram::Histogram;
use std::fmt::Write as _;
use std::time::Duration;

/// The numbers of one run.
#[derive(Debug)]
pub struct Report {
    pub title: String,
    pub records: f64,
    pub bytes: f64,
    pub tally: Tally,
    /// Whether requests had intended moments.
    pub is_open_loop: bool,
}

const QUANTILES: [(&str, f64); 3] = [("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999)];

impl Report {
    /// Lines for people.
    pub fn text(&self) -> String {
        let (tally, mut out) = (&self.tally, String::new());
        let Latencies { response, service } = &tally.latencies[0];
        let seconds = tally.time.as_secs_f64();
        let _ = writeln!(out, "{}", self.title);
        let _ = writeln!(
            out,
            "  {:.0} requests/s   {:.0} records/s   {:.1} MB/s   over {seconds:.2} s",
            tally.requests as f64 / seconds,
            self.records / seconds,
            self.bytes / 1e6 / seconds,
        );
        if self.is_open_loop {
            let _ = writeln!(out, "  response  {}", latencies(response));
            let _ = writeln!(out, "  service   {}", latencies(service));
        } else {
            let _ = writeln!(out, "  service   {} (closed loop)", latencies(service));
        }
        if let Some(cpu) = tally.broker_cpu {
            let _ = writeln!(out, "  broker    {}", self.cpu(cpu));
        }
        let _ = write!(out, "  load      {}", self.cpu(tally.load_cpu));
        out
    }

    fn cpu(&self, cpu: Duration) -> String {
        format!(
            "{:.2} CPU-s, {:.2} us a request, {:.2} CPU-s/GB",
            cpu.as_secs_f64(),
            cpu.as_secs_f64() * 1e6 / self.tally.requests as f64,
            cpu.as_secs_f64() * 1e9 / self.bytes,
        )
    }

    /// One JSON object on one line; times in microseconds.
    pub fn json(&self) -> String {
        let tally = &self.tally;
        let seconds = tally.time.as_secs_f64();
        let mut out = format!(
            r#"{{"seconds":{seconds:.3},"requests_per_s":{:.1},"records_per_s":{:.1},"mb_per_s":{:.3}"#,
            tally.requests as f64 / seconds,
            self.records / seconds,
            self.bytes / 1e6 / seconds,
        );
        let Latencies { response, service } = &tally.latencies[0];
        out += &quantiles_json("response", response);
        out += &quantiles_json("service", service);
        if let Some(cpu) = tally.broker_cpu {
            let _ = write!(out, r#","broker_cpu_s":{:.2}"#, cpu.as_secs_f64());
        }
        let _ = write!(out, r#","load_cpu_s":{:.2}}}"#, tally.load_cpu.as_secs_f64());
        out
    }
}

/// Fields of a JSON object, each with a comma before it.
pub fn quantiles_json(name: &str, histogram: &Histogram<u64>) -> String {
    let mut out = String::new();
    for (quantile, at) in QUANTILES {
        let micros = histogram.value_at_quantile(at) as f64 / 1e3;
        let quantile = quantile.replace('.', "_");
        let _ = write!(out, r#","{name}_{quantile}_us":{micros:.1}"#);
    }
    let _ = write!(out, r#","{name}_max_us":{:.1}"#, histogram.max() as f64 / 1e3);
    out
}

pub fn latencies(histogram: &Histogram<u64>) -> String {
    let mut out = String::new();
    for (name, at) in QUANTILES {
        let _ = write!(out, "{name} {}   ", micros(histogram.value_at_quantile(at)));
    }
    let _ = write!(out, "max {}", micros(histogram.max()));
    out
}

fn micros(nanos: u64) -> String {
    match nanos {
        0..10_000_000 => format!("{:.0} us", nanos as f64 / 1e3),
        _ => format!("{:.1} ms", nanos as f64 / 1e6),
    }
}
