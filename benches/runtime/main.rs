//! Which receive strategy wins, and whether our reactor was the right choice.
//!
//!     cargo bench --bench runtime -- [--quick] [--rounds N] [--only WORD]
//!
//! One process: a server on one CPU that does the broker's work on each frame, a cheap closed-loop
//! client on another. In each cell the variants run by turns, forward and then backward (ABBA), for
//! half a second each; what counts is the median over the rounds of the server's CPU time per
//! request, and of its ratio to the first variant's in the same round. At saturation that is what a
//! core can carry, and it does not feel a busy machine as much as a rate does. Compare ratios, not
//! figures of different machines. `--quick` shows that everything runs; it measures nothing.

mod client;
mod cpu;
mod ours;
mod raw;
mod report;
mod tokio;
mod work;

use client::{IN_FLIGHT, Load, Span, Window};
use cpu::ThreadClock;
use highwater::limits;
use highwater::runtime::{BLOCK_BYTES, probe};
use ours::Receive;
use std::io;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::ExitCode;
use std::sync::mpsc;
use std::time::Duration;
use tokio::Flags;
use work::{Served, Space};

/// One way to serve.
#[derive(Clone, Copy, Debug)]
struct Variant {
    name: &'static str,
    how: How,
}

#[derive(Clone, Copy, Debug)]
enum How {
    Ours(Receive, Blocks),
    Raw,
    /// With the most that one receive takes.
    TokioUring(Flags, usize),
}

/// Blocks of the receive ring.
#[derive(Clone, Copy, Debug)]
enum Blocks {
    /// As many as the broker takes on this machine.
    Broker,
    Count(u16),
}

const VARIANTS: &[Variant] = &[
    Variant { name: "a ours, as the broker", how: How::Ours(Receive::Mixed, Blocks::Broker) },
    Variant { name: "b ours, pooled only", how: How::Ours(Receive::Pooled, Blocks::Broker) },
    Variant { name: "c ours, direct only", how: How::Ours(Receive::Direct, Blocks::Broker) },
    Variant { name: "i as a, 64 KiB a receive", how: How::Ours(Receive::Single, Blocks::Broker) },
    Variant { name: "g ours, adaptive", how: How::Ours(Receive::Adaptive, Blocks::Broker) },
    Variant { name: "d raw multishot", how: How::Raw },
    Variant { name: "e tokio-uring", how: How::TokioUring(Flags::Default, usize::MAX) },
    Variant { name: "f tokio-uring, coop", how: How::TokioUring(Flags::Coop, usize::MAX) },
    // Only for frames larger than a block: what it costs to receive in pieces of one.
    Variant { name: "h as f, 64 KiB a receive", how: How::TokioUring(Flags::Coop, BLOCK_BYTES) },
];

/// The broker's receive with rings of other sizes.
const RING_SIZES: &[Variant] = &[
    Variant { name: "a ring of 16 blocks", how: How::Ours(Receive::Mixed, Blocks::Count(16)) },
    Variant { name: "a ring of 32 blocks", how: How::Ours(Receive::Mixed, Blocks::Count(32)) },
    Variant { name: "a ring of 64 blocks", how: How::Ours(Receive::Mixed, Blocks::Count(64)) },
    Variant { name: "a ring of 256 blocks", how: How::Ours(Receive::Mixed, Blocks::Count(256)) },
];

/// One load, served by several variants.
struct Cell {
    name: &'static str,
    body_bytes: usize,
    connections: usize,
    variants: &'static [Variant],
}

const fn cell(name: &'static str, kib: usize, connections: usize) -> Cell {
    let is_large = kib << 10 > BLOCK_BYTES;
    let count = if is_large { VARIANTS.len() } else { VARIANTS.len() - 1 };
    Cell { name, body_bytes: kib << 10, connections, variants: VARIANTS.split_at(count).0 }
}

const CELLS: &[Cell] = &[
    cell("1 KiB x 1", 1, 1),
    cell("1 KiB x 16", 1, 16),
    cell("1 KiB x 256", 1, 256),
    cell("16 KiB x 16", 16, 16),
    cell("16 KiB x 256", 16, 256),
    cell("256 KiB x 1", 256, 1),
    cell("256 KiB x 16", 256, 16),
    Cell { variants: RING_SIZES, ..cell("ring size, 1 KiB x 256", 1, 256) },
    Cell { variants: RING_SIZES, ..cell("ring size, 16 KiB x 16", 16, 16) },
    Cell { variants: RING_SIZES, ..cell("ring size, 16 KiB x 256", 16, 256) },
];

/// What one run of one variant gave.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    pub window: Window,
    pub served: Served,
}

/// What the command line asks for.
struct Arguments {
    is_quick: bool,
    rounds: usize,
    only: Option<String>,
}

impl Arguments {
    const ROUNDS: usize = 6;
    const ROUNDS_QUICK: usize = 2;

    fn parse(words: impl Iterator<Item = String>) -> Result<Self, String> {
        let (mut is_quick, mut is_bench, mut rounds, mut only) = (false, false, None, None);
        let mut words = words;
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or_else(|| format!("{word} needs a value"));
            match word.as_str() {
                "--quick" => is_quick = true,
                "--bench" => is_bench = true,
                "--only" => only = Some(value()?),
                "--rounds" => match value()?.parse() {
                    Ok(count @ 1..) => rounds = Some(count),
                    _ => return Err("--rounds needs a number from 1".into()),
                },
                _ => {
                    return Err(format!("{word} is unknown: [--quick] [--rounds N] [--only WORD]"));
                }
            }
        }
        // `cargo bench` says so; `cargo test --benches` does not, and only wants to see it run.
        let is_quick = is_quick || !is_bench;
        let default = if is_quick { Self::ROUNDS_QUICK } else { Self::ROUNDS };
        Ok(Self { is_quick, rounds: rounds.unwrap_or(default), only })
    }

    fn span(&self) -> Span {
        let [warm, measured] = if self.is_quick { [50, 100] } else { [150, 500] };
        Span { warm: Duration::from_millis(warm), measured: Duration::from_millis(measured) }
    }
}

fn main() -> ExitCode {
    let arguments = match Arguments::parse(std::env::args().skip(1)) {
        Ok(arguments) => arguments,
        Err(complaint) => {
            eprintln!("{complaint}");
            return ExitCode::from(2);
        }
    };
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("benches/runtime: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> io::Result<()> {
    let cpus = cpu::two()?;
    let folder = std::env::temp_dir();
    let span = arguments.span();
    let load_before = report::head(cpus, &folder, arguments.rounds, span, broker_blocks());
    if arguments.is_quick {
        println!("--quick: this shows that it runs; it is no measurement.");
    }
    let space = Space::create(&folder)?;
    let mut ratios = report::Ratios::default();
    for cell in CELLS {
        if arguments.only.as_ref().is_some_and(|word| !cell.name.contains(word.as_str())) {
            continue;
        }
        let samples = measure(cell, arguments.rounds, span, &space, cpus)?;
        let names: Vec<_> = cell.variants.iter().map(|variant| variant.name).collect();
        report::cell(cell.name, cell.body_bytes, &names, &samples, &mut ratios);
    }
    ratios.print();
    report::foot(&load_before);
    Ok(())
}

/// Runs the cell's variants by turns; the samples of each, round by round.
fn measure(
    cell: &Cell,
    rounds: usize,
    span: Span,
    space: &Space,
    cpus: (usize, usize),
) -> io::Result<Vec<Vec<Sample>>> {
    let load = Load::new(cell.body_bytes);
    let mut samples = vec![Vec::new(); cell.variants.len()];
    for round in 0..rounds {
        let mut order: Vec<usize> = (0..cell.variants.len()).collect();
        if round % 2 == 1 {
            order.reverse();
        }
        for index in order {
            let variant = cell.variants[index];
            let sample = run_one(&variant, cell.connections, &load, span, space.path(), cpus)
                .map_err(|error| {
                    io::Error::other(format!("{}, {}: {error}", cell.name, variant.name))
                })?;
            samples[index].push(sample);
        }
    }
    Ok(samples)
}

/// One run: a fresh server thread, fresh connections.
fn run_one(
    variant: &Variant,
    connections: usize,
    load: &Load,
    span: Span,
    space: &Path,
    (server_cpu, client_cpu): (usize, usize),
) -> io::Result<Sample> {
    let (ours, theirs) = connect(connections)?;
    std::thread::scope(|scope| {
        let (clock_to, clock_from) = mpsc::sync_channel(1);
        let server = std::thread::Builder::new().name(variant.name.into());
        let server = server.spawn_scoped(scope, move || {
            cpu::pin(server_cpu)?;
            let clock = ThreadClock::here()?;
            clock_to.send(clock).map_err(io::Error::other)?;
            serve(variant.how, theirs, space)
        })?;
        // Sockets that the client drops end the server, whatever happens here.
        let driven = cpu::pin(client_cpu).and_then(|()| {
            let clock = clock_from.recv().map_err(io::Error::other)?;
            client::drive(ours, load, span, clock)
        });
        let served = server.join().map_err(|_| io::Error::other("the server panicked"))??;
        let window = driven?;
        if window.requests == 0 || served.requests < window.requests {
            let (told, done) = (window.requests, served.requests);
            return Err(io::Error::other(format!("{told} replies to {done} requests served")));
        }
        Ok(Sample { window, served })
    })
}

fn serve(how: How, sockets: Vec<TcpStream>, space: &Path) -> io::Result<Served> {
    match how {
        How::Ours(receive, blocks) => {
            let count = match blocks {
                Blocks::Broker => broker_blocks(),
                Blocks::Count(count) => count,
            };
            ours::serve(sockets, space, receive, count)
        }
        How::Raw => raw::serve(sockets, space, broker_blocks()),
        How::TokioUring(flags, most) => tokio::serve(sockets, space, flags, most),
    }
}

/// Blocks of the broker's receive ring on this machine, as `server/process.rs` counts them.
fn broker_blocks() -> u16 {
    let l2 = probe::l2_cache_bytes() / limits::RECEIVE_BLOCK_BYTES;
    let blocks = (2 * l2).next_power_of_two();
    blocks.clamp(limits::RECEIVE_BLOCKS_MIN, limits::RECEIVE_BLOCKS_MAX) as u16
}

/// Pairs of connected sockets: the client's, the server's.
fn connect(count: usize) -> io::Result<(Vec<TcpStream>, Vec<TcpStream>)> {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let address = listener.local_addr()?;
    let mut pairs = (Vec::with_capacity(count), Vec::with_capacity(count));
    for _ in 0..count {
        pairs.0.push(TcpStream::connect(address)?);
        pairs.1.push(listener.accept()?.0);
    }
    Ok(pairs)
}
