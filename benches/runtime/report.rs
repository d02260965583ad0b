//! What the bench prints: the machine, a table per cell, a verdict per cell, and all in one line
//! per variant.

use crate::{IN_FLIGHT, Sample, Span};
use highwater::runtime::{clock, probe};
use std::path::Path;
use std::time::Duration;

/// Load average above which other work was in the way: the bench itself keeps two CPUs busy.
const LOAD_QUIET: f64 = 2.75;

/// Says what was measured, and on what; gives the load average before it.
pub fn head(cpus: (usize, usize), folder: &Path, rounds: usize, span: Span, blocks: u16) -> String {
    let load = load_average();
    let kernel = probe::kernel_release();
    let system = probe::file_system_name(folder).unwrap_or("unknown");
    println!("benches/runtime, {}", today());
    println!("kernel {kernel}, {} x {}", cpu_count(), cpu_model());
    println!("L2 {} KiB per core, body file on {system}", probe::l2_cache_bytes() >> 10);
    println!("load average at the start: {load}");
    println!(
        "server on CPU {}, client on CPU {}; {IN_FLIGHT} requests in flight per connection; \
         receive ring of {blocks} blocks; no spinning",
        cpus.0, cpus.1
    );
    println!(
        "{rounds} rounds by turns, {} ms each after {} ms of warm-up; medians",
        span.measured.as_millis(),
        span.warm.as_millis()
    );
    load
}

/// Says how busy the machine was.
pub fn foot(before: &str) {
    let after = load_average();
    println!("\nload average at the end: {after}");
    let is_busy = |load: &str| {
        let latest = load.split(' ').next().and_then(|number| number.parse::<f64>().ok());
        latest.is_some_and(|latest| latest > LOAD_QUIET)
    };
    if is_busy(before) || is_busy(&after) {
        println!(
            "The machine was busy with other work: rates are too low and noisy; CPU time per \
             request and its ratios still compare, for the variants ran by turns."
        );
    }
}

/// Prints one cell, and keeps its ratios for the summary.
pub fn cell(
    name: &str,
    body_bytes: usize,
    names: &[&str],
    samples: &[Vec<Sample>],
    ratios: &mut Ratios,
) {
    println!("\n{name} connections");
    println!(
        "  {:<24} {:>10} {:>10} {:>9} {:>9} {:>7} {:>9} {:>8}  ratio to a (quartiles)",
        "", "requests/s", "CPU us/req", "CPU-s/GB", "calls/req", "dry/req", "server", "client"
    );
    let rows: Vec<_> = samples.iter().map(|of| Row::new(of, &samples[0], body_bytes)).collect();
    for (name, row) in names.iter().zip(&rows) {
        let shown = |count: Option<f64>| count.map_or("-".into(), |count| format!("{count:.3}"));
        let (calls, dry) = (shown(row.calls), shown(row.dry));
        println!(
            "  {name:<24} {:>10.0} {:>10.3} {:>9.3} {calls:>9} {dry:>7} {:>8.0}% {:>7.0}%  {:.3} ({:.3}..{:.3})",
            row.rate,
            row.cpu_us,
            row.cpu_per_gb,
            row.server_busy * 100.0,
            row.client_busy * 100.0,
            row.ratio[1],
            row.ratio[0],
            row.ratio[2],
        );
    }
    verdict(name, names, &rows, samples);
    if names[0].starts_with("a ours") {
        ratios.add(names, &rows);
    }
}

/// Who wins in CPU time per request, and by how much.
fn verdict(cell: &str, names: &[&str], rows: &[Row], samples: &[Vec<Sample>]) {
    let mut order: Vec<usize> = (0..rows.len()).collect();
    order.sort_by(|a, b| rows[*a].cpu_us.total_cmp(&rows[*b].cpu_us));
    let best = order[0];
    let others = order[1..].iter().map(|other| {
        let [low, middle, high] = quartiles(paired(&samples[*other], &samples[best]));
        let is_even = low <= 1.0 && high >= 1.0;
        let more = (middle - 1.0) * 100.0;
        let note = if is_even { " (even)" } else { "" };
        format!("{} {more:+.1} %{note}", names[*other])
    });
    let others: Vec<_> = others.collect();
    println!("  verdict, {cell}: \"{}\" needs least CPU; {}", names[best], others.join(", "));
}

/// One variant in one cell.
struct Row {
    rate: f64,
    cpu_us: f64,
    cpu_per_gb: f64,
    calls: Option<f64>,
    dry: Option<f64>,
    server_busy: f64,
    client_busy: f64,
    /// Quartiles of the rounds' ratios to the first variant: lower, median, upper.
    ratio: [f64; 3],
}

impl Row {
    fn new(samples: &[Sample], base: &[Sample], body_bytes: usize) -> Self {
        let cpu_us = median(samples.iter().map(cpu_us));
        let busy =
            |time: Duration, sample: &Sample| time.as_secs_f64() / sample.window.wall.as_secs_f64();
        let per_request = |count: fn(&Sample) -> Option<u64>| {
            let of = |one: &Sample| Some(count(one)? as f64 / one.served.requests as f64);
            let counts = samples.iter().map(of).collect::<Option<Vec<_>>>()?;
            Some(median(counts.into_iter()))
        };
        Self {
            rate: median(
                samples
                    .iter()
                    .map(|sample| sample.window.requests as f64 / sample.window.wall.as_secs_f64()),
            ),
            cpu_us,
            cpu_per_gb: cpu_us * 1e3 / body_bytes as f64,
            calls: per_request(|one| one.served.calls),
            dry: per_request(|one| one.served.dry),
            server_busy: median(samples.iter().map(|one| busy(one.window.server_cpu, one))),
            client_busy: median(samples.iter().map(|one| busy(one.window.client_cpu, one))),
            ratio: quartiles(paired(samples, base)),
        }
    }
}

/// Ratios to the first variant over all cells.
#[derive(Default)]
pub struct Ratios(Vec<(String, Vec<f64>)>);

impl Ratios {
    fn add(&mut self, names: &[&str], rows: &[Row]) {
        for (index, (name, row)) in names.iter().zip(rows).enumerate() {
            if self.0.len() <= index {
                self.0.push(((*name).to_string(), Vec::new()));
            }
            self.0[index].1.push(row.ratio[1]);
        }
    }

    pub fn print(&self) {
        if self.0.is_empty() {
            return;
        }
        println!("\nover all cells, CPU time per request as a multiple of the broker's way (a):");
        for (name, ratios) in &self.0 {
            let mean = ratios.iter().map(|ratio| ratio.ln()).sum::<f64>() / ratios.len() as f64;
            let worst = ratios.iter().copied().fold(f64::MIN, f64::max);
            let best = ratios.iter().copied().fold(f64::MAX, f64::min);
            println!(
                "  {name:<24} {:.3} ({} cells, from {best:.3} to {worst:.3})",
                mean.exp(),
                ratios.len()
            );
        }
    }
}

fn cpu_us(sample: &Sample) -> f64 {
    sample.window.server_cpu.as_secs_f64() * 1e6 / sample.window.requests as f64
}

/// The rounds' ratios of CPU time per request.
fn paired<'a>(samples: &'a [Sample], base: &'a [Sample]) -> impl Iterator<Item = f64> + 'a {
    samples.iter().zip(base).map(|(one, base)| cpu_us(one) / cpu_us(base))
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    quartiles(values)[1]
}

/// Lower quartile, median, upper quartile.
fn quartiles(values: impl Iterator<Item = f64>) -> [f64; 3] {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    [0.25, 0.5, 0.75].map(|share| {
        let place = share * (values.len() - 1) as f64;
        let (low, high) = (values[place.floor() as usize], values[place.ceil() as usize]);
        low + (high - low) * place.fract()
    })
}

/// The date in UTC, by the calendar's own arithmetic.
fn today() -> String {
    let days = clock::wall().0.div_euclid(86_400_000);
    // Years are counted from March, so that the leap day comes last; eras have 400 years.
    let day = days + 719_468;
    let (era, of_era) = (day.div_euclid(146_097), day.rem_euclid(146_097));
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let (month, carry) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    format!("{:04}-{month:02}-{day:02} (UTC)", era * 400 + year + carry)
}

fn cpu_count() -> usize {
    std::thread::available_parallelism().map_or(0, usize::from)
}

fn cpu_model() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with("model name"));
    line.and_then(|line| line.split_once(": ")).map_or("unknown CPU", |(_, name)| name).to_string()
}

/// Over one, five and fifteen minutes.
fn load_average() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').take(3).collect::<Vec<_>>().join(" ")
}
