"""confluent-kafka (Python on librdkafka) against a broker: assigned partitions, seeking, offsets, topics."""

import json

import confluent_kafka
from checks import await_that, check, each, fresh_topic, main, same, same_records, values
from confluent_kafka import (
    OFFSET_BEGINNING,
    OFFSET_END,
    Consumer,
    IsolationLevel,
    KafkaError,
    Producer,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic, OffsetSpec
from confluent_writes import SECONDS_MAX, expect_code, produce
from losing_line import LosingLine

CODECS = ["none", "gzip", "snappy", "lz4", "zstd"]


def consumer(broker, **settings):
    base = {
        "bootstrap.servers": broker,
        "group.id": "unused: partitions are assigned",
        "enable.auto.commit": False,
        "auto.offset.reset": "error",
        "fetch.wait.max.ms": 100,
    }
    on_stats = {"stats_cb": settings.pop("on_stats")} if "on_stats" in settings else {}
    return Consumer(base | {k.replace("_", "."): v for k, v in settings.items()} | on_stats)


def take(reader, count):
    """Exactly `count` records, or a failure."""
    taken = []
    while len(taken) < count:
        batch = reader.consume(min(count - len(taken), 1000), timeout=SECONDS_MAX)
        if not batch:
            raise AssertionError(f"{len(taken)} of {count} records came")
        for message in batch:
            if message.error():
                raise AssertionError(f"after {len(taken)} records: {message.error()}")
            taken.append(message)
    return taken


def read_from(broker, topic, offset, count, partition=0, **settings):
    reader = consumer(broker, **settings)
    try:
        reader.assign([TopicPartition(topic, partition, offset)])
        return take(reader, count)
    finally:
        reader.close()


@each(*[(codec, acks) for codec in CODECS for acks in ("0", "1", "all")])
def round_trip(broker, codec, acks):
    """confluent-kafka writes and reads back 3000 records with codec {}, acks {}"""
    topic, records = fresh_topic(f"confluent-{codec}-{acks}"), values(3000)
    offsets = produce(broker, topic, records, compression_type=codec, acks=acks)
    if acks != "0":
        same("offsets of the delivery reports", list(range(3000)), offsets)
    taken = read_from(broker, topic, OFFSET_BEGINNING, 3000)
    same_records("values", records, [m.value() for m in taken])
    same("offsets", list(range(3000)), [m.offset() for m in taken])


@each(*[(codec,) for codec in CODECS])
def idempotent(broker, codec):
    """confluent-kafka's idempotent producer with codec {} in many small batches"""
    topic, records = fresh_topic("confluent-idempotent"), values(2000)
    settings = {"enable_idempotence": True, "batch_num_messages": 50, "compression_type": codec}
    same("offsets", list(range(2000)), produce(broker, topic, records, **settings))
    taken = read_from(broker, topic, OFFSET_BEGINNING, 2000)
    same_records("values", records, [m.value() for m in taken])


@check
def seek(broker):
    """confluent-kafka assigns at an offset, seeks forth and back, and pauses"""
    topic, records = fresh_topic("confluent-seek"), values(500)
    produce(broker, topic, records, compression_type="zstd")
    reader = consumer(broker)
    reader.assign([TopicPartition(topic, 0, 123)])
    same("assigned at 123", records[123:128], [m.value() for m in take(reader, 5)])
    reader.seek(TopicPartition(topic, 0, 400))
    same("sought 400", list(range(400, 500)), [m.offset() for m in take(reader, 100)])
    reader.seek(TopicPartition(topic, 0, 7))
    same("sought 7", records[7:10], [m.value() for m in take(reader, 3)])
    same("position", 10, reader.position([TopicPartition(topic, 0)])[0].offset)
    reader.pause([TopicPartition(topic, 0)])
    reader.seek(TopicPartition(topic, 0, 0))
    same("while paused", [], reader.consume(1, timeout=0.5))
    reader.resume([TopicPartition(topic, 0)])
    same("resumed", records[0], take(reader, 1)[0].value())
    reader.close()


@check
def seek_to_end(broker):
    """confluent-kafka assigned at the end sees only what comes after"""
    topic, records = fresh_topic("confluent-end"), values(10)
    produce(broker, topic, records)
    reader = consumer(broker, enable_partition_eof=True)
    reader.assign([TopicPartition(topic, 0, OFFSET_END)])
    event = reader.poll(SECONDS_MAX)
    same("end of partition", KafkaError._PARTITION_EOF, event.error().code())
    same("its offset", 10, event.offset())
    produce(broker, topic, [b"later"])
    same("woken by", b"later", take(reader, 1)[0].value())
    reader.close()


@check
def out_of_range(broker):
    """confluent-kafka is told of an offset out of range, or resets it"""
    topic, records = fresh_topic("confluent-range"), values(10)
    produce(broker, topic, records)
    reader = consumer(broker)
    reader.assign([TopicPartition(topic, 0, 11)])
    event = await_that("an error", SECONDS_MAX, lambda: reader.poll(1))
    same("error", KafkaError._AUTO_OFFSET_RESET, event.error().code())
    reader.close()
    taken = read_from(broker, topic, 11, 10, auto_offset_reset="earliest")
    same_records("reset to earliest", records, [m.value() for m in taken])


@each(*[(codec,) for codec in CODECS])
def offsets_for_times(broker, codec):
    """confluent-kafka finds offsets by time with codec {}, within batches too"""
    topic, records = fresh_topic("confluent-times"), values(300)
    base = 1_700_000_000_000
    produce(
        broker, topic, records, timestamps=[base + 10 * i for i in range(300)],
        compression_type=codec, batch_num_messages=100,
    )
    reader = consumer(broker)

    def at(time):
        [found] = reader.offsets_for_times([TopicPartition(topic, 0, time)], timeout=SECONDS_MAX)
        same("error", None, found.error)
        return found.offset

    same("before all", 0, at(base - 1_000_000))
    same("the first", 0, at(base))
    same("exactly record 57", 57, at(base + 570))
    same("just after record 57", 58, at(base + 571))
    same("the first of a batch", 100, at(base + 1000))
    same("the last", 299, at(base + 2990))
    same("after all", OFFSET_END, at(base + 2991))
    reader.close()
    taken = read_from(broker, topic, 57, 1)
    same("timestamp kept", base + 570, taken[0].timestamp()[1])
    same("timestamp type", confluent_kafka.TIMESTAMP_CREATE_TIME, taken[0].timestamp()[0])


@check
def position_with_epoch(broker):
    """confluent-kafka validates a position that carries a leader epoch (KIP-320)"""
    topic, records = fresh_topic("confluent-epoch"), values(20)
    produce(broker, topic, records)
    epoch = read_from(broker, topic, OFFSET_BEGINNING, 1)[0].leader_epoch()
    reader = consumer(broker)
    reader.assign([TopicPartition(topic, 0, 5, leader_epoch=epoch)])
    same("from offset 5", records[5:], [m.value() for m in take(reader, 15)])
    reader.close()


@check
def watermarks(broker):
    """confluent-kafka queries watermarks of empty and filled partitions"""
    topic = fresh_topic("confluent-watermarks")
    admin = AdminClient({"bootstrap.servers": broker})
    admin.create_topics([NewTopic(topic, 2, 1)])[topic].result(SECONDS_MAX)
    produce(broker, topic, values(42), partition=1)
    reader = consumer(broker)
    same("empty", (0, 0), reader.get_watermark_offsets(TopicPartition(topic, 0), timeout=SECONDS_MAX))
    same("filled", (0, 42), reader.get_watermark_offsets(TopicPartition(topic, 1), timeout=SECONDS_MAX))
    reader.close()


@check
def list_offsets(broker):
    """confluent-kafka's admin lists earliest, latest, max timestamp and timed offsets"""
    topic, base = fresh_topic("confluent-list"), 1_700_000_000_000
    # The largest timestamp is not the last record's.
    times = [base + t for t in (0, 10, 500, 20, 30)]
    produce(broker, topic, values(5), timestamps=times)
    admin = AdminClient({"bootstrap.servers": broker})
    partition = TopicPartition(topic, 0)

    def at(spec):
        return admin.list_offsets({partition: spec})[partition].result(SECONDS_MAX)

    same("earliest", 0, at(OffsetSpec.earliest()).offset)
    same("latest", 5, at(OffsetSpec.latest()).offset)
    for spec in (OffsetSpec.max_timestamp(), OffsetSpec.for_timestamp(base + 15)):
        found = at(spec)
        same(f"the record of 500 ms by {spec}", (2, base + 500), (found.offset, found.timestamp))
    same("after all", -1, at(OffsetSpec.for_timestamp(base + 501)).offset)


@check
def create_and_delete(broker):
    """confluent-kafka creates, describes and deletes topics"""
    topic = fresh_topic("confluent-admin")
    admin = AdminClient({"bootstrap.servers": broker})
    admin.create_topics([NewTopic(topic, 5, 1, config={"retention.ms": "7200000"})])[topic].result(SECONDS_MAX)
    described = admin.list_topics(topic, timeout=SECONDS_MAX).topics[topic]
    same("partitions", [0, 1, 2, 3, 4], sorted(described.partitions))
    for partition in described.partitions.values():
        same("replicas are in sync", partition.replicas, partition.isrs)
        same("leader is a replica", True, partition.leader in partition.replicas)
    expect_code(KafkaError.TOPIC_ALREADY_EXISTS, admin.create_topics([NewTopic(topic, 1, 1)])[topic])
    expect_code(KafkaError.TOPIC_EXCEPTION, admin.create_topics([NewTopic("no such/name", 1, 1)])["no such/name"])
    expect_code(KafkaError.INVALID_PARTITIONS, admin.create_topics([NewTopic(topic + "-0", 0, 1)])[topic + "-0"])
    expect_code(KafkaError.INVALID_REPLICATION_FACTOR, admin.create_topics([NewTopic(topic + "-r", 1, 30)])[topic + "-r"])
    bad = NewTopic(topic + "-c", 1, 1, config={"retention.ms": "yesterday"})
    expect_code(KafkaError.INVALID_CONFIG, admin.create_topics([bad])[topic + "-c"])
    admin.delete_topics([topic])[topic].result(SECONDS_MAX)
    await_that("gone from the listing", SECONDS_MAX, lambda: topic not in admin.list_topics(timeout=SECONDS_MAX).topics)
    expect_code(KafkaError.UNKNOWN_TOPIC_OR_PART, admin.delete_topics([topic])[topic])


@check
def validate_only(broker):
    """confluent-kafka validates a new topic without creating it"""
    topic = fresh_topic("confluent-validate")
    admin = AdminClient({"bootstrap.servers": broker})
    admin.create_topics([NewTopic(topic, 3, 1)], validate_only=True)[topic].result(SECONDS_MAX)
    same("listed", False, topic in admin.list_topics(timeout=SECONDS_MAX).topics)


@check
def describe_configs(broker):
    """confluent-kafka describes the settings of a topic"""
    topic = fresh_topic("confluent-configs")
    admin = AdminClient({"bootstrap.servers": broker})
    settings = {"segment.bytes": "2097152", "cleanup.policy": "delete"}
    admin.create_topics([NewTopic(topic, 1, 1, config=settings)])[topic].result(SECONDS_MAX)
    [future] = admin.describe_configs([ConfigResource(ConfigResource.Type.TOPIC, topic)]).values()
    found = future.result(SECONDS_MAX)
    same("segment.bytes", ("2097152", False), (found["segment.bytes"].value, found["segment.bytes"].is_default))
    same("retention.ms", ("604800000", True), (found["retention.ms"].value, found["retention.ms"].is_default))


@check
def describe_cluster(broker):
    """confluent-kafka describes the cluster: id, controller, nodes"""
    admin = AdminClient({"bootstrap.servers": broker})
    cluster = admin.describe_cluster().result(SECONDS_MAX)
    same("length of the cluster id", 22, len(cluster.cluster_id))
    same("nodes", [broker], [f"{node.host}:{node.port}" for node in cluster.nodes])
    same("controller", cluster.nodes[0].id, cluster.controller.id)


@check
def deleted_and_created_again(broker):
    """A topic deleted and created again under its name is empty"""
    topic = fresh_topic("confluent-again")
    admin = AdminClient({"bootstrap.servers": broker})
    admin.create_topics([NewTopic(topic, 1, 1)])[topic].result(SECONDS_MAX)
    produce(broker, topic, values(10))
    admin.delete_topics([topic])[topic].result(SECONDS_MAX)
    await_that("gone from the listing", SECONDS_MAX, lambda: topic not in admin.list_topics(timeout=SECONDS_MAX).topics)
    admin.create_topics([NewTopic(topic, 1, 1)])[topic].result(SECONDS_MAX)
    same("offset of the first record", [0], produce(broker, topic, [b"anew"]))
    same("what is there", b"anew", read_from(broker, topic, OFFSET_BEGINNING, 1)[0].value())


@check
def many_partitions(broker):
    """confluent-kafka writes 8 partitions at once and reads each back in order"""
    topic, records = fresh_topic("confluent-many"), values(4000)
    admin = AdminClient({"bootstrap.servers": broker})
    admin.create_topics([NewTopic(topic, 8, 1)])[topic].result(SECONDS_MAX)
    settings = {"compression.type": "lz4", "linger.ms": 5, "enable.idempotence": True}
    producer = Producer({"bootstrap.servers": broker} | settings)
    for index, record in enumerate(records):
        producer.produce(topic, record, partition=index % 8)
        producer.poll(0)
    same("left", 0, producer.flush(SECONDS_MAX))
    reader = consumer(broker)
    reader.assign([TopicPartition(topic, p, OFFSET_BEGINNING) for p in range(8)])
    found = {p: [] for p in range(8)}
    for message in take(reader, 4000):
        found[message.partition()].append(message.value())
    reader.close()
    for partition in range(8):
        same_records(f"partition {partition}", records[partition::8], found[partition])


@check
def keys_headers_nulls(broker):
    """confluent-kafka keeps keys, repeated headers, null and empty values"""
    topic = fresh_topic("confluent-headers")
    headers = [("a", b"1"), ("b", None), ("a", b"\x00\xff"), ("", b"")]
    produce(broker, topic, [b"v", None, b""], headers=headers, key=b"\x00key\xff")
    taken = read_from(broker, topic, OFFSET_BEGINNING, 3)
    same("values", [b"v", None, b""], [m.value() for m in taken])
    for message in taken:
        same("headers", headers, message.headers())
        same("key", b"\x00key\xff", message.key())


@check
def isolation(broker):
    """confluent-kafka reads committed and uncommitted alike where no transaction is open"""
    topic, records = fresh_topic("confluent-isolation"), values(100)
    produce(broker, topic, records)
    for level in ("read_committed", "read_uncommitted"):
        taken = read_from(broker, topic, OFFSET_BEGINNING, 100, isolation_level=level)
        same_records(level, records, [m.value() for m in taken])
    admin, partition = AdminClient({"bootstrap.servers": broker}), TopicPartition(topic, 0)
    for level in (IsolationLevel.READ_COMMITTED, IsolationLevel.READ_UNCOMMITTED):
        found = admin.list_offsets({partition: OffsetSpec.latest()}, isolation_level=level)[partition]
        same(f"end of {level}", 100, found.result(SECONDS_MAX).offset)


@check
def small_fetches(broker):
    """confluent-kafka reads large records through small fetch limits (KIP-74)"""
    topic, records = fresh_topic("confluent-small"), [bytes([i]) * 200_000 for i in range(20)]
    produce(broker, topic, records, compression_type="none")
    limits = {"fetch_message_max_bytes": 1000, "fetch_max_bytes": 1000, "message_max_bytes": 1000}
    taken = read_from(broker, topic, OFFSET_BEGINNING, 20, **limits)
    same_records("values", records, [m.value() for m in taken])


@check
def idle(broker):
    """confluent-kafka's idle consumer asks twice a second at most, and not in a busy loop"""
    topic, seen = fresh_topic("confluent-idle"), []
    produce(broker, topic, values(1))

    def fetches(text):
        stats = json.loads(text)
        seen.append((stats["ts"] / 1e6, sum(b["req"].get("Fetch", 0) for b in stats["brokers"].values())))

    reader = consumer(broker, fetch_wait_max_ms=500, statistics_interval_ms=200, on_stats=fetches)
    reader.assign([TopicPartition(topic, 0, OFFSET_END)])
    await_that("three seconds of it", SECONDS_MAX, lambda: reader.poll(0.1) or (seen and seen[-1][0] - seen[0][0] > 3))
    # While it was assigned it asked where the end is; after that each fetch waits at the broker.
    [begin, first], [end, last] = next(entry for entry in seen if entry[1]), seen[-1]
    same("it did ask", True, last > first)
    same(f"{last - first} fetches in {end - begin:.1f} s", True, last - first <= (end - begin) / 0.5 + 2)
    reader.close()


@check
def lost_answers(broker):
    """confluent-kafka's idempotent producer writes each record once over a line that loses answers"""
    topic, records = fresh_topic("confluent-lossy"), values(300)
    produce(broker, topic, records[:1])
    with LosingLine(broker, every=4) as line:
        settings = {"enable_idempotence": True, "batch_num_messages": 5, "log_connection_close": False}
        patience = {"retry_backoff_ms": 10, "reconnect_backoff_ms": 10, "reconnect_backoff_max_ms": 50}
        produce(line.address, topic, records[1:], **settings, **patience)
    same("answers were lost", True, line.lost >= 10)
    same_records("values", records, [m.value() for m in read_from(broker, topic, OFFSET_BEGINNING, 300)])
    reader = consumer(broker)
    same("nothing more", (0, 300), reader.get_watermark_offsets(TopicPartition(topic, 0), timeout=SECONDS_MAX))
    reader.close()


if __name__ == "__main__":
    main(f"confluent-kafka {confluent_kafka.__version__}, librdkafka {confluent_kafka.libversion()[0]}")
