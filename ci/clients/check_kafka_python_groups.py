"""kafka-python (pure Python) in groups, and its admin client: groups, offsets, settings, records, transactions."""

import threading
import time

import kafka
from checks import await_that, check, each, fresh_topic, main, same, same_records, values
from kafka import ConsumerRebalanceListener, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient, NewTopic
from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor
from kafka.coordinator.assignors.range import RangePartitionAssignor
from kafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from kafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor
from kafka.errors import (
    InvalidPartitionsError,
    KafkaError,
    UnknownMemberIdError,
)
from kafka.structs import OffsetAndMetadata

ASSIGNORS = {
    "range": RangePartitionAssignor,
    "roundrobin": RoundRobinPartitionAssignor,
    "sticky": StickyPartitionAssignor,
    "cooperative-sticky": CooperativeStickyAssignor,
}
PARTITIONS = 4
SECONDS_MAX = 60
# Recent, so that no retention takes the records.
BASE_MS = int(time.time() * 1000) - 3_600_000


class Admin(KafkaAdminClient):
    """The admin client as a context."""

    def __init__(self, broker):
        super().__init__(bootstrap_servers=broker)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def create(broker, name, partitions=1, **config):
    topic = fresh_topic(name)
    with Admin(broker) as admin:
        admin.create_topics([NewTopic(topic, partitions, 1, topic_configs=config)])
    # An idempotent producer that came before the leaders serve would lose its order.
    looker = KafkaConsumer(bootstrap_servers=broker)
    looker.end_offsets([TopicPartition(topic, number) for number in range(partitions)])
    looker.close()
    return topic


def produce(broker, topic, records, partitions=1, first=0, **settings):
    """Writes the values, spread over the partitions in turn; record n has time BASE_MS + 10 n."""
    producer = KafkaProducer(bootstrap_servers=broker, linger_ms=5, **settings)
    try:
        sent = [
            producer.send(
                topic, value, key=b"key-%d" % number, partition=number % partitions,
                headers=[("a", b"1"), ("a", b"\x00\xff")], timestamp_ms=BASE_MS + 10 * number,
            )
            for number, value in enumerate(records, first)
        ]
        producer.flush(timeout=SECONDS_MAX)
        for future in sent:
            future.get(timeout=SECONDS_MAX)
    finally:
        producer.close(timeout=SECONDS_MAX)


def in_group(broker, group, *topics, **settings):
    base = {
        "bootstrap_servers": broker,
        "group_id": group,
        "auto_offset_reset": "earliest",
        "enable_auto_commit": False,
        "fetch_max_wait_ms": 100,
        "heartbeat_interval_ms": 300,
    }
    return KafkaConsumer(*topics, **(base | settings))


def take(reader, count):
    """Exactly `count` records, or a failure."""
    taken = []

    def poll():
        for batch in reader.poll(timeout_ms=200, max_records=count - len(taken)).values():
            taken.extend(batch)
        return len(taken) == count

    await_that(f"{count} records", SECONDS_MAX, poll)
    return taken


class Member(ConsumerRebalanceListener):
    """A member of a group on a thread of its own.

    The client commits by itself what was polled before a partition is taken away: its listeners must not wait.
    """

    def __init__(self, broker, group, topic, **settings):
        self.records, self.owned, self.changes, self.failure = [], set(), 0, None
        self.leaving = threading.Event()
        automatic = {"enable_auto_commit": True, "auto_commit_interval_ms": 200}
        self.consumer = in_group(broker, group, **(automatic | settings))
        self.consumer.subscribe([topic], listener=self)
        self.thread = threading.Thread(target=self.live, daemon=True)
        self.thread.start()

    def on_partitions_revoked(self, revoked):
        self.changes += 1

    def on_partitions_assigned(self, assigned):
        self.changes += 1

    def live(self):
        try:
            while not self.leaving.is_set():
                for batch in self.consumer.poll(timeout_ms=50).values():
                    self.records.extend(batch)
                self.owned = set(self.consumer.assignment())
            self.consumer.close()
        except BaseException as error:
            self.failure = error

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
    count = lambda: sum(len(member.records) for member in members if member.owns(len(member.owned)) or True)
    await_that(f"{what}: {len(records)} records", SECONDS_MAX, lambda: count() >= len(records))
    same_records(what, sorted(records), sorted(record.value for member in members for record in member.records))


@each(*[(name,) for name in ASSIGNORS])
def share(broker, assignor):
    """kafka-python shares a topic between two members by {}, each record once"""
    topic, group, records = create(broker, "python-share", PARTITIONS), fresh_topic("python-share"), values(1200)
    settings = {"partition_assignment_strategy": [ASSIGNORS[assignor]]}
    produce(broker, topic, records[:500], PARTITIONS)
    first = Member(broker, group, topic, **settings)
    await_that("alone it owns all", SECONDS_MAX, lambda: first.owns(PARTITIONS))
    once_each("alone", records[:500], first)
    second = Member(broker, group, topic, **settings)
    await_that("two each", SECONDS_MAX, lambda: first.owns(2) and second.owns(2))
    same("together", PARTITIONS, len(first.owned | second.owned))
    produce(broker, topic, records[500:1000], PARTITIONS, first=500)
    once_each("together", records[:1000], first, second)
    second.leave()
    await_that("alone again", SECONDS_MAX, lambda: first.owns(PARTITIONS))
    produce(broker, topic, records[1000:], PARTITIONS, first=1000)
    once_each("within the group", records, first, second)
    first.leave()


@check
def static_member(broker):
    """kafka-python restarts a static member without a rebalance"""
    topic, group = create(broker, "python-static", PARTITIONS), fresh_topic("python-static")
    first = Member(broker, group, topic, group_instance_id="one")
    second = Member(broker, group, topic, group_instance_id="two")
    await_that("two each", SECONDS_MAX, lambda: first.owns(2) and second.owns(2))
    before, changes = set(second.owned), first.changes
    second.leave()
    again = Member(broker, group, topic, group_instance_id="two")
    await_that("it is back", SECONDS_MAX, lambda: again.owns(2))
    same("with what it had", before, again.owned)
    same("the other heard of it", changes, first.changes)
    first.leave()
    again.leave()


@check
def resume(broker):
    """kafka-python commits with metadata, synchronously, by a callback and by itself, and resumes"""
    topic, group, records = create(broker, "python-resume"), fresh_topic("python-resume"), values(100)
    partition = TopicPartition(topic, 0)
    produce(broker, topic, records)
    reader = in_group(broker, group, topic)
    same("committed before", None, reader.committed(partition))
    take(reader, 50)
    reader.commit({partition: OffsetAndMetadata(42, "half way", -1)})
    found = reader.committed(partition, metadata=True)
    same("committed", (42, "half way"), (found.offset, found.metadata))
    reader.close()
    reader = in_group(broker, group, topic)
    same_records("the rest", records[42:], [record.value for record in take(reader, 58)])
    told = []
    reader.commit_async(callback=lambda offsets, answer: told.append((offsets[partition].offset, answer)))
    await_that("the callback", SECONDS_MAX, lambda: reader.poll(timeout_ms=20) or told)
    same("the callback's offset", 100, told[0][0])
    same("the callback's answer is an error", False, isinstance(told[0][1], Exception))
    reader.close()
    produce(broker, topic, records[:10], first=100)
    reader = in_group(broker, group, topic, enable_auto_commit=True, auto_commit_interval_ms=100)
    take(reader, 10)
    await_that("by itself", SECONDS_MAX, lambda: reader.poll(timeout_ms=20) or reader.committed(partition) == 110)
    reader.close()


@check
def seek(broker):
    """kafka-python seeks by offset and by time within a group"""
    topic, records = create(broker, "python-group-seek"), values(100)
    partition = TopicPartition(topic, 0)
    produce(broker, topic, records, compression_type="zstd")
    reader = in_group(broker, fresh_topic("python-group-seek"), topic)
    take(reader, 100)
    reader.seek(partition, 57)
    same("by offset", records[57], take(reader, 1)[0].value)
    found = reader.offsets_for_times({partition: BASE_MS + 331})[partition]
    same("found by time", (34, BASE_MS + 340), (found.offset, found.timestamp))
    reader.seek(partition, found.offset)
    same("by time", records[34], take(reader, 1)[0].value)
    reader.close()


@check
def groups(broker):
    """kafka-python lists and describes groups, their members and offsets, and deletes them"""
    topic, group, records = create(broker, "python-groups", 2), fresh_topic("python-groups"), values(20)
    zero, one = TopicPartition(topic, 0), TopicPartition(topic, 1)
    produce(broker, topic, records, 2)
    member = Member(broker, group, topic, client_id="a-client")
    once_each("all", records, member)
    await_that("it owns all", SECONDS_MAX, lambda: member.owns(2))
    with Admin(broker) as admin:
        listed = {found["group_id"]: found for found in admin.list_groups()}[group]
        same("listed", ("consumer", "Stable", "classic"), (
            listed["protocol_type"], listed["group_state"], listed["group_type"]))
        by_state = {found["group_id"] for found in admin.list_groups(states_filter=["Empty"])}
        same("listed as empty", False, group in by_state)
        described = admin.describe_groups([group])[group]
        same("described", (None, "Stable", "consumer", "range", 1), (
            described["error"], described["group_state"], described["protocol_type"], described["protocol_data"],
            len(described["members"])))
        same("member", "a-client", described["members"][0]["client_id"])
        same("deleting a group at work", "NonEmptyGroupError", admin.delete_groups([group])[group])
        altered = admin.alter_group_offsets(group, {zero: OffsetAndMetadata(3, "", -1)})
        same("altering offsets of a group at work", {zero: UnknownMemberIdError}, altered)
        member.leave()
        offsets = lambda: {p: found.offset for p, found in admin.list_group_offsets({group: None})[group].items()}
        same("offsets", {zero: 10, one: 10}, offsets())
        admin.alter_group_offsets(group, {zero: OffsetAndMetadata(3, "", -1)})
        same("altered", {zero: 3, one: 10}, offsets())
        admin.reset_group_offsets(group, {zero: 7, one: 99})
        same("reset", {zero: 7, one: 10}, offsets())
        admin.delete_group_offsets(group, [one])
        same("deleted", {zero: 7}, offsets())
        same("deleting the group", "OK", admin.delete_groups([group])[group])
        same("deleting it again", "GroupIdNotFoundError", admin.delete_groups([group])[group])
        same("its offsets", {}, offsets())


@check
def expelled(broker):
    """kafka-python expels a static member from its group"""
    topic, group = create(broker, "python-expel", 2), fresh_topic("python-expel")
    member = Member(broker, group, topic, group_instance_id="a-name")
    await_that("it owns all", SECONDS_MAX, lambda: member.owns(2))
    # A static member does not say that it leaves.
    member.leave()
    with Admin(broker) as admin:
        same("members", 1, len(admin.describe_groups([group])[group]["members"]))
        [answer] = admin.remove_group_members(group, [kafka.admin.MemberToRemove(group_instance_id="a-name")]).values()
        same("answer", kafka.errors.NoError, answer)
        same("state", "Empty", admin.describe_groups([group])[group]["group_state"])


@check
def settings(broker):
    """kafka-python alters and resets settings of a topic"""
    topic = create(broker, "python-settings")
    with Admin(broker) as admin:

        def entry(name):
            resource = ConfigResource(ConfigResourceType.TOPIC, topic)
            found = admin.describe_configs([resource], config_filter="all")["topic"][topic][name]
            return found["value"]

        def becomes(name, value):
            await_that(f"{name} is {value}", SECONDS_MAX, lambda: entry(name) == value)

        becomes("retention.ms", "604800000")
        change = ConfigResource(ConfigResourceType.TOPIC, topic, configs={"retention.ms": "3600000"})
        admin.alter_configs([change])
        becomes("retention.ms", "3600000")
        admin.reset_configs([ConfigResource(ConfigResourceType.TOPIC, topic, configs=["retention.ms"])])
        becomes("retention.ms", "604800000")
        resources = admin.list_config_resources(["TOPIC"])
        same("the topic is among the resources", True, any(topic in names for names in resources.values()))


@check
def topics(broker):
    """kafka-python grows a topic, which cannot shrink"""
    topic = create(broker, "python-grow", 2)
    with Admin(broker) as admin:
        admin.create_partitions({topic: 5})
        await_that("five", SECONDS_MAX, lambda: len(admin.describe_topics([topic])[0]["partitions"]) == 5)
        try:
            admin.create_partitions({topic: 3})
        except InvalidPartitionsError:
            pass
        else:
            raise AssertionError("a topic shrank")
        admin.delete_topics([topic])
        await_that("gone from the listing", SECONDS_MAX, lambda: topic not in admin.list_topics())


@check
def delete_records(broker):
    """kafka-python deletes records"""
    topic, records = create(broker, "python-delete"), values(100)
    partition = TopicPartition(topic, 0)
    produce(broker, topic, records)
    with Admin(broker) as admin:
        answer = admin.delete_records({partition: 60})[partition]
        same("low watermark", 60, answer["low_watermark"])
        try:
            admin.delete_records({partition: 101})
        except KafkaError:
            pass
        else:
            raise AssertionError("records beyond the end were deleted")
    reader = in_group(broker, fresh_topic("python-delete"), topic)
    same("the beginning", {partition: 60}, reader.beginning_offsets([partition]))
    same_records("what is left", records[60:], [record.value for record in take(reader, 40)])
    reader.close()


@check
def cluster(broker):
    """kafka-python describes log directories, features, the quorum, producers and transactions"""
    topic = create(broker, "python-cluster", 2)
    produce(broker, topic, values(10), 2)
    with Admin(broker) as admin:
        dirs = str(admin.describe_log_dirs())
        same("the topic is on a disk", True, topic in dirs)
        same("a feature", True, "metadata.version" in str(admin.describe_features()))
        same("a leader of the quorum", True, "leader_id" in str(admin.describe_metadata_quorum()))
        same("transactions", [], [one for found in admin.list_transactions().values() for one in found])
        same("the topic's producer", True, "producer_id" in str(admin.describe_producers([TopicPartition(topic, 0)])))
        same("reassignments", 0, len(admin.list_partition_reassignments() or []))
        same("credentials", 0, len(admin.describe_user_scram_credentials() or []))


if __name__ == "__main__":
    main(f"kafka-python {kafka.__version__}")
