//! What the clients of a history do, for ever, through breaks of their connections.

use super::broker::address;
use super::client::Client;
use super::model::{KnownTopic, Model};
use crate::base::{Pieces, Random};
use crate::model::{ProducerEpoch, ProducerId, TopicId};
use crate::protocol::RecordsGap;
use crate::protocol::write::create_topics::CreatableTopic;
use crate::protocol::write::delete_topics::DeleteTopicState;
use crate::protocol::write::fetch::{FetchPartition, FetchTopic};
use crate::protocol::write::metadata::MetadataRequestTopic;
use crate::protocol::write::offset_commit::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use crate::protocol::write::offset_fetch::OffsetFetchRequestTopic;
use crate::protocol::write::produce::{PartitionProduceData, TopicProduceData};
use crate::protocol::write::{
    CreateTopicsRequest, DeleteTopicsRequest, FetchRequest, FindCoordinatorRequest,
    InitProducerIdRequest, MetadataRequest, OffsetCommitRequest, OffsetFetchRequest,
    ProduceRequest,
};
use crate::record::{BatchBuilder, BatchHeader, HEADER_BYTES, NewRecord, Records};
use crate::runtime::Core;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

pub const TOPICS: [&str; 2] = ["first", "second"];
pub const PARTITIONS: i32 = 2;
/// Error codes after which a client tries again.
const OUT_OF_ORDER_SEQUENCE: i16 = 45;
const UNKNOWN_PRODUCER_ID: i16 = 59;

/// One client's surroundings.
pub struct Worker {
    core: Core,
    model: Rc<RefCell<Model>>,
    random: RefCell<Random>,
    client: Option<Client>,
}

/// A batch on its way.
struct Batch {
    bytes: Vec<u8>,
    numbers: Vec<u64>,
}

impl Worker {
    pub fn new(core: &Core, model: &Rc<RefCell<Model>>, seed: u64) -> Self {
        let (core, model) = (core.clone(), Rc::clone(model));
        Self { core, model, random: RefCell::new(Random::new(seed)), client: None }
    }

    /// The connection, a new one after a break.
    async fn client(&mut self) -> &mut Client {
        if self.client.is_none() {
            self.client = Some(Client::connect(&self.core, address()).await);
        }
        self.client.as_mut().unwrap()
    }

    fn is_over(&self) -> bool {
        self.model.borrow().is_over
    }

    fn below(&self, bound: u64) -> u64 {
        self.random.borrow_mut().below(bound)
    }

    async fn pause(&self) {
        let pause = Duration::from_micros(self.below(2000));
        self.core.sleep(pause).await;
    }

    async fn call<R: crate::protocol::Request>(
        &mut self,
        version: i16,
        request: &R,
        records: &[u8],
    ) -> Option<super::client::Answer<R>> {
        let answer = self.client().await.call(version, request, records).await;
        if answer.is_none() {
            self.client = None;
        }
        answer
    }

    /// Makes the topics that are written to, where they are not there yet.
    pub async fn make_topics(&mut self) {
        for topic in TOPICS {
            while !self.make(topic, PARTITIONS).await {}
        }
    }

    /// Whether a topic is made, or was already.
    async fn make(&mut self, name: &str, partitions: i32) -> bool {
        const ALREADY_EXISTS: i16 = 36;
        let topic = CreatableTopic {
            name: name.into(),
            num_partitions: partitions,
            replication_factor: 1,
            assignments: Vec::new(),
            configs: Vec::new(),
        };
        let request =
            CreateTopicsRequest { topics: vec![topic], timeout_ms: 30_000, validate_only: false };
        let Some(answer) = self.call(5, &request, &[]).await else { return false };
        let code = answer.view().topics.first().unwrap().error_code;
        assert!(code == 0 || code == ALREADY_EXISTS, "{name} is not made: error {code}");
        true
    }

    /// Produces to one partition, one batch at a time, each until it is acknowledged.
    pub async fn produce(mut self, topic: &'static str, partition: i32) {
        let (id, epoch) = self.producer_id().await;
        let mut sequence = 0;
        while !self.is_over() {
            let batch = self.batch(id, epoch, sequence);
            let base = self.deliver(topic, partition, &batch).await;
            sequence += batch.numbers.len() as i32;
            {
                let mut model = self.model.borrow_mut();
                model.appended += 1;
                let log = model.logs.entry((topic, partition)).or_default();
                for (number, offset) in batch.numbers.iter().zip(base..) {
                    log.saw(offset, *number);
                }
            }
            self.pause().await;
        }
    }

    async fn producer_id(&mut self) -> (ProducerId, ProducerEpoch) {
        let request = InitProducerIdRequest {
            transactional_id: None,
            transaction_timeout_ms: 60_000,
            ..InitProducerIdRequest::default()
        };
        loop {
            if let Some(answer) = self.call(4, &request, &[]).await {
                let view = answer.view();
                if view.error_code == 0 {
                    return (ProducerId(view.producer_id), ProducerEpoch(view.producer_epoch));
                }
            }
            self.pause().await;
        }
    }

    fn batch(&self, id: ProducerId, epoch: ProducerEpoch, sequence: i32) -> Batch {
        let count = 1 + self.below(4);
        let padding = self.below(3000) as usize;
        let mut builder = BatchBuilder::new();
        builder.producer(id, epoch, sequence);
        let mut numbers = Vec::new();
        for _ in 0..count {
            let mut model = self.model.borrow_mut();
            model.numbers += 1;
            let mut value = model.numbers.to_be_bytes().to_vec();
            value.resize(8 + padding, 7);
            let timestamp = self.core.wall();
            let value = Some(&value[..]);
            builder.push(&NewRecord { timestamp, value, ..NewRecord::default() }).unwrap();
            numbers.push(model.numbers);
        }
        let mut bytes = Vec::new();
        builder.finish(&mut bytes).unwrap();
        Batch { bytes, numbers }
    }

    /// Sends a batch until it is acknowledged; gives its offset.
    async fn deliver(&mut self, topic: &'static str, partition: i32, batch: &Batch) -> i64 {
        loop {
            let acks = if self.below(2) == 0 { 1 } else { -1 };
            let records = Some(RecordsGap { len: batch.bytes.len(), tag: 0 });
            let partition_data = vec![PartitionProduceData { index: partition, records }];
            let request = ProduceRequest {
                transactional_id: None,
                acks,
                timeout_ms: 30_000,
                topic_data: vec![TopicProduceData {
                    name: topic.into(),
                    topic_id: TopicId::ZERO,
                    partition_data,
                }],
            };
            if let Some(answer) = self.call(9, &request, &batch.bytes).await {
                let view = answer.view();
                let topic = view.responses.first().unwrap();
                let found = topic.partition_responses.first().unwrap();
                match found.error_code {
                    0 => return found.base_offset,
                    code @ (OUT_OF_ORDER_SEQUENCE | UNKNOWN_PRODUCER_ID) => {
                        panic!("the broker has forgotten the producer's last batch: error {code}")
                    }
                    _ => {}
                }
            }
            self.pause().await;
        }
    }

    /// Reads one partition from anywhere, again and again.
    pub async fn read(mut self, topic: &'static str, partition: i32) {
        while !self.is_over() {
            let known = self.model.borrow().numbers;
            let from = self.below(known + 1) as i64;
            self.fetch(topic, partition, from, None).await;
            self.pause().await;
        }
    }

    /// Reads from an offset on; gives the offset after the last record and the high watermark.
    async fn fetch(
        &mut self,
        topic: &'static str,
        partition: i32,
        from: i64,
        mut into: Option<&mut BTreeMap<i64, u64>>,
    ) -> Option<(i64, i64)> {
        let place = FetchPartition {
            partition,
            fetch_offset: from,
            partition_max_bytes: 100_000,
            ..FetchPartition::default()
        };
        let request = FetchRequest {
            max_wait_ms: self.below(20) as i32,
            min_bytes: 1,
            max_bytes: 1 << 20,
            topics: vec![FetchTopic {
                topic: topic.into(),
                topic_id: TopicId::ZERO,
                partitions: vec![place],
            }],
            ..FetchRequest::default()
        };
        let answer = self.call(11, &request, &[]).await?;
        let view = answer.view();
        let found = view.responses.first()?.partitions.first()?;
        if found.error_code != 0 {
            return None;
        }
        let bytes = found.records.map(|records| records.bytes.to_vec()).unwrap_or_default();
        let mut next = from;
        let mut model = self.model.borrow_mut();
        model.read += 1;
        let log = model.logs.entry((topic, partition)).or_default();
        for (offset, number) in records(&bytes) {
            // A fetch inside of a batch gives the whole batch.
            log.saw(offset, number);
            next = next.max(offset + 1);
            if let Some(into) = &mut into {
                into.insert(offset, number);
            }
        }
        assert!(next <= found.high_watermark.max(from), "read beyond the high watermark");
        Some((next, found.high_watermark))
    }

    /// Commits a growing offset, and asks for it.
    pub async fn commit(mut self, group: &'static str) {
        self.find_coordinator(group).await;
        while !self.is_over() {
            if self.below(4) == 0 {
                self.find_commit(group).await;
            } else {
                self.commit_next(group).await;
            }
            self.pause().await;
        }
    }

    /// Asks for the group's coordinator, which makes the topic of the offsets.
    async fn find_coordinator(&mut self, group: &str) {
        let key = group.to_owned().into();
        let request = FindCoordinatorRequest { key, ..FindCoordinatorRequest::default() };
        loop {
            let answer = self.call(3, &request, &[]).await;
            if answer.is_some_and(|answer| answer.view().error_code == 0) {
                return;
            }
            self.pause().await;
        }
    }

    async fn commit_next(&mut self, group: &'static str) {
        let offset = {
            let mut model = self.model.borrow_mut();
            let known = model.commits.entry(group.to_owned()).or_default();
            known.asked += 1;
            known.asked
        };
        let place = OffsetCommitRequestPartition {
            partition_index: 0,
            committed_offset: offset,
            ..OffsetCommitRequestPartition::default()
        };
        let request = OffsetCommitRequest {
            group_id: group.into(),
            topics: vec![OffsetCommitRequestTopic {
                name: TOPICS[0].into(),
                partitions: vec![place],
                ..OffsetCommitRequestTopic::default()
            }],
            ..OffsetCommitRequest::default()
        };
        let Some(answer) = self.call(8, &request, &[]).await else { return };
        let view = answer.view();
        let code = view.topics.first().unwrap().partitions.first().unwrap().error_code;
        if code == 0 {
            let mut model = self.model.borrow_mut();
            model.committed += 1;
            let known = model.commits.get_mut(group).unwrap();
            known.told = known.told.max(offset);
        }
    }

    /// Whether the coordinator has told the group's offset.
    async fn find_commit(&mut self, group: &str) -> bool {
        let topic = OffsetFetchRequestTopic { name: TOPICS[0].into(), partition_indexes: vec![0] };
        let request = OffsetFetchRequest {
            group_id: group.to_owned().into(),
            topics: Some(vec![topic]),
            ..OffsetFetchRequest::default()
        };
        let Some(answer) = self.call(7, &request, &[]).await else { return false };
        let view = answer.view();
        if view.error_code != 0 {
            return false;
        }
        let place = view.topics.first().unwrap().partitions.first().unwrap();
        self.model.borrow_mut().found_commit(group, place.committed_offset.max(0));
        true
    }

    /// Makes and deletes topics, and looks which there are.
    pub async fn change_topics(mut self) {
        for number in 0.. {
            if self.is_over() {
                return;
            }
            let name = format!("topic-{number}");
            self.set(&name, KnownTopic::Asked);
            if self.make(&name, 1 + (number % 3)).await {
                self.set(&name, KnownTopic::Made);
            }
            if self.below(2) == 0 {
                self.set(&name, KnownTopic::Leaving);
                if self.delete(&name).await {
                    self.set(&name, KnownTopic::Gone);
                }
            }
            self.find_topics().await;
            self.pause().await;
        }
    }

    fn set(&self, name: &str, topic: KnownTopic) {
        let mut model = self.model.borrow_mut();
        model.changed += 1;
        model.topics.insert(name.to_owned(), topic);
    }

    async fn delete(&mut self, name: &str) -> bool {
        const UNKNOWN_TOPIC: i16 = 3;
        let name: std::borrow::Cow<'_, str> = name.into();
        let request = DeleteTopicsRequest {
            topics: vec![DeleteTopicState { name: Some(name.clone()), topic_id: TopicId::ZERO }],
            topic_names: vec![name],
            timeout_ms: 30_000,
        };
        let Some(answer) = self.call(4, &request, &[]).await else { return false };
        let code = answer.view().responses.first().unwrap().error_code;
        assert!(code == 0 || code == UNKNOWN_TOPIC, "not deleted: error {code}");
        true
    }

    /// Whether the broker has told its topics.
    async fn find_topics(&mut self) -> bool {
        let before = self.model.borrow().topics.clone();
        let topics: Option<Vec<MetadataRequestTopic<'_>>> = None;
        let request = MetadataRequest { topics, ..MetadataRequest::default() };
        let Some(answer) = self.call(9, &request, &[]).await else { return false };
        let view = answer.view();
        let name = |topic: crate::protocol::read::metadata::MetadataResponseTopic<'_>| {
            topic.name.unwrap_or_default().to_owned()
        };
        let found: Vec<String> = view.topics.into_iter().map(name).collect();
        self.model.borrow_mut().found_topics(&before, &found);
        true
    }

    /// Compares everything there is with all that was told.
    pub async fn check_all(mut self) {
        while !self.find_topics().await {
            self.pause().await;
        }
        let groups: Vec<String> = self.model.borrow().commits.keys().cloned().collect();
        for group in groups {
            while !self.find_commit(&group).await {
                self.pause().await;
            }
        }
        for topic in TOPICS {
            for partition in 0..PARTITIONS {
                let mut found = BTreeMap::new();
                let (mut next, mut end) = (0, 1);
                while next < end {
                    match self.fetch(topic, partition, next, Some(&mut found)).await {
                        Some(after) => (next, end) = after,
                        None => self.pause().await,
                    }
                }
                if let Some(log) = self.model.borrow().logs.get(&(topic, partition)) {
                    log.check_all(&found);
                }
            }
        }
    }
}

/// Offsets and numbers of all whole batches.
fn records(bytes: &[u8]) -> Vec<(i64, u64)> {
    let (mut found, mut at) = (Vec::new(), 0);
    while let Some(rest) = bytes.get(at..).filter(|rest| rest.len() >= HEADER_BYTES) {
        let header = BatchHeader::parse(Pieces::one(rest)).unwrap();
        let Some(batch) = rest.get(..header.total_bytes()) else { break };
        for record in Records::new(&batch[HEADER_BYTES..]) {
            let record = record.unwrap();
            let value = record.value.unwrap().to_vec();
            let number = u64::from_be_bytes(value[..8].try_into().unwrap());
            assert!(value[8..].iter().all(|byte| *byte == 7), "other bytes");
            found.push((header.base_offset.0 + i64::from(record.offset_delta), number));
        }
        at += header.total_bytes();
    }
    found
}
