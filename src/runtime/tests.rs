//! The reactor on a real ring and in the simulated world: files, sockets, timers, mail,
//! cancellation, exhaustion.

use super::buffer::{Gather, Slice};
use super::core::Core;
use super::machine::{self, MachineOptions};
use super::op::Open;
use super::sim::{Faults, World, WorldOptions};
use super::socket::{Received, Socket};
use super::testing::{options, run as run_on_ring};
use super::{mailbox, sync};
use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

/// Where the tests keep their files, in both worlds.
fn folder() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_path_buf();
    (folder, path)
}

/// Runs one async test on a core of its own: on a ring, and in simulated worlds, smooth and rough.
fn run<F: Future<Output = ()> + 'static>(
    options: MachineOptions,
    path: &Path,
    test: impl Fn(Core) -> F,
) {
    run_on_ring(options.clone(), &test);
    for seed in 0..20 {
        let mut world = World::with(
            seed,
            WorldOptions {
                receive_blocks: u32::from(options.ring.receive_blocks),
                receive_block_bytes: options.ring.receive_block_bytes,
                block_count: options.block_count,
            },
        );
        let mut faults = if seed % 2 == 0 { Faults::none() } else { Faults::rough() };
        // The tests say what must come in one piece, and what must be in the cache.
        faults.network.chunk_max = Faults::none().network.chunk_max;
        faults.disk.cold = Faults::none().disk.cold;
        world.set_faults(faults);
        world.put_dir(0, path.to_str().unwrap()).unwrap();
        let core = world.core();
        world.run(&core, test(core.clone()));
    }
}

async fn pair(core: &Core) -> (Socket, Socket) {
    let listener = core.listen("127.0.0.1:0".parse().unwrap(), 16).unwrap();
    let address = listener.local_address().unwrap();
    let client = core.connect(address).await.unwrap();
    let (server, peer) = listener.accept(core).await.unwrap();
    assert_eq!(peer, client.local_address().unwrap());
    server.set_up().unwrap();
    (client, server)
}

async fn receive(core: &Core, socket: &Socket) -> Slice {
    match socket.receive_pooled(core).await.unwrap() {
        Received::Bytes(slice) => slice,
        other => panic!("{other:?}"),
    }
}

#[test]
fn files_are_written_read_listed_and_renamed() {
    let (_folder, path) = folder();
    run(options(8, 4), &path.clone(), |core| work_on_files(core, path.clone()));
}

async fn work_on_files(core: Core, path: PathBuf) {
    core.make_dir(&path.join("d")).await.unwrap();
    let file = core.open(&path.join("d/a"), Open::Create).await.unwrap();
    let (result, written, mut gather) =
        file.write_at(&core, Gather::from_bytes(&b"hello "[..]), 0).await;
    assert_eq!((result.is_ok(), written), (true, 6));
    gather.clear();
    gather.push_copy(b"world");
    assert_eq!(file.write_inline(&core, &mut gather, 6).1, 5);
    file.sync_range(&core, 0, 11, true).await.unwrap();
    file.sync_data(&core).await.unwrap();
    file.allocate(&core, 0, 1 << 20).await.unwrap();
    assert_eq!(file.read_at(&core, vec![0; 64], 0).await.unwrap(), b"hello world");
    file.truncate(&core, 5).await.unwrap();
    assert_eq!(core.stat(&path.join("d/a")).await.unwrap().len, 5);
    assert!(file.is_resident(0, 5));
    core.rename(&path.join("d/a"), &path.join("d/b")).await.unwrap();
    core.sync_dir(&path.join("d")).await.unwrap();
    let names = core.list(&path.join("d")).await.unwrap();
    assert_eq!((names.len(), names[0].name.as_str(), names[0].is_dir), (1, "b", false));
    core.unlink(&path.join("d/b")).await.unwrap();
    core.remove_dir(&path.join("d")).await.unwrap();
    let missing = core.open(&path.join("d/a"), Open::Read).await.unwrap_err();
    assert_eq!(missing.kind(), std::io::ErrorKind::NotFound);
}

#[test]
fn one_receive_fills_many_blocks_and_none_waits() {
    let (_folder, path) = folder();
    run(options(8, 4), &path, receive_into_many_blocks);
}

/// What a block holds is kept, the others follow it, and not a byte more than asked for is taken.
async fn receive_into_many_blocks(core: Core) {
    let (client, server) = pair(&core).await;
    let mut blocks =
        vec![core.take_block().await, core.take_block().await, core.take_block().await];
    let block_bytes = blocks[0].capacity();
    let sent: Vec<u8> = (0..2 * block_bytes + 100).map(|index| (index % 251) as u8).collect();
    let nothing = core.receive_now(&server, &mut blocks, 0, block_bytes).unwrap_err();
    assert_eq!(nothing.kind(), std::io::ErrorKind::WouldBlock);
    blocks[0].as_mut_slice()[..10].copy_from_slice(&sent[..10]);
    let (sender, rest) = (core.clone(), Gather::from_bytes(sent[10..].to_vec()));
    core.spawn(async move {
        client.send(&sender, rest, false).await.0.unwrap();
        client.shut_down();
    });
    let mut filled = 10;
    while filled < 2 * block_bytes + 60 {
        server.wait(&core, true).await.unwrap();
        let start = filled % block_bytes;
        let rest = &mut blocks[filled / block_bytes..];
        let count = core.receive_now(&server, rest, start, 2 * block_bytes + 60 - filled).unwrap();
        assert!(count > 0 && filled + count <= 2 * block_bytes + 60);
        filled += count;
    }
    let received: Vec<u8> =
        blocks.into_iter().flat_map(|block| block.freeze(block_bytes).to_vec()).collect();
    assert!(received[..filled] == sent[..filled]);
    let mut last = [core.take_block().await];
    let mut filled = 0;
    while filled < 40 {
        server.wait(&core, true).await.unwrap();
        filled += core.receive_now(&server, &mut last, filled, block_bytes - filled).unwrap();
    }
    assert_eq!(filled, 40);
    server.wait(&core, true).await.unwrap();
    assert_eq!(core.receive_now(&server, &mut last, filled, 1).unwrap(), 0, "the stream has ended");
}

#[test]
fn bytes_cross_a_connection_and_a_file_is_sent_from_its_cache() {
    let (_folder, path) = folder();
    run(options(8, 4), &path.clone(), |core| cross_a_connection(core, path.join("segment")));
}

async fn cross_a_connection(core: Core, path: PathBuf) {
    let file = core.open(&path, Open::Create).await.unwrap();
    file.write_at(&core, Gather::from_bytes(&b"0123456789"[..]), 0).await.0.unwrap();
    let (client, server) = pair(&core).await;
    let (sent, mut gather) = client.send(&core, Gather::from_bytes(&b"ping"[..]), false).await;
    sent.unwrap();
    assert_eq!(&*receive(&core, &server).await, b"ping");
    gather.clear();
    gather.push_copy(b"head");
    server.send(&core, gather, true).await.0.unwrap();
    let file = core.open(&path, Open::Read).await.unwrap();
    assert_eq!(core.sendfile(&server, &file, 2, 5).unwrap(), 5);
    let mut block = core.take_block().await;
    let mut filled = 0;
    while filled < 9 {
        let (result, back) = client.receive(&core, block, filled, 9).await;
        block = back;
        filled += result.unwrap();
    }
    assert_eq!(&*block.freeze(9), b"head23456");
    client.shut_down();
    assert!(matches!(server.receive_pooled(&core).await.unwrap(), Received::End));
}

#[test]
fn a_parked_connection_goes_on_when_a_buffer_comes_home() {
    run(options(1, 1), Path::new("/"), |core| async move {
        let (client, server) = pair(&core).await;
        let (other_client, other) = pair(&core).await;
        client.send(&core, Gather::from_bytes(&b"a"[..]), false).await.0.unwrap();
        let held = receive(&core, &server).await;
        other_client.send(&core, Gather::from_bytes(&b"b"[..]), false).await.0.unwrap();
        assert!(matches!(other.receive_pooled(&core).await.unwrap(), Received::NoBuffer));
        let inner = core.clone();
        core.spawn(async move {
            inner.sleep(Duration::from_millis(5)).await;
            drop(held);
        });
        core.receive_buffers().await;
        assert_eq!(&*receive(&core, &other).await, b"b");

        let block = core.take_block().await;
        let inner = core.clone();
        core.spawn(async move {
            inner.sleep(Duration::from_millis(5)).await;
            drop(block);
        });
        drop(core.take_block().await);
    });
}

#[test]
fn a_dropped_receive_keeps_its_block_until_the_kernel_lets_go() {
    run(options(8, 1), Path::new("/"), |core| async move {
        let (client, server) = pair(&core).await;
        let block = core.take_block().await;
        let receive = async {
            let _ = server.receive(&core, block, 0, 10).await;
            panic!("nothing was sent");
        };
        sync::race(receive, core.sleep(Duration::from_millis(2))).await;
        // The block comes home only with the cancelled operation's completion.
        drop(core.take_block().await);
        client.send(&core, Gather::from_bytes(&b"later"[..]), false).await.0.unwrap();
        assert_eq!(&*self::receive(&core, &server).await, b"later");
    });
}

#[test]
fn the_end_of_a_turn_comes_after_all_that_was_ready() {
    run(options(8, 1), Path::new("/"), |core| async move {
        let log = Rc::new(RefCell::new(Vec::new()));
        let (inner, notes) = (core.clone(), Rc::clone(&log));
        core.spawn(async move {
            inner.turn_end().await;
            notes.borrow_mut().push("end");
        });
        for _ in 0..3 {
            let notes = Rc::clone(&log);
            core.spawn(async move { notes.borrow_mut().push("ready") });
        }
        core.sleep(Duration::from_millis(1)).await;
        assert_eq!(*log.borrow(), ["ready", "ready", "ready", "end"]);
    });
}

#[test]
fn mail_arrives_in_order_and_wakes_a_sleeping_core() {
    let (ports, doorbells) = mailbox::mesh::<u64>(2, 0).unwrap();
    let ports = std::sync::Mutex::new(ports.into_iter().map(Some).collect::<Vec<_>>());
    let mut options = options(8, 1);
    options.cpus = vec![None, None];
    let threads = machine::start(&options, &doorbells, move |core| {
        let port = Rc::new(ports.lock().unwrap()[core.index()].take().unwrap());
        port.attach(core);
        core.spawn(echo_letters(core.clone(), port));
    })
    .unwrap();
    for thread in threads {
        thread.join().unwrap();
    }
}

#[test]
fn no_core_runs_when_one_cannot_be_made() {
    let (_ports, doorbells) = mailbox::mesh::<u64>(2, 0).unwrap();
    // More memory than a process can address.
    let mut options = options(8, u32::MAX);
    options.cpus = vec![None, None];
    let started = machine::start(&options, &doorbells, |_| unreachable!("no core was made"));
    assert!(started.is_err());
}

#[test]
fn mail_arrives_in_order_between_simulated_cores() {
    let mut world = World::new(1);
    let (ports, doorbells) = mailbox::mesh_in_sim::<u64>(2, 0);
    let cores = world.boot(0, &doorbells);
    for (core, port) in cores.iter().zip(ports) {
        let port = Rc::new(port);
        port.attach(core);
        core.spawn(echo_letters(core.clone(), port));
    }
    world.run_until(|| false);
    assert!(cores.iter().all(Core::is_stopped));
}

/// Core 0 fills the queue several times over and checks the answers; core 1 answers.
async fn echo_letters(core: Core, port: Rc<mailbox::Port<u64>>) {
    const COUNT: u64 = 20_000;
    if core.index() == 0 {
        // Then it waits asleep for the last answer.
        (0..COUNT).for_each(|number| port.send(1, number));
    }
    for expected in 0..COUNT {
        let number = loop {
            match port.receive() {
                Some(number) => break number,
                None => core.mail().await,
            }
        };
        assert_eq!(number, expected);
        if core.index() == 1 {
            port.send(0, number);
        }
    }
    while core.index() == 1 && !port.is_drained() {
        port.receive();
        core.sleep(Duration::from_micros(100)).await;
    }
    core.stop();
}

#[test]
fn what_is_computed_aside_comes_back_and_the_core_goes_on_meanwhile() {
    run_on_ring(options(8, 4), |core: Core| async move {
        let (ask, asked) = std::sync::mpsc::channel::<u64>();
        let inner = core.clone();
        // The computation ends only when this core has said something after it began.
        core.spawn(async move {
            inner.sleep(Duration::from_millis(2)).await;
            ask.send(20).unwrap();
        });
        assert_eq!(core.work_aside(move || asked.recv().unwrap() + 22).await, 42);
    });
}
