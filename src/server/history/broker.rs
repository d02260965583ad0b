//! One life of the broker.

use crate::broker::letter::Letter;
use crate::broker::{Facts, Listener, Metrics, Shard};
use crate::config::BrokerConfig;
use crate::runtime::mailbox::mesh_in_sim;
use crate::runtime::probe::Features;
use crate::runtime::sim::World;
use crate::server::bind::BoundListener;
use crate::server::connections::hang_under;
use crate::server::crowd::Crowd;
use crate::server::startup::{self, Plan};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

/// The broker's host in the world, and its clients'.
pub const HOST: usize = 0;
pub const CLIENTS: usize = 1;
pub const DATA: &str = "/data";

pub fn address() -> SocketAddr {
    "10.0.0.1:9092".parse().unwrap()
}

/// The settings; where appends are synced before they are answered, a power cut takes nothing back.
pub fn config(is_synced: bool) -> BrokerConfig {
    let mut properties = BrokerConfig::standalone();
    let mut set = |key: &str, value: &str| properties.set(key, value);
    set("log.dirs", DATA);
    set("offsets.topic.num.partitions", "2");
    set("log.flush.offset.checkpoint.interval.ms", "20");
    set("log.flush.start.offset.checkpoint.interval.ms", "30");
    set("log.segment.delete.delay.ms", "5");
    if is_synced {
        set("log.flush.interval.messages", "1");
    }
    BrokerConfig::load(&properties).unwrap().0
}

/// Starts a broker; what makes it give up ends the test.
pub fn start(world: &mut World, config: &BrokerConfig, core_count: usize) -> Vec<Rc<Shard>> {
    let (ports, doorbells) = mesh_in_sim::<Letter>(core_count, 0);
    let cores = world.boot(HOST, &doorbells);
    let address = address();
    let facts = Listener {
        name: "PLAINTEXT".into(),
        advertised_host: Some(address.ip().to_string()),
        advertised_port: address.port(),
        advertised_addresses: vec![address.ip()],
    };
    let socket = cores[0].listen(address, 16).unwrap();
    let bound = BoundListener { socket, bound: address, facts: facts.clone(), trouble: None };
    let mut plan = Some(Plan {
        listeners: vec![bound],
        crowd: Crowd::default(),
        notices: Vec::new(),
        cpus: (0..core_count).collect(),
        features: Features { cachestat: true, no_iowait: true },
        file_limit: 1 << 20,
        watched_at: None,
        greet: |_| {},
        give_up: Arc::new(|reason| panic!("the broker gave up: {reason}")),
    });
    let facts = Arc::new(Facts {
        metrics: Metrics::new(core_count, config.log_dirs.len()),
        listeners: vec![facts],
        config: config.clone(),
    });
    let begin = |(core, port): (&crate::runtime::Core, _)| {
        let shard = Shard::new(core.clone(), Rc::new(port), Arc::clone(&facts));
        let door = hang_under(&shard);
        if let Some(plan) = plan.take() {
            startup::begin(&shard, plan, door);
        }
        shard
    };
    cores.iter().zip(ports).map(begin).collect()
}

/// Asks for a clean stop.
pub fn ask_to_stop(shards: &[Rc<Shard>]) {
    if let Some(above) = shards[0].above.get() {
        (above.stop)();
    }
}
