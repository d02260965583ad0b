"""confluent-kafka (Python on librdkafka) in groups, and its admin client: groups, offsets, settings, records."""

import threading

import confluent_kafka
import kafka
from checks import await_that, check, each, fresh_topic, main, same, same_records, values
from confluent_kafka import (
    OFFSET_INVALID,
    Consumer,
    ConsumerGroupState,
    ConsumerGroupTopicPartitions,
    ConsumerGroupType,
    KafkaError,
    KafkaException,
    TopicCollection,
    TopicPartition,
)
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ConfigSource,
    NewPartitions,
    NewTopic,
)
from confluent_writes import SECONDS_MAX, expect_code, produce

PARTITIONS = 4


def admin_of(broker):
    return AdminClient({"bootstrap.servers": broker})


def create(broker, name, partitions=1, **config):
    topic, admin = fresh_topic(name), admin_of(broker)
    admin.create_topics([NewTopic(topic, partitions, 1, config=config)])[topic].result(SECONDS_MAX)
    # A broker may hear of it a moment after the controller has made it.
    await_that("the topic is known", SECONDS_MAX, lambda: topic in admin.list_topics(timeout=SECONDS_MAX).topics)
    return topic


def spread(broker, topic, records, partitions, **settings):
    """Writes the values, spread over the partitions in turn."""
    for partition in range(partitions):
        produce(broker, topic, records[partition::partitions], partition=partition, linger_ms=1, **settings)


def in_group(broker, group, **settings):
    base = {
        "bootstrap.servers": broker,
        "group.id": group,
        "auto.offset.reset": "earliest",
        "enable.auto.commit": False,
        "fetch.wait.max.ms": 100,
        "heartbeat.interval.ms": 300,
    }
    on_commit = {"on_commit": settings.pop("committed")} if "committed" in settings else {}
    return Consumer(base | {k.replace("_", "."): v for k, v in settings.items()} | on_commit)


class Member:
    """A member of a group on a thread of its own; commits before a partition is taken away."""

    def __init__(self, broker, group, topics, **settings):
        self.values, self.owned, self.changes, self.failure = [], set(), 0, None
        self.leaving = threading.Event()
        self.consumer = in_group(broker, group, **settings)
        self.consumer.subscribe(topics, on_assign=self.assigned, on_revoke=self.revoked, on_lost=self.lost)
        self.thread = threading.Thread(target=self.live, daemon=True)
        self.thread.start()

    def assigned(self, _, partitions):
        self.changes += 1
        self.owned |= {p.partition for p in partitions}

    def revoked(self, _, partitions):
        self.changes += 1
        self.commit()
        self.owned -= {p.partition for p in partitions}

    def lost(self, _, partitions):
        self.failure = self.failure or AssertionError(f"lost {partitions}")

    def commit(self):
        try:
            self.consumer.commit(asynchronous=False)
        except KafkaException as error:
            if error.args[0].code() != KafkaError._NO_OFFSET:
                raise

    def live(self):
        try:
            while not self.leaving.is_set():
                for message in self.consumer.consume(500, timeout=0.05):
                    if message.error():
                        raise KafkaException(message.error())
                    self.values.append(message.value())
            self.consumer.close()
        except BaseException as error:
            self.failure = self.failure or error

    def owns(self, count):
        if self.failure:
            raise self.failure
        return len(self.owned) == count

    def leave(self):
        self.leaving.set()
        self.thread.join(SECONDS_MAX)
        if self.failure:
            raise self.failure


def once_each(what, records, *members):
    """Each of the records came to one of the members, once."""

    def all_came():
        for member in members:
            if member.failure:
                raise member.failure
        return sum(len(member.values) for member in members) >= len(records)

    await_that(f"{what}: {len(records)} records", SECONDS_MAX, all_came)
    same_records(what, sorted(records), sorted(value for member in members for value in member.values))


@each(("range",), ("roundrobin",), ("cooperative-sticky",))
def share(broker, assignor):
    """confluent-kafka shares a topic between two members by {}, each record once"""
    topic, group, records = create(broker, "confluent-share", PARTITIONS), fresh_topic("confluent-share"), values(2500)
    settings = {"partition_assignment_strategy": assignor}
    spread(broker, topic, records[:1000], PARTITIONS)
    first = Member(broker, group, [topic], **settings)
    await_that("alone it owns all", SECONDS_MAX, lambda: first.owns(PARTITIONS))
    once_each("alone", records[:1000], first)
    second = Member(broker, group, [topic], **settings)
    await_that("two each", SECONDS_MAX, lambda: first.owns(2) and second.owns(2))
    same("together", set(range(PARTITIONS)), first.owned | second.owned)
    spread(broker, topic, records[1000:2000], PARTITIONS)
    once_each("together", records[:2000], first, second)
    second.leave()
    await_that("alone again", SECONDS_MAX, lambda: first.owns(PARTITIONS))
    spread(broker, topic, records[2000:], PARTITIONS)
    once_each("within the group", records, first, second)
    first.leave()


@check
def three_members_make_a_queue(broker):
    """confluent-kafka: three members divide a topic, two other groups read all of it"""
    topic, records = create(broker, "confluent-queue", 3), values(900)
    queue, other = fresh_topic("confluent-queue"), fresh_topic("confluent-other")
    members = [Member(broker, queue, [topic]) for _ in range(3)]
    await_that("one partition each", SECONDS_MAX, lambda: all([member.owns(1) for member in members]))
    spread(broker, topic, records, 3)
    once_each("the queue", records, *members)
    same("shares", [300, 300, 300], [len(member.values) for member in members])
    later = Member(broker, other, [topic])
    once_each("a group that comes later", records, later)
    for member in [*members, later]:
        member.leave()


@check
def five_members_of_four_partitions(broker):
    """confluent-kafka: of five members and four partitions one waits, and takes over"""
    topic, group = create(broker, "confluent-five", 4), fresh_topic("confluent-five")
    members = [Member(broker, group, [topic]) for _ in range(5)]
    owned = lambda: sorted(len(member.owned) for member in members if member.owns(len(member.owned)))
    await_that("four work, one waits", SECONDS_MAX, lambda: owned() == [0, 1, 1, 1, 1])
    next(member for member in members if member.owned).leave()
    waiting = [member for member in members if not member.leaving.is_set()]
    await_that("all work", SECONDS_MAX, lambda: all([member.owns(1) for member in waiting]))
    for member in waiting:
        member.leave()


@check
def static_member(broker):
    """confluent-kafka restarts a static member without a rebalance"""
    topic, group = create(broker, "confluent-static", PARTITIONS), fresh_topic("confluent-static")
    first = Member(broker, group, [topic], group_instance_id="one")
    second = Member(broker, group, [topic], group_instance_id="two")
    await_that("two each", SECONDS_MAX, lambda: first.owns(2) and second.owns(2))
    before, changes = set(second.owned), first.changes
    second.leave()
    again = Member(broker, group, [topic], group_instance_id="two")
    await_that("it is back", SECONDS_MAX, lambda: again.owns(2))
    same("with what it had", before, again.owned)
    records = values(200)
    spread(broker, topic, records, PARTITIONS)
    once_each("after", records, first, again)
    same("the other heard of it", changes, first.changes)
    first.leave()
    again.leave()


@check
def resume(broker):
    """confluent-kafka commits with metadata, synchronously and not, and resumes"""
    topic, group, records = create(broker, "confluent-resume"), fresh_topic("confluent-resume"), values(100)
    spread(broker, topic, records, 1)
    reader = in_group(broker, group)
    reader.subscribe([topic])
    taken = []
    await_that("50 records", SECONDS_MAX, lambda: taken.extend(reader.consume(50 - len(taken), 0.5)) or len(taken) == 50)
    reader.commit(offsets=[TopicPartition(topic, 0, 42, "half way")], asynchronous=False)
    [committed] = reader.committed([TopicPartition(topic, 0)], SECONDS_MAX)
    same("committed", (42, "half way"), (committed.offset, committed.metadata))
    reader.close()
    told = []
    reader = in_group(broker, group, committed=lambda error, offsets: told.append((error, offsets[0].offset)))
    reader.subscribe([topic])
    taken = []
    await_that("the rest", SECONDS_MAX, lambda: taken.extend(reader.consume(58 - len(taken), 0.5)) or len(taken) == 58)
    same_records("the rest", records[42:], [message.value() for message in taken])
    reader.commit()
    await_that("the callback", SECONDS_MAX, lambda: reader.poll(0.05) or told)
    same("next to read", [(None, 100)], told)
    reader.close()


@check
def automatic_commit(broker):
    """confluent-kafka commits by itself what was stored, on its interval and at the end"""
    topic, group, records = create(broker, "confluent-auto"), fresh_topic("confluent-auto"), values(20)
    spread(broker, topic, records, 1)
    reader = in_group(broker, group, enable_auto_commit=True, auto_commit_interval_ms=100)
    reader.subscribe([topic])
    taken = []
    await_that("all", SECONDS_MAX, lambda: taken.extend(reader.consume(20 - len(taken), 0.5)) or len(taken) == 20)
    committed = lambda: reader.committed([TopicPartition(topic, 0)], SECONDS_MAX)[0].offset
    await_that("committed", SECONDS_MAX, lambda: (reader.poll(0.02), committed())[1] == 20)
    spread(broker, topic, records, 1)
    await_that("more", SECONDS_MAX, lambda: taken.extend(reader.consume(40 - len(taken), 0.5)) or len(taken) == 40)
    reader.close()
    looker = in_group(broker, group)
    [last] = looker.committed([TopicPartition(topic, 0)], SECONDS_MAX)
    same("committed at the end", 40, last.offset)
    looker.close()


@check
def external_offsets(broker):
    """confluent-kafka keeps its offsets elsewhere: assigns and seeks, and a stand-alone commit is kept"""
    topic, group, records = create(broker, "confluent-external"), fresh_topic("confluent-external"), values(30)
    spread(broker, topic, records, 1)
    reader = in_group(broker, group)
    reader.assign([TopicPartition(topic, 0, 12)])
    same("from 12", records[12], reader.consume(1, SECONDS_MAX)[0].value())
    [before] = reader.committed([TopicPartition(topic, 0)], SECONDS_MAX)
    same("nothing is committed", OFFSET_INVALID, before.offset)
    reader.commit(offsets=[TopicPartition(topic, 0, 13)], asynchronous=False)
    reader.close()
    reader = in_group(broker, group)
    [after] = reader.committed([TopicPartition(topic, 0)], SECONDS_MAX)
    same("committed", 13, after.offset)
    reader.close()


@check
def groups(broker):
    """confluent-kafka lists and describes groups, in every state"""
    topic, group, records = create(broker, "confluent-groups", 2), fresh_topic("confluent-groups"), values(20)
    admin = admin_of(broker)
    spread(broker, topic, records, 2)
    member = Member(broker, group, [topic], client_id="a-client", group_instance_id="a-name")
    await_that("it owns all", SECONDS_MAX, lambda: member.owns(2))
    once_each("all", records, member)
    described = admin.describe_consumer_groups([group])[group].result(SECONDS_MAX)
    same("state", ConsumerGroupState.STABLE, described.state)
    same("assignor and kind", ("range", False), (described.partition_assignor, described.is_simple_consumer_group))
    same("coordinator", broker, f"{described.coordinator.host}:{described.coordinator.port}")
    [one] = described.members
    same("member", ("a-client", "a-name", True), (one.client_id, one.group_instance_id, one.host.endswith("127.0.0.1")))
    same("assigned", [(topic, 0), (topic, 1)], sorted((p.topic, p.partition) for p in one.assignment.topic_partitions))
    listed = lambda **filter: {
        found.group_id: (found.state, found.type)
        for found in admin.list_consumer_groups(**filter).result(SECONDS_MAX).valid
    }
    stable = (ConsumerGroupState.STABLE, ConsumerGroupType.CLASSIC)
    same("listed", stable, listed().get(group))
    same("listed by state", stable, listed(states={ConsumerGroupState.STABLE}).get(group))
    same("listed by another state", None, listed(states={ConsumerGroupState.EMPTY}).get(group))
    same("listed by type", stable, listed(types={ConsumerGroupType.CLASSIC}).get(group))
    expect_code(KafkaError.NON_EMPTY_GROUP, admin.delete_consumer_groups([group])[group])
    # A static member does not say that it leaves.
    member.leave()
    unknown = fresh_topic("confluent-unknown")
    expect_code(KafkaError.GROUP_ID_NOT_FOUND, admin.delete_consumer_groups([unknown])[unknown])


@check
def group_offsets(broker):
    """confluent-kafka lists and alters the offsets of a group, and deletes the group"""
    topic, group, records = create(broker, "confluent-offsets", 2), fresh_topic("confluent-offsets"), values(20)
    admin = admin_of(broker)
    spread(broker, topic, records, 2)
    member = Member(broker, group, [topic])
    once_each("all", records, member)
    changed = ConsumerGroupTopicPartitions(group, [TopicPartition(topic, 0, 3)])
    [future] = admin.alter_consumer_group_offsets([changed]).values()
    [refused] = future.result(SECONDS_MAX).topic_partitions
    same("altering offsets of a group at work", KafkaError.UNKNOWN_MEMBER_ID, refused.error.code())
    member.leave()
    offsets = lambda: {
        p.partition: p.offset
        for p in admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group)])[group]
        .result(SECONDS_MAX).topic_partitions
    }
    same("committed", {0: 10, 1: 10}, offsets())
    [future] = admin.alter_consumer_group_offsets([changed]).values()
    future.result(SECONDS_MAX)
    same("altered", {0: 3, 1: 10}, offsets())
    again = Member(broker, group, [topic])
    once_each("from the altered offset", records[6::2], again)
    again.leave()
    admin.delete_consumer_groups([group])[group].result(SECONDS_MAX)
    same("offsets of a deleted group", {}, offsets())


@check
def settings(broker):
    """confluent-kafka alters, appends to, subtracts from and resets settings of a topic"""
    topic, admin = create(broker, "confluent-settings"), admin_of(broker)
    resource = ConfigResource(ConfigResource.Type.TOPIC, topic)

    def entry(name):
        [future] = admin.describe_configs([resource]).values()
        found = future.result(SECONDS_MAX)[name]
        return found.value, ConfigSource(found.source)

    def alter(name, value, operation):
        change = ConfigEntry(name, value, incremental_operation=operation)
        request = ConfigResource(ConfigResource.Type.TOPIC, topic, incremental_configs=[change])
        [future] = admin.incremental_alter_configs([request]).values()
        return future

    def becomes(name, value, source):
        await_that(f"{name} is {value}", SECONDS_MAX, lambda: entry(name) == (value, source))

    default, dynamic = ConfigSource.DEFAULT_CONFIG, ConfigSource.DYNAMIC_TOPIC_CONFIG
    becomes("retention.ms", "604800000", default)
    alter("retention.ms", "3600000", AlterConfigOpType.SET).result(SECONDS_MAX)
    becomes("retention.ms", "3600000", dynamic)
    alter("cleanup.policy", "compact", AlterConfigOpType.APPEND).result(SECONDS_MAX)
    becomes("cleanup.policy", "delete,compact", dynamic)
    alter("cleanup.policy", "delete", AlterConfigOpType.SUBTRACT).result(SECONDS_MAX)
    becomes("cleanup.policy", "compact", dynamic)
    alter("retention.ms", None, AlterConfigOpType.DELETE).result(SECONDS_MAX)
    becomes("retention.ms", "604800000", default)
    expect_code(KafkaError.INVALID_CONFIG, alter("retention.ms", "soon", AlterConfigOpType.SET))
    expect_code(KafkaError.INVALID_CONFIG, alter("no.such.setting", "1", AlterConfigOpType.SET))


@check
def keyless_where_compacted(broker):
    """confluent-kafka is refused a record without a key where the topic compacts"""
    topic = create(broker, "confluent-compact", **{"cleanup.policy": "compact"})
    produce(broker, topic, [b"value"], key=b"key")
    reports = []
    producer = confluent_kafka.Producer({"bootstrap.servers": broker})
    producer.produce(topic, b"value", on_delivery=lambda error, _: reports.append(error and error.code()))
    same("left", 0, producer.flush(SECONDS_MAX))
    same("report", [KafkaError.INVALID_RECORD], reports)


@check
def large_record(broker):
    """confluent-kafka reads a record of 5 MiB though it asks for 1 MiB a partition (KIP-74)"""
    topic = create(broker, "confluent-large", **{"max.message.bytes": "6000000"})
    record = values(1, size=20_000_000)[0][: 5 << 20]
    produce(broker, topic, [b"before", record, b"after"], message_max_bytes=6_000_000)
    reader = in_group(broker, fresh_topic("confluent-large"), max_partition_fetch_bytes=1 << 20)
    reader.subscribe([topic])
    taken = []
    await_that("three", SECONDS_MAX, lambda: taken.extend(reader.consume(3 - len(taken), 0.5)) or len(taken) == 3)
    same_records("values", [b"before", record, b"after"], [message.value() for message in taken])
    reader.close()


@check
def same_partition_for_a_key(broker):
    """confluent-kafka with Java's partitioner and kafka-python send a key to the same partition"""
    topic, keys = create(broker, "confluent-keys", 7), [b"key-%d" % n for n in range(100)]
    sent = {}
    producer = confluent_kafka.Producer({"bootstrap.servers": broker, "partitioner": "murmur2_random"})
    for key in keys:
        producer.produce(topic, b"v", key, on_delivery=lambda _, m: sent.__setitem__(m.key(), m.partition()))
    same("left", 0, producer.flush(SECONDS_MAX))
    other = kafka.KafkaProducer(bootstrap_servers=broker)
    futures = {key: other.send(topic, b"v", key=key) for key in keys}
    same("partitions", sent, {key: future.get(SECONDS_MAX).partition for key, future in futures.items()})
    other.close()


@check
def grow(broker):
    """confluent-kafka adds partitions to a topic, which cannot shrink, and describes it"""
    topic, admin = create(broker, "confluent-grow", 2), admin_of(broker)
    admin.create_partitions([NewPartitions(topic, 5)])[topic].result(SECONDS_MAX)
    expect_code(KafkaError.INVALID_PARTITIONS, admin.create_partitions([NewPartitions(topic, 3)])[topic])
    expect_code(KafkaError.INVALID_PARTITIONS, admin.create_partitions([NewPartitions(topic, 5)])[topic])
    await_that("five", SECONDS_MAX, lambda: len(admin.list_topics(topic, timeout=SECONDS_MAX).topics[topic].partitions) == 5)
    described = admin.describe_topics(TopicCollection([topic]))[topic].result(SECONDS_MAX)
    same("described", (topic, False, 5), (described.name, described.is_internal, len(described.partitions)))
    produce(broker, topic, values(10), partition=4)


@check
def delete_records(broker):
    """confluent-kafka deletes records up to an offset and to the end"""
    topic, admin = create(broker, "confluent-delete"), admin_of(broker)
    produce(broker, topic, values(100))
    delete = lambda offset: admin.delete_records([TopicPartition(topic, 0, offset)])[TopicPartition(topic, 0)]
    same("low watermark", 60, delete(60).result(SECONDS_MAX).low_watermark)
    expect_code(KafkaError.OFFSET_OUT_OF_RANGE, delete(101))
    reader = in_group(broker, fresh_topic("confluent-delete"))
    same("bounds", (60, 100), reader.get_watermark_offsets(TopicPartition(topic, 0), timeout=SECONDS_MAX))
    same("the rest goes", 100, delete(confluent_kafka.OFFSET_END).result(SECONDS_MAX).low_watermark)
    same("bounds", (100, 100), reader.get_watermark_offsets(TopicPartition(topic, 0), timeout=SECONDS_MAX))
    reader.close()


if __name__ == "__main__":
    main(f"confluent-kafka {confluent_kafka.__version__}, librdkafka {confluent_kafka.libversion()[0]}")
