"""Groups of confluent-kafka (librdkafka) and kafka-python against a broker: members come, share, commit, go and come
back; and what their admin clients say of groups.

A member runs in a thread of its own and only polls, so that whatever a rebalance does happens between two records.
"""

import subprocess
import threading

from checks import await_that, check, each, fresh_topic, main, same
from confluent_kafka import (
    Consumer,
    ConsumerGroupState,
    ConsumerGroupTopicPartitions,
    KafkaError,
    KafkaException,
    Producer,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, NewTopic
from kafka import KafkaConsumer
from kafka import OffsetAndMetadata as PythonOffset
from kafka import TopicPartition as PythonPartition
from kafka.admin import KafkaAdminClient
from kafka.consumer.subscription_state import ConsumerRebalanceListener
from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor
from kafka.coordinator.assignors.range import RangePartitionAssignor
from kafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from kafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor

SECONDS_MAX = 60
PYTHON_ASSIGNORS = {
    "range": RangePartitionAssignor,
    "roundrobin": RoundRobinPartitionAssignor,
    "sticky": StickyPartitionAssignor,
    "cooperative-sticky": CooperativeStickyAssignor,
}


class Member(threading.Thread):
    """One member of a group: polls until it is told to stop."""

    def __init__(self, broker, group, topic, **settings):
        super().__init__(daemon=True)
        self.taken = []
        self.assignments = 0
        self.failure = None
        self.stopping = threading.Event()
        self.open(broker, group, topic, **settings)
        self.start()

    def run(self):
        try:
            while not self.stopping.is_set():
                self.poll()
            self.close()
        except BaseException as error:
            self.failure = error

    def stop(self):
        self.stopping.set()
        self.join(SECONDS_MAX)
        same("the member ended", False, self.is_alive())
        if self.failure:
            raise self.failure


class ConfluentMember(Member):
    def open(self, broker, group, topic, assignor="range", instance=None, **settings):
        base = {
            "bootstrap.servers": broker, "group.id": group, "auto.offset.reset": "earliest",
            "partition.assignment.strategy": assignor, "heartbeat.interval.ms": 300, "session.timeout.ms": 10_000,
            "fetch.wait.max.ms": 100, "topic.metadata.refresh.interval.ms": 2000,
        }
        if instance:
            base["group.instance.id"] = instance
        self.consumer = Consumer(base | settings)
        self.owned = set()
        self.is_cooperative = assignor == "cooperative-sticky"
        self.consumer.subscribe(
            [topic] if isinstance(topic, str) else topic, on_assign=self.assigned, on_revoke=self.revoked
        )

    def assigned(self, _, partitions):
        self.assignments += 1
        self.owned |= {(p.topic, p.partition) for p in partitions}

    def revoked(self, _, partitions):
        self.owned -= {(p.topic, p.partition) for p in partitions}

    def poll(self):
        for message in self.consumer.consume(500, timeout=0.1):
            if message.error() is None:
                self.taken.append(message.value())
            elif message.error().code() != KafkaError.UNKNOWN_TOPIC_OR_PART:
                # That one is said of a topic whose leader does not know of it yet.
                raise KafkaException(message.error())

    def close(self):
        self.consumer.close()


class PythonMember(Member):
    def open(self, broker, group, topic, assignor="range", instance=None, **settings):
        self.consumer = KafkaConsumer(
            bootstrap_servers=broker, group_id=group, auto_offset_reset="earliest", heartbeat_interval_ms=300,
            session_timeout_ms=10_000, fetch_max_wait_ms=100, group_instance_id=instance,
            partition_assignment_strategy=[PYTHON_ASSIGNORS[assignor]], **settings,
        )
        self.owned = set()
        # A member of kafka-python 3.0.12 that learns of a topic's partitions only after its first join joins again,
        # and one in twenty of these then neither reads nor sends heartbeats any more, whatever the broker.
        self.consumer.partitions_for_topic(topic)
        self.consumer.subscribe([topic], listener=Listener(self))

    def poll(self):
        for batch in self.consumer.poll(timeout_ms=100).values():
            self.taken.extend(message.value for message in batch)
        self.owned = {(p.topic, p.partition) for p in self.consumer.assignment()}

    def close(self):
        self.consumer.close()


class Listener(ConsumerRebalanceListener):
    def __init__(self, member):
        self.member = member

    def on_partitions_revoked(self, revoked):
        pass

    def on_partitions_assigned(self, assigned):
        self.member.assignments += 1


KINDS = {"confluent-kafka": ConfluentMember, "kafka-python": PythonMember}
ASSIGNORS = [
    ("confluent-kafka", "range"),
    ("confluent-kafka", "roundrobin"),
    ("confluent-kafka", "cooperative-sticky"),
    ("kafka-python", "range"),
    ("kafka-python", "roundrobin"),
    ("kafka-python", "sticky"),
    ("kafka-python", "cooperative-sticky"),
]


def create_topic(broker, name, partitions):
    admin = AdminClient({"bootstrap.servers": broker})
    admin.create_topics([NewTopic(name, partitions, 1)])[name].result(SECONDS_MAX)
    await_that("the topic", SECONDS_MAX, lambda: name in admin.list_topics(timeout=10).topics)
    return name


def produce(broker, topic, records):
    """Round and round over the partitions."""
    producer = Producer({"bootstrap.servers": broker, "linger.ms": 20, "enable.idempotence": True})
    count = len(producer.list_topics(topic, timeout=30).topics[topic].partitions)
    errors = []
    for index, record in enumerate(records):
        producer.produce(
            topic, record, partition=index % count, on_delivery=lambda error, _: error and errors.append(error)
        )
        producer.poll(0)
    same("records left in the producer", 0, producer.flush(SECONDS_MAX))
    same("failed deliveries", [], errors)


def records(count, name="record"):
    return [f"{name}-{index}".encode() for index in range(count)]


def await_shares(members, sizes):
    """Waits until the members own that many partitions each, and none twice."""

    def is_shared():
        for member in members:
            if member.failure:
                raise member.failure
        owned = [set(member.owned) for member in members]
        return (
            sorted(map(len, owned)) == sorted(sizes)
            and len(set().union(*owned)) == sum(sizes)
        )

    await_that(f"shares of {sizes}", SECONDS_MAX, is_shared)


def await_taken(members, wanted):
    """Waits for records, of which each must come once."""

    def count():
        for member in members:
            if member.failure:
                raise member.failure
        return sum(len(member.taken) for member in members)

    await_that(f"{len(wanted)} records", SECONDS_MAX, lambda: count() >= len(wanted))
    taken = sorted(value for member in members for value in member.taken)
    same("records", sorted(wanted), taken)


@each(*ASSIGNORS)
def shares(broker, kind, assignor):
    """{} members with the assignor {} come and go, and every record comes once"""
    make = KINDS[kind]
    topic, group = create_topic(broker, fresh_topic("shares"), 6), fresh_topic("group")
    members = [make(broker, group, topic, assignor=assignor)]
    await_shares(members, [6])
    members += [make(broker, group, topic, assignor=assignor) for _ in range(2)]
    await_shares(members, [2, 2, 2])
    first = records(600, "first")
    produce(broker, topic, first)
    await_taken(members, first)
    members[0].stop()
    await_shares(members[1:], [3, 3])
    second = records(600, "second")
    produce(broker, topic, second)
    await_taken(members, first + second)
    for member in members[1:]:
        member.stop()
    third = records(60, "third")
    produce(broker, topic, third)
    late = make(broker, group, topic, assignor=assignor)
    await_taken([late], third)
    late.stop()


@each(("confluent-kafka",), ("kafka-python",))
def static(broker, kind):
    """A static member of {} that comes back has its partitions again, and the others notice nothing"""
    make = KINDS[kind]
    topic, group = create_topic(broker, fresh_topic("static"), 4), fresh_topic("group")
    places = [make(broker, group, topic, instance=f"place-{index}") for index in range(2)]
    await_shares(places, [2, 2])
    first = records(100)
    produce(broker, topic, first)
    await_taken(places, first)
    owned, assignments = set(places[0].owned), places[1].assignments
    places[0].stop()
    back = make(broker, group, topic, instance="place-0")
    await_that("its partitions", SECONDS_MAX, lambda: set(back.owned) == owned)
    second = records(100, "second")
    produce(broker, topic, second)
    await_taken([places[0], back, places[1]], first + second)
    same("assignments of the other", assignments, places[1].assignments)
    back.stop()
    places[1].stop()


@each(("confluent-kafka",), ("kafka-python",))
def idle(broker, kind):
    """Of three {} members with two partitions one is idle, until another goes"""
    make = KINDS[kind]
    topic, group = create_topic(broker, fresh_topic("idle"), 2), fresh_topic("group")
    members = [make(broker, group, topic) for _ in range(3)]
    await_shares(members, [1, 1, 0])
    first = records(100)
    produce(broker, topic, first)
    await_taken(members, first)
    busy = [member for member in members if member.owned]
    busy[0].stop()
    rest = [member for member in members if member is not busy[0]]
    await_shares(rest, [1, 1])
    second = records(100, "second")
    produce(broker, topic, second)
    await_taken(members, first + second)
    for member in rest:
        member.stop()


@check
def mixed(broker):
    """Members of both clients share a topic in one group"""
    topic, group = create_topic(broker, fresh_topic("mixed"), 4), fresh_topic("group")
    members = [make(broker, group, topic, assignor="roundrobin") for make in KINDS.values()]
    await_shares(members, [2, 2])
    wanted = records(400)
    produce(broker, topic, wanted)
    await_taken(members, wanted)
    for member in members:
        member.stop()


@check
def crash(broker):
    """A member that dies without a word loses its partitions when its session is over"""
    topic, group = create_topic(broker, fresh_topic("crash"), 4), fresh_topic("group")
    settings = ["-X", "session.timeout.ms=6000", "-X", "partition.assignment.strategy=range"]
    dead = subprocess.Popen(
        ["kcat", "-b", broker, *settings, "-G", group, topic], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        alive = ConfluentMember(broker, group, topic)
        await_that("its share", SECONDS_MAX, lambda: len(alive.owned) == 2)
    finally:
        dead.kill()
        dead.wait()
    await_shares([alive], [4])
    wanted = records(100)
    produce(broker, topic, wanted)
    await_taken([alive], wanted)
    alive.stop()


@check
def chain(broker):
    """Three groups in a chain hand on every record"""
    topics = [create_topic(broker, fresh_topic(f"chain-{index}"), 3) for index in range(3)]
    handed_on = [Producer({"bootstrap.servers": broker, "linger.ms": 5}) for _ in range(2)]

    class Link(ConfluentMember):
        def poll(self):
            before = len(self.taken)
            super().poll()
            for value in self.taken[before:]:
                self.target[0].produce(self.target[1], value)
            self.target[0].flush(SECONDS_MAX)

    links = []
    for index, producer in enumerate(handed_on):
        Link.target = None
        link = Link.__new__(Link)
        link.target = (producer, topics[index + 1])
        link.__init__(broker, fresh_topic(f"group-{index}"), topics[index])
        links.append(link)
    last = PythonMember(broker, fresh_topic("group-last"), topics[2])
    wanted = records(1000)
    produce(broker, topics[0], wanted)
    try:
        await_taken([last], wanted)
    finally:
        same("failures of the others", [None, None], [link.failure for link in links])
    for member in [*links, last]:
        member.stop()


@check
def commits_meanwhile(broker):
    """A second member that joins while the first commits loses and repeats nothing that was committed"""
    topic, group = create_topic(broker, fresh_topic("meanwhile"), 4), fresh_topic("group")

    class Committer(ConfluentMember):
        def poll(self):
            for message in self.consumer.consume(20, timeout=0.05):
                if message.error():
                    raise KafkaException(message.error())
                try:
                    self.consumer.commit(message, asynchronous=False)
                    self.taken.append(message.value())
                except KafkaException as error:
                    # A rebalance is under way: whoever has the partition next reads the record.
                    if error.args[0].name() not in ("REBALANCE_IN_PROGRESS", "ILLEGAL_GENERATION", "UNKNOWN_MEMBER_ID"):
                        raise
                    self.taken.append(message.value())

    settings = {"enable.auto.commit": False}
    wanted = records(2000)
    produce(broker, topic, wanted)
    members = [Committer(broker, group, topic, **settings)]
    await_that("some", SECONDS_MAX, lambda: len(members[0].taken) > 100)
    members.append(Committer(broker, group, topic, **settings))
    await_that("all", SECONDS_MAX, lambda: set(wanted) <= {v for m in members for v in m.taken})
    taken = [value for member in members for value in member.taken]
    # Only what was read and could not be committed any more may come twice.
    same("few come twice", True, len(taken) - len(wanted) <= 40)
    for member in members:
        member.stop()
    late = Committer(broker, group, topic, **settings)
    produce(broker, topic, [b"end"] * 4)
    await_that("the end", SECONDS_MAX, lambda: late.taken.count(b"end") == 4)
    same("few are read again", True, len(late.taken) <= 44)
    late.stop()


@check
def pattern(broker):
    """A member that subscribes to a pattern takes up a topic that is made later"""
    prefix, group = fresh_topic("pattern"), fresh_topic("group")
    create_topic(broker, prefix + "-a", 1)
    member = ConfluentMember(broker, group, f"^{prefix}-.*")
    await_shares([member], [1])
    create_topic(broker, prefix + "-b", 2)
    await_shares([member], [3])
    member.stop()


@check
def committed(broker):
    """confluent-kafka and kafka-python read what the other has committed"""
    topic, group = create_topic(broker, fresh_topic("committed"), 2), fresh_topic("group")
    consumer = Consumer({"bootstrap.servers": broker, "group.id": group, "enable.auto.commit": False})
    consumer.commit(offsets=[TopicPartition(topic, 0, 7, metadata="seven")], asynchronous=False)
    other = KafkaConsumer(bootstrap_servers=broker, group_id=group, enable_auto_commit=False)
    found = other.committed(PythonPartition(topic, 0), metadata=True)
    # confluent-kafka sends the byte that ends a text in C too.
    same("kafka-python reads", (7, "seven"), (found.offset, found.metadata.rstrip("\0")))
    same("and nothing of the other partition", None, other.committed(PythonPartition(topic, 1)))
    other.assign([PythonPartition(topic, 1)])
    other.commit({PythonPartition(topic, 1): PythonOffset(9, "nine", -1)})
    found = consumer.committed([TopicPartition(topic, 0), TopicPartition(topic, 1)], timeout=SECONDS_MAX)
    # It does not look for the end of a text that it reads either: only the offsets are compared.
    same("confluent-kafka reads", [7, 9], [p.offset for p in found])
    consumer.close()
    other.close()


@check
def confluent_admin(broker):
    """confluent-kafka's admin client lists, describes, alters and deletes groups"""
    admin = AdminClient({"bootstrap.servers": broker})
    topic, group = create_topic(broker, fresh_topic("admin"), 2), fresh_topic("group")
    member = ConfluentMember(broker, group, topic)
    await_shares([member], [2])

    def listed(**filters):
        result = admin.list_consumer_groups(request_timeout=30, **filters).result()
        same("errors", [], result.errors)
        return {row.group_id: row for row in result.valid}

    same("listed", ConsumerGroupState.STABLE, listed()[group].state)
    same("by state", True, group in listed(states={ConsumerGroupState.STABLE}))
    same("by another state", False, group in listed(states={ConsumerGroupState.EMPTY}))
    told = admin.describe_consumer_groups([group], include_authorized_operations=True)[group].result(SECONDS_MAX)
    same("described", (ConsumerGroupState.STABLE, "range", 1),
         (told.state, told.partition_assignor, len(told.members)))
    same("assigned", {(topic, 0), (topic, 1)},
         {(p.topic, p.partition) for p in told.members[0].assignment.topic_partitions})
    same("operations", True, len(told.authorized_operations) > 0)
    try:
        admin.delete_consumer_groups([group])[group].result(SECONDS_MAX)
        raise AssertionError("a group with a member was deleted")
    except KafkaException as error:
        same("refused", "NON_EMPTY_GROUP", error.args[0].name())
    member.stop()
    wanted = ConsumerGroupTopicPartitions(group, [TopicPartition(topic, 0, 3), TopicPartition(topic, 1, 4)])
    admin.alter_consumer_group_offsets([wanted])[group].result(SECONDS_MAX)
    asked = ConsumerGroupTopicPartitions(group)
    told = admin.list_consumer_group_offsets([asked])[group].result(SECONDS_MAX)
    same("offsets", {0: 3, 1: 4}, {p.partition: p.offset for p in told.topic_partitions})
    admin.delete_consumer_groups([group])[group].result(SECONDS_MAX)
    same("gone", False, group in listed())


@check
def python_admin(broker):
    """kafka-python's admin client lists, describes, alters and deletes groups and single offsets"""
    admin = KafkaAdminClient(bootstrap_servers=broker)
    topic, group = create_topic(broker, fresh_topic("admin"), 2), fresh_topic("group")
    member = PythonMember(broker, group, topic, instance="place")
    await_shares([member], [2])
    found = {row["group_id"]: row for row in admin.list_groups()}
    same("listed", ("consumer", "Stable"), (found[group]["protocol_type"], found[group]["group_state"]))
    told = admin.describe_groups([group])[group]
    same("described", ("Stable", 1), (told["group_state"], len(told["members"])))
    same("its place", "place", told["members"][0]["group_instance_id"])
    member.stop()
    from kafka.admin import MemberToRemove

    admin.remove_group_members(group, [MemberToRemove(group_instance_id="place")])
    await_that("empty", SECONDS_MAX, lambda: admin.describe_groups([group])[group]["group_state"] == "Empty")
    admin.alter_group_offsets(group, {PythonPartition(topic, p): PythonOffset(p + 5, "", -1) for p in (0, 1)})
    offsets = admin.list_group_offsets({group: None})[group]
    same("offsets", {0: 5, 1: 6}, {p.partition: o.offset for p, o in offsets.items()})
    admin.delete_group_offsets(group, [PythonPartition(topic, 0)])
    offsets = admin.list_group_offsets({group: None})[group]
    same("one is left", {1: 6}, {p.partition: o.offset for p, o in offsets.items()})
    admin.delete_groups([group])
    same("gone", False, group in {row["group_id"] for row in admin.list_groups()})
    admin.close()


main("groups of confluent-kafka and kafka-python")
