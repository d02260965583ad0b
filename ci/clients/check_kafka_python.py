"""kafka-python (pure Python) against a broker: assigned partitions, seeking, offsets, topics, every codec.

kafka-python guesses a Kafka release from the API versions that the broker advertises; with `api_version` it speaks
as an older client would, so one check runs the road with the versions of several releases.
"""

import kafka
from checks import await_that, check, each, fresh_topic, main, same, same_records, values
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import KafkaAdminClient, NewTopic
from kafka.errors import KafkaError, TopicAlreadyExistsError, InvalidTopicError, OffsetOutOfRangeError

CODECS = [None, "gzip", "snappy", "lz4", "zstd"]
SECONDS_MAX = 60


def produce(broker, topic, records, partition=0, timestamps=None, headers=None, key=None, **settings):
    """Writes the values and returns the offsets of the acknowledgements."""
    base = {"bootstrap_servers": broker, "linger_ms": 20}
    if settings.get("enable_idempotence") is False:
        # A first batch that is retried (the leader of a new topic may not know it yet) would be overtaken.
        base["max_in_flight_requests_per_connection"] = 1
    producer = KafkaProducer(**(base | settings))
    try:
        sent = [
            producer.send(
                topic, value, key=key, partition=partition, headers=headers or [],
                timestamp_ms=timestamps[index] if timestamps else None,
            )
            for index, value in enumerate(records)
        ]
        producer.flush(timeout=SECONDS_MAX)
        return [future.get(timeout=SECONDS_MAX).offset for future in sent]
    finally:
        producer.close(timeout=SECONDS_MAX)


def consumer(broker, **settings):
    base = {
        "bootstrap_servers": broker,
        "group_id": None,
        "auto_offset_reset": "none",
        "fetch_max_wait_ms": 100,
        "check_crcs": True,
    }
    return KafkaConsumer(**(base | settings))


def take(reader, count):
    """At least `count` records in order, or a failure; what came with the last answer is cut off."""
    taken = []

    def poll():
        for batch in reader.poll(timeout_ms=500).values():
            taken.extend(batch)
        return len(taken) >= count

    await_that(f"{count} records", SECONDS_MAX, poll)
    return taken[:count]


def read_from(broker, topic, offset, count, partition=0, **settings):
    reader = consumer(broker, **settings)
    try:
        reader.assign([TopicPartition(topic, partition)])
        reader.seek(TopicPartition(topic, partition), offset)
        return take(reader, count)
    finally:
        reader.close()


@each(*[(codec, acks) for codec in CODECS for acks in (0, 1, "all")])
def round_trip(broker, codec, acks):
    """kafka-python writes and reads back 1000 records with codec {}, acks {}"""
    topic, records = fresh_topic(f"python-{codec}-{acks}"), values(1000)
    settings = {"compression_type": codec, "acks": acks, "enable_idempotence": False}
    offsets = produce(broker, topic, records, **settings)
    if acks != 0:
        same("offsets of the acknowledgements", list(range(1000)), offsets)
    taken = read_from(broker, topic, 0, 1000)
    same_records("values", records, [m.value for m in taken])
    same("offsets", list(range(1000)), [m.offset for m in taken])


@each(*[(codec,) for codec in CODECS])
def idempotent(broker, codec):
    """kafka-python's idempotent producer with codec {} in small batches"""
    topic, records = fresh_topic("python-idempotent"), values(1000)
    offsets = produce(broker, topic, records, compression_type=codec, batch_size=4096, linger_ms=0)
    same("offsets", list(range(1000)), offsets)
    same_records("values", records, [m.value for m in read_from(broker, topic, 0, 1000)])


@each(*[(".".join(map(str, version)), version) for version in [(2, 1), (2, 4), (2, 8), (3, 5), (4, 0), (4, 3)]])
def speaks_as_of(broker, name, version):
    """kafka-python speaking as of Kafka {0} writes, finds and reads"""
    topic, records, base = fresh_topic(f"python-as-of-{name}"), values(200), 1_700_000_000_000
    times = [base + 10 * i for i in range(200)]
    produce(broker, topic, records, timestamps=times, compression_type="lz4", api_version=version)
    taken = read_from(broker, topic, 0, 200, api_version=version)
    same_records("values", records, [m.value for m in taken])
    same("timestamps", times, [m.timestamp for m in taken])
    reader, partition = consumer(broker, api_version=version), TopicPartition(topic, 0)
    same("by time", 58, reader.offsets_for_times({partition: base + 571})[partition].offset)
    same("end", {partition: 200}, reader.end_offsets([partition]))
    same("topics", True, topic in reader.topics())
    reader.close()


@check
def seek(broker):
    """kafka-python assigns and seeks: to an offset, to the beginning, to the end"""
    topic, records = fresh_topic("python-seek"), values(500)
    produce(broker, topic, records, compression_type="gzip")
    partition, reader = TopicPartition(topic, 0), consumer(broker)
    reader.assign([partition])
    reader.seek(partition, 123)
    same("sought 123", list(range(123, 500)), [m.offset for m in take(reader, 377)])
    reader.seek(partition, 7)
    same("sought 7", records[7:17], [m.value for m in take(reader, 10)])
    reader.seek_to_beginning(partition)
    same("beginning", (0, records[0]), (reader.position(partition), take(reader, 1)[0].value))
    reader.seek_to_end(partition)
    same("end", 500, reader.position(partition))
    produce(broker, topic, [b"later"])
    same("woken by", (500, b"later"), (lambda m: (m.offset, m.value))(take(reader, 1)[0]))
    same("high watermark", 501, reader.highwater(partition))
    reader.close()


@check
def out_of_range(broker):
    """kafka-python is told of an offset out of range"""
    topic = fresh_topic("python-range")
    produce(broker, topic, values(10))
    try:
        read_from(broker, topic, 11, 1)
    except OffsetOutOfRangeError:
        pass
    else:
        raise AssertionError("no error")
    same("reset", 0, read_from(broker, topic, 11, 10, auto_offset_reset="earliest")[0].offset)


@each(*[(codec,) for codec in CODECS])
def offsets_for_times(broker, codec):
    """kafka-python finds offsets by time with codec {}, within batches too"""
    topic, records, base = fresh_topic("python-times"), values(300), 1_700_000_000_000
    produce(broker, topic, records, timestamps=[base + 10 * i for i in range(300)], compression_type=codec)
    partition, reader = TopicPartition(topic, 0), consumer(broker)

    def at(time):
        found = reader.offsets_for_times({partition: time})[partition]
        return found and (found.offset, found.timestamp)

    same("before all", (0, base), at(base - 1_000_000))
    same("exactly record 57", (57, base + 570), at(base + 570))
    same("just after record 57", (58, base + 580), at(base + 571))
    same("the last", (299, base + 2990), at(base + 2990))
    same("after all", None, at(base + 2991))
    reader.close()


@check
def beginning_and_end(broker):
    """kafka-python asks for beginning and end offsets of several partitions"""
    topic = fresh_topic("python-ends")
    create(broker, NewTopic(topic, 3, 1))
    produce(broker, topic, values(42), partition=1)
    partitions, reader = [TopicPartition(topic, p) for p in range(3)], consumer(broker)
    same("beginnings", [0, 0, 0], [reader.beginning_offsets(partitions)[p] for p in partitions])
    same("ends", [0, 42, 0], [reader.end_offsets(partitions)[p] for p in partitions])
    same("partitions", {0, 1, 2}, reader.partitions_for_topic(topic))
    reader.close()


def create(broker, *topics):
    admin = KafkaAdminClient(bootstrap_servers=broker)
    try:
        admin.create_topics(list(topics))
    finally:
        admin.close()


@check
def create_and_delete(broker):
    """kafka-python creates, describes and deletes topics"""
    topic = fresh_topic("python-admin")
    admin = KafkaAdminClient(bootstrap_servers=broker)
    admin.create_topics([NewTopic(topic, 4, 1)])
    [described] = await_that("described", SECONDS_MAX, lambda: admin.describe_topics([topic]))
    same("partitions", 4, len(described["partitions"]))
    expect(TopicAlreadyExistsError, lambda: admin.create_topics([NewTopic(topic, 4, 1)]))
    expect(InvalidTopicError, lambda: admin.create_topics([NewTopic("no such/name", 4, 1)]))
    admin.delete_topics([topic])
    await_that("gone from the listing", SECONDS_MAX, lambda: topic not in admin.list_topics())
    expect(KafkaError, lambda: admin.delete_topics([topic]))
    admin.close()


def expect(kind, action):
    try:
        action()
    except kind:
        return
    raise AssertionError(f"no {kind.__name__}")


@check
def describe_cluster(broker):
    """kafka-python describes the cluster"""
    admin = KafkaAdminClient(bootstrap_servers=broker)
    cluster = admin.describe_cluster()
    same("brokers", [broker], [f"{b['host']}:{b['port']}" for b in cluster["brokers"]])
    same("length of the cluster id", 22, len(cluster["cluster_id"]))
    admin.close()


@check
def keys_headers_nulls(broker):
    """kafka-python keeps keys, repeated headers, null and empty values"""
    topic, headers = fresh_topic("python-headers"), [("a", b"1"), ("a", b"\x00\xff"), ("", b"")]
    produce(broker, topic, [b"v", None, b""], headers=headers, key=b"\x00key\xff")
    taken = read_from(broker, topic, 0, 3)
    same("values", [b"v", None, b""], [m.value for m in taken])
    for message in taken:
        same("headers and key", (headers, b"\x00key\xff"), (list(message.headers), message.key))


@each((True,), (False,))
def many_partitions(broker, sessions):
    """kafka-python reads 6 partitions at once, incremental fetch sessions: {}"""
    topic, records = fresh_topic("python-many"), values(1200)
    create(broker, NewTopic(topic, 6, 1))
    for partition in range(6):
        produce(broker, topic, records[partition::6], partition=partition, compression_type="snappy")
    reader = consumer(broker, enable_incremental_fetch_sessions=sessions, max_partition_fetch_bytes=5000)
    partitions = [TopicPartition(topic, p) for p in range(6)]
    reader.assign(partitions)
    for partition in partitions:
        reader.seek(partition, 0)
    found = {p: [] for p in range(6)}
    for message in take(reader, 1200):
        found[message.partition].append(message.value)
    reader.close()
    for partition in range(6):
        same_records(f"partition {partition}", records[partition::6], found[partition])


@check
def isolation(broker):
    """kafka-python reads committed where no transaction is open"""
    topic, records = fresh_topic("python-isolation"), values(100)
    produce(broker, topic, records)
    taken = read_from(broker, topic, 0, 100, isolation_level="read_committed")
    same_records("values", records, [m.value for m in taken])


if __name__ == "__main__":
    main(f"kafka-python {kafka.__version__}")
