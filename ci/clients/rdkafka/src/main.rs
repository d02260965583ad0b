//! check-rdkafka HOST:PORT: the Rust client rdkafka (librdkafka), its producer, consumer groups and admin.

mod admin;
mod facts;
mod member;

use facts::{Facts, LIMIT, Outcome, fresh, same, until, value_of};
use member::Member;
use rdkafka::Offset;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::message::{Header, Headers, Message, OwnedHeaders, OwnedMessage};
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::topic_partition_list::TopicPartitionList;
use std::process::ExitCode;
use std::sync::LazyLock;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

const PARTITIONS: i32 = 4;
const POLL: Duration = Duration::from_millis(100);

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, broker] = arguments.as_slice() else {
        eprintln!("usage: check-rdkafka HOST:PORT");
        return ExitCode::from(2);
    };
    let (_, librdkafka) = rdkafka::util::get_rdkafka_version();
    println!("# rdkafka on librdkafka {librdkafka}");
    let mut facts = Facts::default();
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
        let fact =
            format!("rdkafka writes and reads back keys, headers and values with codec {codec}");
        facts.check(fact, round_trip(broker, codec)).await;
    }
    for assignor in ["range", "roundrobin", "cooperative-sticky"] {
        let fact =
            format!("rdkafka shares a topic between two members by {assignor}, each record once");
        facts.check(fact, share(broker, assignor)).await;
    }
    facts.check("rdkafka commits and resumes", resume(broker)).await;
    facts
        .check("rdkafka restarts a static member without a rebalance", static_restart(broker))
        .await;
    facts.check("rdkafka seeks by offset and by time", seek(broker)).await;
    facts
        .check("rdkafka creates, describes, grows and deletes topics", admin::topics(broker))
        .await;
    facts.check("rdkafka alters settings of a topic", admin::configs(broker)).await;
    facts.check("rdkafka deletes records", admin::delete_records(broker)).await;
    facts.check("rdkafka lists, describes and deletes groups", admin::groups(broker)).await;
    facts.finish()
}

fn settings(broker: &str) -> ClientConfig {
    let mut settings = ClientConfig::new();
    settings.set("bootstrap.servers", broker);
    settings
}

fn admin_client(
    broker: &str,
) -> Result<AdminClient<DefaultClientContext>, rdkafka::error::KafkaError> {
    settings(broker).create()
}

fn options() -> AdminOptions {
    AdminOptions::new().operation_timeout(Some(LIMIT)).request_timeout(Some(LIMIT))
}

/// A topic with a fresh name.
async fn create(
    broker: &str,
    name: &str,
    partitions: i32,
) -> Result<String, Box<dyn std::error::Error + Send + Sync>> {
    let topic = fresh(name);
    let asked = NewTopic::new(&topic, partitions, TopicReplication::Fixed(1));
    for result in admin_client(broker)?.create_topics([&asked], &options()).await? {
        result.map_err(|(topic, code)| format!("creating {topic}: {code}"))?;
    }
    // A broker may hear of it a moment after the controller has made it, and an idempotent producer that came
    // between would lose its order.
    let looker: BaseConsumer = settings(broker).create()?;
    until("the topic has leaders", || {
        Ok((0..partitions).all(|number| looker.fetch_watermarks(&topic, number, LIMIT).is_ok()))
    })
    .await?;
    Ok(topic)
}

/// Writes the records of the range, spread over the partitions in turn.
async fn produce(
    broker: &str,
    topic: &str,
    partitions: i32,
    numbers: std::ops::Range<u32>,
    more: &[(&str, &str)],
) -> Outcome {
    let mut settings = settings(broker);
    settings.set("enable.idempotence", "true").set("linger.ms", "5");
    for (key, value) in more {
        settings.set(*key, *value);
    }
    let producer: FutureProducer = settings.create()?;
    let mut sent = Vec::new();
    for number in numbers {
        let (key, value) = (format!("key-{number}"), value_of(number));
        let headers = OwnedHeaders::new()
            .insert(Header { key: "a", value: Some("1") })
            .insert(Header { key: "a", value: None::<&str> })
            .insert(Header { key: "b", value: Some(&[0_u8, 255][..]) });
        let record = FutureRecord::to(topic)
            .partition(i32::try_from(number)? % partitions)
            .key(&key)
            .payload(&value)
            .timestamp(*BASE_MS + 10 * i64::from(number))
            .headers(headers);
        sent.push(producer.send_result(record).map_err(|(error, _)| error)?);
    }
    for delivery in sent {
        delivery.await?.map_err(|(error, _)| error)?;
    }
    Ok(())
}

/// The timestamp of record 0; the others follow 10 ms apart. Recent, so that no retention takes the records.
static BASE_MS: LazyLock<i64> = LazyLock::new(|| {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_millis()).unwrap_or_default() - 3_600_000
});

fn consumer(broker: &str, group: &str) -> Result<BaseConsumer, rdkafka::error::KafkaError> {
    settings(broker)
        .set("group.id", group)
        .set("enable.auto.commit", "false")
        .set("auto.offset.reset", "earliest")
        .set("fetch.wait.max.ms", "100")
        .create()
}

/// Exactly `count` records, or a failure.
fn take(
    consumer: &BaseConsumer,
    count: usize,
) -> Result<Vec<OwnedMessage>, Box<dyn std::error::Error + Send + Sync>> {
    let deadline = Instant::now() + LIMIT;
    let mut taken = Vec::new();
    while taken.len() < count {
        // Nothing is also what a change of the assignment looks like.
        if let Some(record) = consumer.poll(POLL) {
            taken.push(record?.detach());
        } else if Instant::now() > deadline {
            return Err(format!("{} of {count} records came", taken.len()).into());
        }
    }
    Ok(taken)
}

fn at(topic: &str, offset: Offset) -> Result<TopicPartitionList, rdkafka::error::KafkaError> {
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, 0, offset)?;
    Ok(list)
}

fn text(bytes: Option<&[u8]>) -> String {
    bytes.map_or("null".into(), |bytes| String::from_utf8_lossy(bytes).into_owned())
}

async fn round_trip(broker: &str, codec: &str) -> Outcome {
    let topic = create(broker, "rdkafka-codec", 1).await?;
    produce(broker, &topic, 1, 0..2000, &[("compression.type", codec)]).await?;
    let consumer = consumer(broker, "unused: partitions are assigned")?;
    consumer.assign(&at(&topic, Offset::Beginning)?)?;
    for (number, record) in (0..).zip(take(&consumer, 2000)?) {
        same("offset", i64::from(number), record.offset())?;
        same("key", format!("key-{number}"), text(record.key()))?;
        same("value", value_of(number), text(record.payload()))?;
        let headers = record.headers().ok_or("no headers")?;
        let found: Vec<_> =
            headers.iter().map(|header| (header.key, header.value.map(<[u8]>::to_vec))).collect();
        same(
            "headers",
            vec![("a", Some(vec![b'1'])), ("a", None), ("b", Some(vec![0, 255]))],
            found,
        )?;
    }
    Ok(())
}

async fn share(broker: &str, assignor: &str) -> Outcome {
    let topic = create(broker, "rdkafka-share", PARTITIONS).await?;
    let group = fresh("rdkafka-share");
    let more = [("partition.assignment.strategy", assignor)];
    produce(broker, &topic, PARTITIONS, 0..1000, &[]).await?;
    let first = Member::join(broker, &group, &topic, &more)?;
    until("alone it owns all", || first.owns(4)).await?;
    until("alone it gets all", || Ok(first.count() == 1000)).await?;
    let second = Member::join(broker, &group, &topic, &more)?;
    until("two each", || Ok(first.owns(2)? && second.owns(2)?)).await?;
    produce(broker, &topic, PARTITIONS, 1000..2000, &[]).await?;
    until("all came", || Ok(first.count() + second.count() >= 2000)).await?;
    let mut got = second.leave()?;
    until("alone again", || first.owns(4)).await?;
    produce(broker, &topic, PARTITIONS, 2000..2500, &[]).await?;
    until("all came", || Ok(first.count() + got.len() >= 2500)).await?;
    got.extend(first.leave()?);
    got.sort();
    same("each record once", (0..2500).map(value_of).collect(), got)
}

async fn resume(broker: &str) -> Outcome {
    let topic = create(broker, "rdkafka-resume", 1).await?;
    let group = fresh("rdkafka-resume");
    produce(broker, &topic, 1, 0..100, &[]).await?;
    let first = consumer(broker, &group)?;
    first.subscribe(&[&topic])?;
    take(&first, 50)?;
    first.commit(&at(&topic, Offset::Offset(42))?, CommitMode::Sync)?;
    drop(first);
    let second = consumer(broker, &group)?;
    second.subscribe(&[&topic])?;
    let rest = take(&second, 58)?;
    same("resumed at", 42, rest[0].offset())?;
    second.commit_consumer_state(CommitMode::Sync)?;
    let committed = second.committed(LIMIT)?;
    let next = committed.find_partition(&topic, 0).ok_or("nothing is committed")?.offset();
    same("next to read", Offset::Offset(100), next)
}

async fn static_restart(broker: &str) -> Outcome {
    let topic = create(broker, "rdkafka-static", PARTITIONS).await?;
    let group = fresh("rdkafka-static");
    let first = Member::join(broker, &group, &topic, &[("group.instance.id", "one")])?;
    let second = Member::join(broker, &group, &topic, &[("group.instance.id", "two")])?;
    until("two each", || Ok(first.owns(2)? && second.owns(2)?)).await?;
    let changes = first.changes();
    second.leave()?;
    let again = Member::join(broker, &group, &topic, &[("group.instance.id", "two")])?;
    until("it is back", || again.owns(2)).await?;
    produce(broker, &topic, PARTITIONS, 0..400, &[]).await?;
    until("all came", || Ok(first.count() + again.count() == 400)).await?;
    same("the other heard of it", changes, first.changes())?;
    first.leave()?;
    again.leave()?;
    Ok(())
}

async fn seek(broker: &str) -> Outcome {
    let topic = create(broker, "rdkafka-seek", 1).await?;
    produce(broker, &topic, 1, 0..100, &[("compression.type", "zstd")]).await?;
    let consumer = consumer(broker, &fresh("rdkafka-seek"))?;
    consumer.subscribe(&[&topic])?;
    take(&consumer, 100)?;
    consumer.seek(&topic, 0, Offset::Offset(57), LIMIT)?;
    same("by offset", value_of(57), text(take(&consumer, 1)?[0].payload()))?;
    let found = consumer.offsets_for_times(at(&topic, Offset::Offset(*BASE_MS + 331))?, LIMIT)?;
    let offset = found.find_partition(&topic, 0).ok_or("no offset by time")?.offset();
    same("found by time", Offset::Offset(34), offset)?;
    consumer.seek(&topic, 0, offset, LIMIT)?;
    let record = &take(&consumer, 1)?[0];
    same("by time", value_of(34), text(record.payload()))?;
    same("its time", Some(*BASE_MS + 340), record.timestamp().to_millis())?;
    same("watermarks", (0, 100), consumer.fetch_watermarks(&topic, 0, LIMIT)?)
}
