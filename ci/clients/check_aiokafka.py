"""aiokafka (asyncio) against a broker: producers, groups of two members, commits, seeking, its admin client."""

import asyncio
import time

import aiokafka
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRebalanceListener, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic, RecordsToDelete
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from aiokafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor
from aiokafka.errors import KafkaError, TopicAlreadyExistsError
from aiokafka.structs import OffsetAndMetadata
from checks import check, each, fresh_topic, main, same, same_records, values

CODECS = [None, "gzip", "snappy", "lz4", "zstd"]
ASSIGNORS = {
    "range": RangePartitionAssignor,
    "roundrobin": RoundRobinPartitionAssignor,
    "sticky": StickyPartitionAssignor,
}
PARTITIONS = 4
SECONDS_MAX = 60
# Recent, so that no retention takes the records.
BASE_MS = int(time.time() * 1000) - 3_600_000


def asynchronous(function):
    """Makes a check of a coroutine function."""

    def run(broker, *case):
        asyncio.run(asyncio.wait_for(function(broker, *case), 2 * SECONDS_MAX))

    run.__doc__ = function.__doc__
    return run


async def until(what, condition):
    """For what can only be observed from outside; the condition may be a coroutine function."""
    deadline = time.monotonic() + SECONDS_MAX
    while True:
        answer = condition()
        if await answer if asyncio.iscoroutine(answer) else answer:
            return
        if time.monotonic() > deadline:
            raise AssertionError(f"waited in vain: {what}")
        await asyncio.sleep(0.02)


async def with_admin(broker, action):
    admin = AIOKafkaAdminClient(bootstrap_servers=broker)
    await admin.start()
    try:
        return await action(admin)
    finally:
        await admin.close()


async def create(broker, name, partitions=1):
    topic = fresh_topic(name)

    async def story(admin):
        await admin.create_topics([NewTopic(topic, partitions, 1)])
        # A broker may hear of it a moment after the controller has made it.
        await until("the topic is known", lambda: has_partitions(admin, topic, partitions))

    await with_admin(broker, story)
    return topic


async def has_partitions(admin, topic, count):
    [described] = await admin.describe_topics([topic])
    return described["error_code"] == 0 and len(described["partitions"]) == count


async def is_gone(admin, topic):
    return topic not in await admin.list_topics()


async def produce(broker, topic, records, partitions=1, first=0, headers=(), **settings):
    """Writes the values, spread over the partitions in turn; record n has time BASE_MS + 10 n."""
    producer = AIOKafkaProducer(bootstrap_servers=broker, **({"acks": "all", "linger_ms": 5} | settings))
    await producer.start()
    try:
        sent = [
            await producer.send(
                topic, value, key=b"key-%d" % number, partition=number % partitions,
                timestamp_ms=BASE_MS + 10 * number, headers=list(headers),
            )
            for number, value in enumerate(records, first)
        ]
        return [(await one).offset for one in sent]
    finally:
        await producer.stop()


def consumer(broker, group, **settings):
    base = {
        "bootstrap_servers": broker,
        "group_id": group,
        "auto_offset_reset": "earliest",
        "enable_auto_commit": False,
        "fetch_max_wait_ms": 100,
        "heartbeat_interval_ms": 300,
        "check_crcs": True,
    }
    return AIOKafkaConsumer(**(base | settings))


async def take(reader, count):
    """Exactly `count` records, or a failure."""
    taken = []

    async def all_of_them():
        while len(taken) < count:
            for batch in (await reader.getmany(timeout_ms=500, max_records=count - len(taken))).values():
                taken.extend(batch)

    try:
        await asyncio.wait_for(all_of_them(), SECONDS_MAX)
    except TimeoutError:
        raise AssertionError(f"{len(taken)} of {count} records came") from None
    return taken


class Member(ConsumerRebalanceListener):
    """A member of a group in a task of its own; commits before its partitions are taken away."""

    def __init__(self, broker, group, **settings):
        self.records = []
        self.assigned = set()
        self.consumer = consumer(broker, group, **settings)

    async def join(self, topic):
        await self.consumer.start()
        self.consumer.subscribe([topic], listener=self)
        self.task = asyncio.create_task(self.live())
        return self

    async def live(self):
        while True:
            for batch in (await self.consumer.getmany(timeout_ms=50)).values():
                self.records.extend(batch)

    async def on_partitions_revoked(self, revoked):
        if revoked:
            await self.consumer.commit()
        self.assigned = set()

    async def on_partitions_assigned(self, assigned):
        self.assigned = set(assigned)

    def owns(self, count):
        if self.task.done():
            self.task.result()
        return len(self.assigned) == count

    async def leave(self):
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)
        if self.assigned:
            await self.consumer.commit()
        await self.consumer.stop()


async def once_each(what, records, *members):
    """Each of the records came to one of the members, once."""
    await until(f"{what}: {len(records)} records", lambda: sum(len(m.records) for m in members) >= len(records))
    same_records(what, sorted(records), sorted(r.value for m in members for r in m.records))


@each(*[(codec, idempotent) for codec in CODECS for idempotent in (False, True)])
@asynchronous
async def round_trip(broker, codec, idempotent):
    """aiokafka writes and reads back keys, headers and values with codec {}, idempotent: {}"""
    topic, records, headers = await create(broker, "aiokafka-codec"), values(1000), [("a", b"1"), ("a", b"\x00\xff"), ("", b"")]
    settings = {"compression_type": codec, "enable_idempotence": idempotent}
    offsets = await produce(broker, topic, records, headers=headers, **settings)
    same("offsets of the acknowledgements", list(range(1000)), offsets)
    reader = consumer(broker, None)
    await reader.start()
    try:
        reader.assign([TopicPartition(topic, 0)])
        taken = await take(reader, 1000)
    finally:
        await reader.stop()
    same_records("values", records, [m.value for m in taken])
    same_records("keys", [b"key-%d" % n for n in range(1000)], [m.key for m in taken])
    same("headers", headers, list(taken[500].headers))
    same("timestamps", [BASE_MS + 10 * n for n in range(1000)], [m.timestamp for m in taken])


@each(*[(name,) for name in ASSIGNORS])
@asynchronous
async def share(broker, assignor):
    """aiokafka shares a topic between two members by {}, each record once"""
    topic, group, records = await create(broker, "aiokafka-share", PARTITIONS), fresh_topic("aiokafka-share"), values(1200)
    settings = {"partition_assignment_strategy": [ASSIGNORS[assignor]]}
    await produce(broker, topic, records[:500], PARTITIONS)
    first = await Member(broker, group, **settings).join(topic)
    await until("alone it owns all", lambda: first.owns(PARTITIONS))
    await once_each("alone", records[:500], first)
    second = await Member(broker, group, **settings).join(topic)
    await until("two each", lambda: first.owns(2) and second.owns(2))
    same("together", PARTITIONS, len(first.assigned | second.assigned))
    await produce(broker, topic, records[500:1000], PARTITIONS, first=500)
    await once_each("together", records[:1000], first, second)
    await second.leave()
    await until("alone again", lambda: first.owns(PARTITIONS))
    await produce(broker, topic, records[1000:], PARTITIONS, first=1000)
    await once_each("within the group", records, first, second)
    await first.leave()


@check
@asynchronous
async def resume(broker):
    """aiokafka commits with metadata and resumes"""
    topic, group, records = await create(broker, "aiokafka-resume"), fresh_topic("aiokafka-resume"), values(100)
    await produce(broker, topic, records)
    partition = TopicPartition(topic, 0)
    reader = consumer(broker, group)
    await reader.start()
    same("committed before", None, await reader.committed(partition))
    reader.subscribe([topic])
    await take(reader, 50)
    await reader.commit({partition: OffsetAndMetadata(42, "half way")})
    same("committed", 42, await reader.committed(partition))
    await reader.stop()
    reader = consumer(broker, group)
    await reader.start()
    reader.subscribe([topic])
    same_records("the rest", records[42:], [m.value for m in await take(reader, 58)])
    await reader.commit()
    same("next to read", 100, await reader.committed(partition))
    await reader.stop()


@check
@asynchronous
async def static_restart(broker):
    """aiokafka restarts a static member, which keeps its partitions"""
    topic, group = await create(broker, "aiokafka-static", PARTITIONS), fresh_topic("aiokafka-static")
    first = await Member(broker, group, group_instance_id="one").join(topic)
    second = await Member(broker, group, group_instance_id="two").join(topic)
    await until("two each", lambda: first.owns(2) and second.owns(2))
    before = set(second.assigned)
    await second.leave()
    again = await Member(broker, group, group_instance_id="two").join(topic)
    await until("it is back", lambda: again.owns(2))
    same("with what it had", before, again.assigned)
    records = values(200)
    await produce(broker, topic, records, PARTITIONS)
    await once_each("after", records, first, again)
    await first.leave()
    await again.leave()


@check
@asynchronous
async def seek(broker):
    """aiokafka seeks by offset and by time, to the beginning and to the end"""
    topic, records = await create(broker, "aiokafka-seek"), values(100)
    await produce(broker, topic, records, compression_type="gzip")
    partition, reader = TopicPartition(topic, 0), consumer(broker, fresh_topic("aiokafka-seek"))
    await reader.start()
    reader.subscribe([topic])
    await take(reader, 100)
    reader.seek(partition, 57)
    same_records("by offset", records[57:60], [m.value for m in await take(reader, 3)])
    found = (await reader.offsets_for_times({partition: BASE_MS + 331}))[partition]
    same("found by time", (34, BASE_MS + 340), (found.offset, found.timestamp))
    reader.seek(partition, found.offset)
    same("by time", records[34], (await take(reader, 1))[0].value)
    await reader.seek_to_beginning(partition)
    same("the beginning", records[0], (await take(reader, 1))[0].value)
    await reader.seek_to_end(partition)
    same("the end", 100, await reader.position(partition))
    same("bounds", (0, 100), (
        (await reader.beginning_offsets([partition]))[partition], (await reader.end_offsets([partition]))[partition],
    ))
    await reader.stop()


@check
@asynchronous
async def topics(broker):
    """aiokafka creates, lists, describes, grows and deletes topics"""
    topic = await create(broker, "aiokafka-topics", PARTITIONS)

    async def story(admin):
        same("listed", True, topic in await admin.list_topics())
        await refused(TopicAlreadyExistsError, admin.create_topics([NewTopic(topic, 1, 1)]))
        await admin.create_partitions({topic: NewPartitions(6)})
        await until("it is grown", lambda: has_partitions(admin, topic, 6))
        cluster = await admin.describe_cluster()
        same("brokers", [broker], [f"{b['host']}:{b['port']}" for b in cluster["brokers"]])
        await admin.delete_topics([topic])
        await until("it is gone", lambda: is_gone(admin, topic))

    await with_admin(broker, story)


async def refused(kind, awaitable):
    try:
        answer = await awaitable
    except kind:
        return
    # Some calls of this client hand back the answer with its codes.
    codes = [error[1] for error in getattr(answer, "topic_errors", [])]
    same("error code", [kind.errno], codes)


@check
@asynchronous
async def configs(broker):
    """aiokafka alters settings of a topic"""
    topic = await create(broker, "aiokafka-configs")

    async def story(admin):
        async def retention_is(value):
            resource = ConfigResource(ConfigResourceType.TOPIC, topic, configs={"retention.ms": None})
            [answer] = await admin.describe_configs([resource])
            [(code, _, _, _, entries)] = answer.resources
            same("error code", 0, code)
            return {entry[0]: entry[1] for entry in entries}["retention.ms"] == value

        same("the default", True, await retention_is("604800000"))
        await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, configs={"retention.ms": "3600000"})])
        await until("it is altered", lambda: retention_is("3600000"))

    await with_admin(broker, story)


@check
@asynchronous
async def delete_records(broker):
    """aiokafka deletes records"""
    topic, records = await create(broker, "aiokafka-delete"), values(100)
    await produce(broker, topic, records)
    partition = TopicPartition(topic, 0)

    async def story(admin):
        same("low watermark", {partition: 60}, await admin.delete_records({partition: RecordsToDelete(60)}))

    await with_admin(broker, story)
    reader = consumer(broker, None)
    await reader.start()
    reader.assign([partition])
    same("the beginning", 60, (await reader.beginning_offsets([partition]))[partition])
    same_records("what is left", records[60:], [m.value for m in await take(reader, 40)])
    await reader.stop()


@check
@asynchronous
async def groups(broker):
    """aiokafka lists and describes groups and their offsets"""
    topic, group, records = await create(broker, "aiokafka-groups", 2), fresh_topic("aiokafka-groups"), values(20)
    await produce(broker, topic, records, 2)
    member = await Member(broker, group).join(topic)
    await once_each("all", records, member)

    async def story(admin):
        same("listed", True, (group, "consumer") in await admin.list_consumer_groups())
        [answer] = await admin.describe_consumer_groups([group])
        code, name, state, kind, protocol, members = answer.groups[0][:6]
        same("described", (0, group, "Stable", "consumer", "roundrobin", 1), (code, name, state, kind, protocol, len(members)))
        await member.leave()
        offsets = await admin.list_consumer_group_offsets(group)
        same("offsets", {TopicPartition(topic, p): 10 for p in range(2)}, {p: o.offset for p, o in offsets.items()})

    await with_admin(broker, story)


@check
@asynchronous
async def transform(broker):
    """aiokafka counts words from one topic into another, as a stream program does"""
    source, sink = await create(broker, "aiokafka-lines"), await create(broker, "aiokafka-counts")
    lines = [b"to be or not to be", b"that is the question", b"to be is to do"]
    await produce(broker, source, lines)
    reader, counts = consumer(broker, fresh_topic("aiokafka-words")), {}
    await reader.start()
    reader.subscribe([source])
    producer = AIOKafkaProducer(bootstrap_servers=broker, enable_idempotence=True)
    await producer.start()
    for record in await take(reader, 3):
        for word in record.value.split():
            counts[word] = counts.get(word, 0) + 1
            await producer.send_and_wait(sink, b"%d" % counts[word], key=word)
    await reader.commit()
    await reader.stop()
    await producer.stop()
    reader = consumer(broker, None)
    await reader.start()
    reader.assign([TopicPartition(sink, 0)])
    last = {m.key: int(m.value) for m in await take(reader, 15)}
    await reader.stop()
    same("counts", {b"to": 4, b"be": 3, b"or": 1, b"not": 1, b"that": 1, b"is": 2, b"the": 1, b"question": 1, b"do": 1}, last)


@check
@asynchronous
async def unknown(broker):
    """aiokafka is told of a topic that does not exist"""

    async def story(admin):
        await refused_any(admin.delete_topics([fresh_topic("aiokafka-unknown")]))

    await with_admin(broker, story)


async def refused_any(awaitable):
    try:
        answer = await awaitable
    except KafkaError:
        return
    same("error code", [3], [error[1] for error in answer.topic_error_codes])


if __name__ == "__main__":
    main(f"aiokafka {aiokafka.__version__}")
