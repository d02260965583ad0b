//! The simulated world itself: the same seed gives the same history, and its disk, network and
//! clock do what they promise.

use super::{Call, Faults, Odds, Span, Trap, World};
use crate::base::Random;
use crate::runtime::buffer::Gather;
use crate::runtime::core::Core;
use crate::runtime::file::File;
use crate::runtime::op::Open;
use crate::runtime::socket::{Received, Socket};
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

fn bytes(text: &'static [u8]) -> Gather {
    Gather::from_bytes(text)
}

async fn written(core: &Core, path: &str, text: &'static [u8]) -> File {
    let file = core.open(Path::new(path), Open::Create).await.unwrap();
    file.write_at(core, bytes(text), 0).await.0.unwrap();
    file
}

/// A little of everything, drawn from the seed.
async fn work(core: Core, seed: u64) {
    let mut random = Random::new(seed);
    let listener = core.listen("10.0.0.1:9092".parse().unwrap(), 8).unwrap();
    let inner = core.clone();
    core.spawn(async move {
        let (server, _) = listener.accept(&inner).await.unwrap();
        while let Ok(Received::Bytes(slice)) = server.receive_pooled(&inner).await {
            let mut gather = Gather::new();
            gather.push_slice(slice);
            server.send(&inner, gather, false).await.0.unwrap();
        }
    });
    let client = core.connect("10.0.0.1:9092".parse().unwrap()).await.unwrap();
    for round in 0..20 {
        let path = format!("/file-{}", random.below(4));
        let file = core.open(Path::new(&path), Open::Write).await.unwrap();
        let mut block = vec![0; random.between(1, 9000) as usize];
        random.fill(&mut block);
        let sent = block.clone();
        file.write_at(&core, Gather::from_bytes(block), random.below(20_000)).await.0.unwrap();
        if random.chance(1, 3) {
            file.sync_data(&core).await.unwrap();
        }
        client.send(&core, Gather::from_bytes(sent.clone()), false).await.0.unwrap();
        let mut back = Vec::new();
        while back.len() < sent.len() {
            match client.receive_pooled(&core).await.unwrap() {
                Received::Bytes(slice) => back.extend_from_slice(&slice),
                other => panic!("round {round}: {other:?}"),
            }
        }
        assert_eq!(back, sent);
        core.sleep(Duration::from_millis(random.below(50))).await;
    }
}

#[test]
fn the_same_seed_gives_the_same_history_and_another_gives_another() {
    let history = |seed| {
        let mut world = World::new(seed);
        world.set_faults(Faults::rough());
        let core = world.core();
        world.run(&core, work(core.clone(), seed));
        world.crash(0);
        let images: Vec<_> =
            (0..4).map(|index| world.images(0, &format!("/file-{index}")).ok()).collect();
        (world.trace(), world.now(), images)
    };
    for seed in 0..10 {
        assert_eq!(history(seed), history(seed));
        assert_ne!(history(seed).0, history(seed + 1).0);
    }
}

#[test]
fn random_bytes_are_those_of_the_seed() {
    let draw = |seed| {
        let mut world = World::new(seed);
        let core = world.core();
        let inner = core.clone();
        world.run(&core, async move { (inner.random::<16>(), inner.random::<16>()) })
    };
    for seed in 0..10 {
        let (first, second) = draw(seed);
        assert_eq!(draw(seed), (first, second));
        assert_ne!(draw(seed + 1).0, first);
        assert_ne!(first, second);
    }
}

#[test]
fn time_jumps_to_what_comes_next_and_nobody_really_sleeps() {
    let mut world = World::new(1);
    let core = world.core();
    let inner = core.clone();
    let (slept, wall) = world.run(&core, async move {
        let (start, wall) = (inner.now(), inner.wall());
        inner.sleep(Duration::from_secs(3 * 24 * 3600)).await;
        (inner.now().since(start), inner.wall().0 - wall.0)
    });
    assert_eq!((slept, wall), (Duration::from_secs(3 * 24 * 3600), 3 * 24 * 3_600_000));
}

#[test]
fn operations_overtake_one_another() {
    let mut world = World::new(3);
    let core = world.core();
    let order = std::rc::Rc::new(std::cell::RefCell::new(Vec::new()));
    for index in 0..20 {
        let (inner, notes) = (core.clone(), std::rc::Rc::clone(&order));
        core.spawn(async move {
            written(&inner, &format!("/{index}"), b"x").await;
            notes.borrow_mut().push(index);
        });
    }
    world.run_until(|| order.borrow().len() == 20);
    assert!(!order.borrow().is_sorted());
}

#[test]
fn a_name_is_durable_only_after_its_directory_was_synced() {
    let (mut kept, mut lost) = (0, 0);
    for seed in 0..50 {
        let mut world = World::new(seed);
        world.put_dir(0, "/d").unwrap();
        let core = world.core();
        let inner = core.clone();
        world.run(&core, async move {
            written(&inner, "/d/a", b"one").await.sync_data(&inner).await.unwrap();
            inner.sync_dir(Path::new("/d")).await.unwrap();
            written(&inner, "/d/b", b"two").await.sync_data(&inner).await.unwrap();
        });
        world.crash(0);
        assert_eq!(world.images(0, "/d/a").unwrap().0, b"one");
        match world.images(0, "/d/b") {
            Ok((cached, durable)) => {
                kept += 1;
                assert_eq!((cached, durable), (b"two".to_vec(), b"two".to_vec()));
            }
            Err(error) => {
                lost += 1;
                assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
            }
        }
    }
    assert!(kept > 5 && lost > 5, "{kept} {lost}");
}

#[test]
fn a_rename_is_done_or_not_done() {
    let mut seen = [0; 2];
    for seed in 0..50 {
        let mut world = World::new(seed);
        world.put(0, "/d/old", b"new content").unwrap();
        world.put(0, "/e/name", b"old content").unwrap();
        let mut faults = Faults::none();
        faults.disk.names_any_order = true;
        world.set_faults(faults);
        let core = world.core();
        let inner = core.clone();
        world.run(&core, async move {
            inner.rename(Path::new("/d/old"), Path::new("/e/name")).await.unwrap();
            if seed == 0 {
                inner.sync_dir(Path::new("/e")).await.unwrap();
            }
        });
        world.crash(0);
        let is_moved = world.images(0, "/d/old").is_err();
        let expected: &[u8] = if is_moved { b"new content" } else { b"old content" };
        assert_eq!(world.images(0, "/e/name").unwrap().0, expected);
        assert!(is_moved || seed > 0);
        seen[usize::from(is_moved)] += 1;
    }
    assert!(seen[0] > 5 && seen[1] > 5, "{seen:?}");
}

#[test]
fn a_failed_fsync_loses_the_pages_and_the_next_one_succeeds() {
    let mut lost = 0;
    for seed in 0..40 {
        let mut world = World::new(seed);
        let core = world.core();
        let trap = Trap { call: Call::Sync, name_end: "log".into(), skip: 0, error: libc::EIO };
        world.trap(0, trap);
        let inner = core.clone();
        world.run(&core, async move {
            let file = written(&inner, "/a.log", b"acknowledged?").await;
            inner.sync_dir(Path::new("/")).await.unwrap();
            assert!(file.sync_data(&inner).await.is_err());
            file.sync_data(&inner).await.unwrap();
            assert_eq!(file.read_at(&inner, vec![0; 20], 0).await.unwrap(), b"acknowledged?");
        });
        assert_eq!(world.trap_count(0), 0);
        world.crash(0);
        lost += u32::from(world.images(0, "/a.log").unwrap().0 != b"acknowledged?");
    }
    assert!(lost > 5, "{lost}");
}

#[test]
fn a_failed_write_back_is_told_once_to_each_handle() {
    let mut world = World::new(1);
    let core = world.core();
    for wait in [false, true] {
        let (call, skip, error) = (Call::SyncRange, 0, libc::EIO);
        world.trap(0, Trap { call, name_end: "log".into(), skip, error });
        let inner = core.clone();
        world.run(&core, async move {
            let file = written(&inner, "/a.log", b"bytes").await;
            let other = inner.open(Path::new("/a.log"), Open::Write).await.unwrap();
            assert_eq!(file.sync_range(&inner, 0, 5, wait).await.is_err(), wait);
            // What nobody waited for comes with the next sync; what was told is not told again.
            assert_eq!(file.sync_data(&inner).await.is_err(), !wait);
            assert!(other.sync_data(&inner).await.is_err());
            file.sync_data(&inner).await.unwrap();
            other.sync_data(&inner).await.unwrap();
        });
    }
}

#[test]
fn a_world_of_one_core_runs_its_own_loop() {
    let mut world = World::new(1);
    let core = world.core();
    let inner = core.clone();
    core.spawn(async move {
        written(&inner, "/a", b"x").await;
        inner.sleep(Duration::from_secs(60)).await;
        inner.stop();
    });
    core.run();
    assert_eq!(world.images(0, "/a").unwrap().0, b"x");
}

#[test]
fn a_full_disk_writes_what_fits_and_then_says_so() {
    let mut world = World::new(1);
    let mut faults = Faults::none();
    faults.disk.capacity = Some(10);
    world.set_faults(faults);
    let core = world.core();
    let inner = core.clone();
    world.run(&core, async move {
        let file = inner.open(Path::new("/a"), Open::Create).await.unwrap();
        let (result, count, _) = file.write_at(&inner, bytes(b"0123456789abc"), 0).await;
        assert_eq!((result.unwrap_err().raw_os_error(), count), (Some(libc::ENOSPC), 10));
        inner.unlink(Path::new("/a")).await.unwrap();
        written(&inner, "/b", b"fits again").await;
    });
}

#[test]
fn two_writes_in_flight_for_one_file_are_found() {
    let mut world = World::new(1);
    let core = world.core();
    let inner = core.clone();
    world.run(&core, async move {
        let file = written(&inner, "/a", b"alone").await;
        let second = file.clone();
        let other = inner.clone();
        inner.spawn(async move { drop(second.write_at(&other, bytes(b"x"), 0).await) });
        file.write_at(&inner, bytes(b"y"), 1).await.0.unwrap();
        inner.sleep(Duration::from_millis(10)).await;
    });
    assert_eq!(world.findings(), ["2 writes in flight for a"]);
}

#[test]
fn rot_changes_the_platter_and_what_is_read() {
    let mut world = World::new(1);
    world.put(0, "/a", b"good").unwrap();
    world.rot(0, "/a", 1, 0x20).unwrap();
    assert_eq!(world.images(0, "/a").unwrap(), (b"gOod".to_vec(), b"gOod".to_vec()));
    world.crash(0);
    let core = world.core();
    let inner = core.clone();
    let read = world.run(&core, async move {
        let file = inner.open(Path::new("/a"), Open::Read).await.unwrap();
        file.read_at(&inner, vec![0; 9], 0).await.unwrap()
    });
    assert_eq!(read, b"gOod");
}

#[test]
fn a_power_cut_ends_the_tasks_and_a_new_core_goes_on() {
    let mut world = World::new(5);
    let core = world.core();
    let inner = core.clone();
    core.spawn(async move {
        let file = written(&inner, "/a", b"0").await;
        inner.sync_dir(Path::new("/")).await.unwrap();
        file.sync_all(&inner).await.unwrap();
        loop {
            file.write_at(&inner, bytes(b"1111"), 0).await.0.unwrap();
        }
    });
    world.run_completions(40);
    world.crash(0);
    let next = world.core();
    let inner = next.clone();
    let len = world.run(&next, async move { inner.stat(Path::new("/a")).await.unwrap().len });
    assert!((1..=4).contains(&len));
    assert!(core.is_stopped());
}

#[test]
fn a_killed_process_leaves_what_it_wrote() {
    for seed in 0..20 {
        let mut world = World::new(seed);
        let core = world.core();
        let inner = core.clone();
        world.run(&core, async move {
            drop(written(&inner, "/a", b"written").await);
        });
        world.kill(0);
        assert_eq!(world.images(0, "/a").unwrap().0, b"written");
    }
}

fn address() -> SocketAddr {
    "10.0.0.1:9092".parse().unwrap()
}

async fn connected(core: &Core) -> (Socket, Socket) {
    let listener = core.listen(address(), 4).unwrap();
    let client = core.connect(address()).await.unwrap();
    let (server, _) = listener.accept(core).await.unwrap();
    (client, server)
}

#[test]
fn a_taken_address_and_a_missing_listener_are_refused() {
    let mut world = World::new(1);
    let core = world.core();
    let inner = core.clone();
    world.run(&core, async move {
        let nobody = inner.connect(address()).await.unwrap_err();
        assert_eq!(nobody.kind(), std::io::ErrorKind::ConnectionRefused);
        let listener = inner.listen(address(), 4).unwrap();
        let taken = inner.listen(address(), 4).unwrap_err();
        assert_eq!(taken.kind(), std::io::ErrorKind::AddrInUse);
        drop(listener);
        inner.listen(address(), 4).unwrap();
    });
}

#[test]
fn a_sender_waits_for_a_slow_reader_and_nothing_is_lost_or_reordered() {
    for seed in 0..10 {
        let mut world = World::new(seed);
        world.set_faults(Faults::rough());
        let core = world.core();
        let inner = core.clone();
        world.run(&core, async move {
            let (client, server) = connected(&inner).await;
            client.set_buffers(Some(1000), None).unwrap();
            server.set_buffers(None, Some(500)).unwrap();
            let mut sent = vec![0; 20_000];
            Random::new(seed).fill(&mut sent);
            let (other, all) = (inner.clone(), sent.clone());
            inner.spawn(async move {
                client.send(&other, Gather::from_bytes(all), false).await.0.unwrap();
            });
            let mut got = Vec::new();
            loop {
                let block = inner.take_block().await;
                let (count, block) = server.receive(&inner, block, 0, 300).await;
                match count.unwrap() {
                    0 => break,
                    count => got.extend_from_slice(&block.freeze(count)),
                }
                inner.sleep(Duration::from_millis(1)).await;
            }
            assert_eq!(got, sent);
        });
    }
}

#[test]
fn a_reset_reaches_both_ends() {
    let mut world = World::new(2);
    let mut faults = Faults::none();
    faults.network.reset = Odds(10_000);
    world.set_faults(faults);
    let core = world.core();
    let inner = core.clone();
    world.run(&core, async move {
        let (client, server) = connected(&inner).await;
        client.send(&inner, bytes(b"x"), false).await.0.unwrap();
        for socket in [&server, &client] {
            let error = socket.receive_pooled(&inner).await.unwrap_err();
            assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
        }
        assert!(client.send(&inner, bytes(b"x"), false).await.0.is_err());
    });
}

#[test]
fn a_cut_between_hosts_holds_bytes_back_until_it_is_mended() {
    let mut world = World::new(2);
    let here = world.core();
    let there = world.boot(1, &crate::runtime::mailbox::mesh_in_sim::<()>(1, 0).1).remove(0);
    let (inner, outer) = (here.clone(), there.clone());
    let got = std::rc::Rc::new(std::cell::Cell::new(false));
    let flag = std::rc::Rc::clone(&got);
    there.spawn(async move {
        let (server, _) = outer.listen(address(), 4).unwrap().accept(&outer).await.unwrap();
        assert!(matches!(server.receive_pooled(&outer).await, Ok(Received::Bytes(_))));
        flag.set(true);
    });
    world.run_for(Duration::from_millis(1));
    let client = world.run(&here, async move { inner.connect(address()).await.unwrap() });
    world.set_cut(0, 1, true);
    let inner = here.clone();
    let client = world.run(&here, async move {
        client.send(&inner, bytes(b"x"), false).await.0.unwrap();
        client
    });
    world.run_for(Duration::from_secs(10));
    assert!(!got.get());
    world.set_cut(0, 1, false);
    world.run_for(Duration::from_secs(10));
    assert!(got.get());
    drop(client);
}

#[test]
fn a_lost_host_is_silent_until_it_is_back() {
    let mut world = World::new(2);
    let here = world.core();
    let bells = crate::runtime::mailbox::mesh_in_sim::<()>(1, 0).1;
    let there = world.boot(1, &bells).remove(0);
    let outer = there.clone();
    there.spawn(async move {
        let (server, _) = outer.listen(address(), 4).unwrap().accept(&outer).await.unwrap();
        outer.sleep(Duration::from_secs(1000)).await;
        drop(server);
    });
    world.run_for(Duration::from_millis(1));
    let inner = here.clone();
    let client = world.run(&here, async move { inner.connect(address()).await.unwrap() });
    world.crash(1);
    let ended = std::rc::Rc::new(std::cell::Cell::new(None));
    let (flag, inner) = (std::rc::Rc::clone(&ended), here.clone());
    here.spawn(async move {
        flag.set(Some(client.receive_pooled(&inner).await.map(drop).unwrap_err().kind()));
    });
    world.run_for(Duration::from_secs(10));
    assert_eq!(ended.get(), None);
    world.boot(1, &bells);
    world.run_for(Duration::from_secs(1));
    assert_eq!(ended.get(), Some(std::io::ErrorKind::ConnectionReset));
}

#[test]
fn a_slow_inline_write_is_counted_as_a_stall() {
    let mut world = World::new(1);
    let mut faults = Faults::none();
    faults.disk.inline_stall = Odds(10_000);
    faults.disk.slow_latency = Span::micros(6_000, 7_000);
    world.set_faults(faults);
    let core = world.core();
    let inner = core.clone();
    world.run(&core, async move {
        let file = inner.open(Path::new("/a"), Open::Create).await.unwrap();
        file.write_inline(&inner, &mut bytes(b"abc"), 0).0.unwrap();
    });
    assert_eq!(core.counters().inline_stalls.get(), 1);
}
