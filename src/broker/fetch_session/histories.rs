//! Random histories of fetch sessions, beside a model of plain lists.

use super::stories::{Story, answered, limits, parse_request};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::fmt::Write as _;

#[derive(Clone, Debug)]
struct Move {
    seconds: u64,
    /// Which of the known sessions, none if there are not so many.
    session: usize,
    /// -1 and 0 are complete; else as expected, or one too far.
    epoch: i32,
    is_follower: bool,
    wanted: Vec<(i32, i64)>,
    forgotten: Vec<i32>,
    data: Vec<i32>,
}

fn any_move() -> impl Strategy<Value = Move> {
    let partitions = || proptest::collection::vec(0..5i32, 0..4);
    let wanted = proptest::collection::vec((0..5i32, 0..100i64), 0..4);
    let epoch = prop_oneof![1 => -1..=0i32, 4 => Just(1), 1 => Just(2)];
    (0..100u64, 0..4usize, epoch, any::<bool>(), (wanted, partitions(), partitions())).prop_map(
        |(seconds, session, epoch, is_follower, (wanted, forgotten, data))| Move {
            seconds,
            session,
            epoch,
            is_follower,
            wanted,
            forgotten,
            data,
        },
    )
}

/// What a session must be: its epoch, and its partitions with offsets in the order of reading.
type Model = BTreeMap<i32, (i32, Vec<(i32, i64)>)>;

fn merge(order: &mut Vec<(i32, i64)>, wanted: &[(i32, i64)], forgotten: &[i32]) {
    for (partition, offset) in wanted {
        match order.iter_mut().find(|known| known.0 == *partition) {
            Some(known) => known.1 = *offset,
            None => order.push((*partition, *offset)),
        }
    }
    order.retain(|known| !forgotten.contains(&known.0));
}

/// Does one move in the world and in the model, and compares what is read.
fn play(world: &mut Story, model: &mut Model, step: &Move) -> Result<(), TestCaseError> {
    world.run(&format!("after {}s", step.seconds));
    world.log.clear();
    for partition in &step.data {
        world.log.insert(format!("a-{partition}"), answered(1, 0, 0));
    }
    let id = model.keys().nth(step.session).copied().unwrap_or(0);
    let expected = model.get(&id).map_or(1, |session| session.0);
    let is_full = step.epoch <= 0;
    let epoch = if is_full { step.epoch } else { expected + step.epoch - 1 };
    let mut command = format!("{id}:{epoch}");
    command += if step.is_follower { " follower" } else { "" };
    for (partition, offset) in &step.wanted {
        write!(command, " a-{partition}@{offset}").expect("memory");
    }
    for partition in &step.forgotten {
        write!(command, " -a-{partition}").expect("memory");
    }
    let begun = world.begin("", &parse_request(&command.split(' ').collect::<Vec<_>>()));
    let mut order = Vec::new();
    if is_full {
        merge(&mut order, &step.wanted, &[]);
        model.remove(&id);
    } else if id == 0 || epoch != expected {
        prop_assert!(!begun.starts_with("read"), "{}", begun);
        return Ok(());
    } else {
        let session = model.get_mut(&id).expect("chosen from the model");
        merge(&mut session.1, &step.wanted, &step.forgotten);
        session.0 += 1;
        order.clone_from(&session.1);
    }
    if order.len() > 4 {
        prop_assert!(begun.starts_with("TooMany"), "{}", begun);
        model.remove(&id);
        return Ok(());
    }
    if begun.starts_with("Outgrown") {
        model.remove(&id);
        return Ok(());
    }
    let is_emptied = !is_full && order.is_empty();
    if is_emptied {
        model.remove(&id);
        merge(&mut order, &step.wanted, &[]);
    }
    let mut read = "read".to_string();
    for (partition, offset) in &order {
        write!(read, " a-{partition}@{offset}").expect("memory");
    }
    prop_assert_eq!(begun, read + "\n");
    let ended = world.end("");
    if let Some(session) = model.get_mut(&id) {
        let is_behind = |known: &(i32, i64)| step.data.contains(&known.0);
        session.1.sort_by_key(is_behind);
    } else if let Some(new) = world
        .sessions
        .shelf()
        .ids()
        .iter()
        .find(|new| step.epoch == 0 && ended.starts_with(&format!("session {new}:")))
    {
        prop_assert!(model.insert(*new, (1, order)).is_none());
    }
    Ok(())
}

proptest! {
    #[test]
    fn sessions_behave_as_lists_and_only_newcomers_push_them_out(
        steps in proptest::collection::vec(any_move(), 1..80)
    ) {
        let mut world = Story::new(limits(3));
        let mut model = Model::new();
        for step in &steps {
            let evictions = world.sessions.eviction_count();
            play(&mut world, &mut model, step)?;
            world.sessions.shelf().check();
            prop_assert!(world.sessions.len() <= 3);
            prop_assert!(world.sessions.partition_count() <= 10);
            let ids = world.sessions.shelf().ids();
            let gone: Vec<i32> = model.keys().copied().filter(|id| !ids.contains(id)).collect();
            let evicted = world.sessions.eviction_count() - evictions;
            prop_assert_eq!(gone.len() as u64, evicted);
            prop_assert!(evicted == 0 || step.epoch == 0);
            model.retain(|id, _| !gone.contains(id));
            prop_assert_eq!(ids, model.keys().copied().collect::<Vec<_>>());
        }
    }
}
