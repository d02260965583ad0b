"""Every version of every API that a node serves first, asked on a bare socket, against a broker.

Real clients speak the newest version that both sides know, so old and middle versions would never be asked. Frames
are encoded and decoded by kafka-python's protocol classes: a second opinion on every field of every version.
"""

import struct
import time
import uuid

from checks import await_that, check, each, fresh_topic, main, same
from kafka.protocol.admin import (
    CreateTopicsRequest,
    DeleteTopicsRequest,
    DescribeClusterRequest,
    DescribeConfigsRequest,
    DescribeTopicPartitionsRequest,
)
from kafka.protocol.consumer import FetchRequest, ListOffsetsRequest, OffsetForLeaderEpochRequest
from kafka.protocol.metadata import ApiVersionsRequest, ApiVersionsResponse, FindCoordinatorRequest, MetadataRequest
from kafka.protocol.producer import InitProducerIdRequest, ProduceRequest
from kafka.record.memory_records import MemoryRecords, MemoryRecordsBuilder
from wire import RANGES, SECONDS_MAX, Connection, ask, decode, versions

BASE_TIME = 1_700_000_000_000
# Produce 0-2 is advertised for librdkafka's sake and refused.
PRODUCE_FIRST = 3


def batch(values, codec=0, producer_id=-1, sequence=-1):
    epoch = 0 if producer_id >= 0 else -1
    builder = MemoryRecordsBuilder(
        2, codec, 1 << 20, producer_id=producer_id, producer_epoch=epoch, base_sequence=sequence
    )
    for index, value in enumerate(values):
        builder.append(BASE_TIME + 10 * index, b"key-%d" % index, value, [("header", b"x")])
    builder.close()
    return bytes(builder.buffer())


def create(broker, name, partitions=1):
    topic = CreateTopicsRequest.CreatableTopic(
        name=name, num_partitions=partitions, replication_factor=1, assignments=[], configs=[]
    )
    answer = ask(broker, CreateTopicsRequest, 7, topics=[topic], timeout_ms=30_000, validate_only=False)
    same("error of CreateTopics", 0, answer.topics[0].error_code)
    # Kafka answers before the partition's leader knows of it.
    await_that("a leader", SECONDS_MAX, lambda: ready(broker, name))
    return answer.topics[0].topic_id


def ready(broker, name):
    topic = describe(broker, 12, name=name)
    return topic.error_code == 0 and all(p.error_code == 0 for p in topic.partitions) and list_end(broker, name) == 0


def list_end(broker, name):
    return list_offset(broker, 5, name, -1).error_code


def describe(broker, version, name=None, topic_id=uuid.UUID(int=0)):
    asked = MetadataRequest.MetadataRequestTopic(name=name, topic_id=topic_id)
    [topic] = ask(broker, MetadataRequest, version, topics=[asked], allow_auto_topic_creation=False).topics
    return topic


_filled = {}


def filled(broker):
    """A topic with 30 records in three batches, made once: its name and id."""
    if broker not in _filled:
        name = fresh_topic("versions")
        _filled[broker] = (name, create(broker, name))
        for number in range(3):
            values = [b"value-%d" % (10 * number + i) for i in range(10)]
            produce(broker, 9, *_filled[broker], batch(values, codec=number))
    return _filled[broker]


def produce(broker, version, name, topic_id, records, acks=-1):
    data = ProduceRequest.TopicProduceData
    part = data.PartitionProduceData(index=0, records=records)
    topic = data(name=name, topic_id=topic_id, partition_data=[part])
    answer = ask(broker, ProduceRequest, version, acks=acks, timeout_ms=10_000, topic_data=[topic])
    [partition] = answer.responses[0].partition_responses
    same("error of Produce", 0, partition.error_code)
    return partition.base_offset


def fetch(connection, version, name, topic_id, offset, session=(0, -1), topics=True, max_bytes=1 << 20):
    topic = FetchRequest.FetchTopic
    part = topic.FetchPartition(partition=0, fetch_offset=offset, partition_max_bytes=max_bytes)
    asked = [topic(topic=name, topic_id=topic_id, partitions=[part])] if topics else []
    return connection.ask(
        FetchRequest, version, replica_id=-1, max_wait_ms=100, min_bytes=1, max_bytes=max_bytes, isolation_level=0,
        session_id=session[0], session_epoch=session[1], topics=asked, forgotten_topics_data=[], rack_id="",
    )


def fetched_values(answer):
    records = bytes(answer.responses[0].partitions[0].records)
    found, batches = [], MemoryRecords(records)
    while batches.has_next():
        found.extend(record.value for record in batches.next_batch())
    return found


def list_offset(broker, version, name, timestamp, isolation=0):
    topic = ListOffsetsRequest.ListOffsetsTopic
    part = topic.ListOffsetsPartition(partition_index=0, timestamp=timestamp, current_leader_epoch=-1)
    answer = ask(
        broker, ListOffsetsRequest, version, replica_id=-1, isolation_level=isolation,
        topics=[topic(name=name, partitions=[part])], timeout_ms=10_000,
    )
    return answer.topics[0].partitions[0]


@check
def advertised(broker):
    """The advertised versions of the first APIs are those of Apache Kafka 4.3.1"""
    answer = ask(broker, ApiVersionsRequest, 4, client_software_name="ci", client_software_version="1")
    same("error", 0, answer.error_code)
    found = {row.api_key: (row.min_version, row.max_version) for row in answer.api_keys}
    for key, (request, _, low, high) in RANGES.items():
        same(request.name, (low, high), found.get(key))


@each(*versions(ApiVersionsRequest))
def api_versions(broker, version):
    """ApiVersions {} is answered"""
    answer = ask(broker, ApiVersionsRequest, version, client_software_name="ci", client_software_version="1")
    same("error", 0, answer.error_code)
    same("it names itself", True, any(row.api_key == 18 for row in answer.api_keys))


@each((5,), (99,), (32767,))
def api_versions_unknown(broker, version):
    """ApiVersions of the unknown version {} is answered in the shape of version 0"""
    with Connection(broker) as connection:
        head = struct.pack(">hhih", 18, version, 77, -1) + b"\x00"
        connection.socket.sendall(struct.pack(">i", len(head)) + head)
        frame = connection.receive()
    answer = decode(ApiVersionsResponse, 0, frame, 77)
    same("error UNSUPPORTED_VERSION", 35, answer.error_code)
    same("it names itself", True, any(row.api_key == 18 for row in answer.api_keys))


@each(*versions(MetadataRequest))
def metadata(broker, version):
    """Metadata {} names brokers, the asked topic, and all topics"""
    name, topic_id = filled(broker)
    topic = describe(broker, version, name=name)
    same("topic", (0, name, 1), (topic.error_code, topic.name, len(topic.partitions)))
    if version >= 10:
        same("topic id", topic_id, topic.topic_id)
    every = ask(broker, MetadataRequest, version, topics=None if version >= 1 else [])
    same("broker", broker, f"{every.brokers[0].host}:{every.brokers[0].port}")
    same("our topic among all", True, name in [t.name for t in every.topics])
    if version >= 1:
        same("no topics asked, none told", [], ask(broker, MetadataRequest, version, topics=[]).topics)


@each(*versions(MetadataRequest, first=12))
def metadata_by_id(broker, version):
    """Metadata {} finds topics by id and says which it does not know"""
    name, topic_id = filled(broker)
    topic = describe(broker, version, topic_id=topic_id)
    same("by id", (0, name), (topic.error_code, topic.name))
    same("UNKNOWN_TOPIC_ID", 100, describe(broker, version, topic_id=uuid.uuid4()).error_code)


@each(*versions(MetadataRequest, first=4))
def metadata_unknown(broker, version):
    """Metadata {} tells an unknown topic from an illegal name"""
    same("UNKNOWN_TOPIC_OR_PARTITION", 3, describe(broker, version, name=fresh_topic("nowhere")).error_code)
    same("INVALID_TOPIC_EXCEPTION", 17, describe(broker, version, name="no such/name").error_code)


@each(*versions(MetadataRequest, first=4))
def auto_create(broker, version):
    """Metadata {} creates a topic when asked to"""
    asked = MetadataRequest.MetadataRequestTopic(name=fresh_topic("auto"))

    def created():
        [topic] = ask(broker, MetadataRequest, version, topics=[asked], allow_auto_topic_creation=True).topics
        return topic.error_code == 0

    await_that("the topic", SECONDS_MAX, created)


@each(*versions(DescribeClusterRequest))
def describe_cluster(broker, version):
    """DescribeCluster {} names the broker and the cluster"""
    answer = ask(broker, DescribeClusterRequest, version, include_cluster_authorized_operations=True, endpoint_type=1)
    same("error", 0, answer.error_code)
    same("brokers", [broker], [f"{b.host}:{b.port}" for b in answer.brokers])


@each(*versions(CreateTopicsRequest))
def create_topics(broker, version):
    """CreateTopics {} creates, validates, and refuses a name that is taken"""
    topic = CreateTopicsRequest.CreatableTopic
    name = fresh_topic("create")
    settings = [topic.CreatableTopicConfig(name="retention.ms", value="3600000")]
    asked = topic(name=name, num_partitions=2, replication_factor=1, assignments=[], configs=settings)
    assigned = topic(
        name=name + "-assigned", num_partitions=-1, replication_factor=-1, configs=[],
        assignments=[topic.CreatableReplicaAssignment(partition_index=0, broker_ids=[node_id(broker)])],
    )

    def create_all(validate_only):
        answer = ask(
            broker, CreateTopicsRequest, version, topics=[asked, assigned], timeout_ms=30_000,
            validate_only=validate_only,
        )
        return [(t.name, t.error_code) for t in answer.topics]

    both = [name, assigned.name]
    same("validated", [(n, 0) for n in both], create_all(True))
    same("created", [(n, 0) for n in both], create_all(False))
    same("TOPIC_ALREADY_EXISTS", [(n, 36) for n in both], create_all(False))


def node_id(broker):
    return ask(broker, MetadataRequest, 9, topics=[]).brokers[0].node_id


@each(*versions(DeleteTopicsRequest))
def delete_topics(broker, version):
    """DeleteTopics {} deletes, by id too, and refuses what it does not know"""
    name = fresh_topic("delete")
    create(broker, name)

    def delete(**how):
        state = DeleteTopicsRequest.DeleteTopicState
        fields = {"topics": [state(**how)]} if version >= 6 else {"topic_names": list(how.values())}
        return ask(broker, DeleteTopicsRequest, version, timeout_ms=30_000, **fields).responses[0].error_code

    same("deleted", 0, delete(name=name))
    same("UNKNOWN_TOPIC_OR_PARTITION", 3, delete(name=name))
    if version >= 6:
        topic_id = create(broker, name)
        same("deleted by id", 0, delete(name=None, topic_id=topic_id))
        same("UNKNOWN_TOPIC_ID", 100, delete(name=None, topic_id=topic_id))


@each(*versions(ProduceRequest, first=PRODUCE_FIRST))
def produce_every(broker, version):
    """Produce {} appends batches of every codec that it may carry"""
    name = fresh_topic("produce")
    topic_id = create(broker, name)
    # zstd came with version 7 (KIP-110).
    codecs = range(5 if version >= 7 else 4)
    for number in codecs:
        records = batch([b"value %d " % i * 10 for i in range(5)], codec=number)
        same("base offset", 5 * number, produce(broker, version, name, topic_id, records, acks=1 if number % 2 else -1))


@each(*versions(ProduceRequest, first=PRODUCE_FIRST))
def produce_corrupt(broker, version):
    """Produce {} refuses a batch with a flipped bit"""
    name, topic_id = filled(broker)
    records = bytearray(batch([b"value"]))
    records[-1] ^= 1
    try:
        produce(broker, version, name, topic_id, bytes(records))
    except AssertionError as error:
        same("CORRUPT_MESSAGE", "error of Produce: expected '0', got '2'", str(error))
    else:
        raise AssertionError("it was taken")


@each(*versions(FetchRequest))
def fetch_every(broker, version):
    """Fetch {} reads from the start, from within a batch, at the end and beyond it"""
    name, topic_id = filled(broker)
    every = [b"value-%d" % i for i in range(30)]
    with Connection(broker) as connection:
        same("all", every, fetched_values(fetch(connection, version, name, topic_id, 0)))
        same("the whole batch of offset 15", every[10:], fetched_values(fetch(connection, version, name, topic_id, 15)))
        same("one batch at least", every[:10], fetched_values(fetch(connection, version, name, topic_id, 0, max_bytes=1)))
        [end] = fetch(connection, version, name, topic_id, 30).responses[0].partitions
        same("the end", (0, 30, b""), (end.error_code, end.high_watermark, bytes(end.records)))
        [beyond] = fetch(connection, version, name, topic_id, 31).responses[0].partitions
        same("OFFSET_OUT_OF_RANGE", 1, beyond.error_code)
        same("no records", b"", bytes(beyond.records or b""))


@each(*versions(FetchRequest, first=7))
def fetch_session(broker, version):
    """Fetch {} keeps a session: partitions are told once, silent when nothing changed"""
    name, topic_id = fresh_topic("session"), None
    topic_id = create(broker, name)
    produce(broker, 9, name, topic_id, batch([b"one"]))
    with Connection(broker) as connection:
        opened = fetch(connection, version, name, topic_id, 0, session=(0, 0))
        same("a session", True, opened.session_id != 0)
        same("the first", [b"one"], fetched_values(opened))
        moved = fetch(connection, version, name, topic_id, 1, session=(opened.session_id, 1))
        same("nothing new", (opened.session_id, []), (moved.session_id, moved.responses))
        produce(broker, 9, name, topic_id, batch([b"two"]))
        silent = fetch(connection, version, name, topic_id, 0, session=(opened.session_id, 2), topics=False)
        same("what came meanwhile, unasked", [b"two"], fetched_values(silent))
        wrong = fetch(connection, version, name, topic_id, 0, session=(opened.session_id, 9), topics=False)
        same("INVALID_FETCH_SESSION_EPOCH", 71, wrong.error_code)
        unknown = fetch(connection, version, name, topic_id, 0, session=(opened.session_id ^ 1, 1), topics=False)
        same("FETCH_SESSION_ID_NOT_FOUND", 70, unknown.error_code)


@each(*versions(ListOffsetsRequest))
def list_offsets(broker, version):
    """ListOffsets {} knows start, end, times, and the special times of its version"""
    name, _ = filled(broker)

    def at(timestamp, isolation=0):
        found = list_offset(broker, version, name, timestamp, isolation)
        same("error", 0, found.error_code)
        return found.offset

    same("latest", 30, at(-1))
    same("latest, committed", 30, at(-1, isolation=1))
    same("earliest", 0, at(-2))
    same("by time", 3, at(BASE_TIME + 21))
    same("after all", -1, at(BASE_TIME + 10_000))
    if version >= 7:
        # Every batch has the times 0 to 90: the last record of the first batch is the first of the largest time.
        same("max timestamp", 9, at(-3))
    if version >= 8:
        same("earliest local", 0, at(-4))
    if version >= 9:
        same("latest tiered", -1, at(-5))
    if version >= 11:
        same("earliest pending upload", -1, at(-6))


@each(*versions(OffsetForLeaderEpochRequest))
def offset_for_leader_epoch(broker, version):
    """OffsetForLeaderEpoch {} knows the end of the current epoch, and not of one to come"""
    name, _ = filled(broker)
    epoch = describe(broker, 9, name=name).partitions[0].leader_epoch

    def end_of(leader_epoch):
        topic = OffsetForLeaderEpochRequest.OffsetForLeaderTopic
        part = topic.OffsetForLeaderPartition(partition=0, current_leader_epoch=-1, leader_epoch=leader_epoch)
        answer = ask(
            broker, OffsetForLeaderEpochRequest, version, replica_id=-1, topics=[topic(topic=name, partitions=[part])]
        )
        found = answer.topics[0].partitions[0]
        return found.error_code, found.leader_epoch, found.end_offset

    same("current epoch", (0, epoch, 30), end_of(epoch))
    same("an epoch to come", (0, -1, -1), end_of(epoch + 1))


@each(*versions(InitProducerIdRequest))
def init_producer_id(broker, version):
    """InitProducerId {} hands out ids that write idempotently"""

    def producer():
        answer = ask(broker, InitProducerIdRequest, version, transactional_id=None, transaction_timeout_ms=60_000)
        # COORDINATOR_LOAD_IN_PROGRESS, while a new Kafka fetches its first block of ids.
        return None if answer.error_code == 14 else answer

    answer, other = (await_that("a producer id", SECONDS_MAX, producer) for _ in range(2))
    same("error and epoch", (0, 0), (answer.error_code, answer.producer_epoch))
    same("another id", True, other.producer_id != answer.producer_id)
    name = fresh_topic("idempotent")
    topic_id = create(broker, name)
    for sequence in (0, 2):
        records = batch([b"a", b"b"], producer_id=answer.producer_id, sequence=sequence)
        same("written", sequence, produce(broker, 9, name, topic_id, records))
        same("a duplicate has its old offset", sequence, produce(broker, 9, name, topic_id, records))
    try:
        produce(broker, 9, name, topic_id, batch([b"c"], producer_id=answer.producer_id, sequence=9))
    except AssertionError as error:
        same("OUT_OF_ORDER_SEQUENCE_NUMBER", "error of Produce: expected '0', got '45'", str(error))
    else:
        raise AssertionError("a gap in the sequence was taken")


@each(*versions(DescribeTopicPartitionsRequest))
def describe_topic_partitions(broker, version):
    """DescribeTopicPartitions {} describes, page by page, and names what it does not know"""
    name = fresh_topic("pages")
    topic_id = create(broker, name, partitions=5)
    request = DescribeTopicPartitionsRequest
    asked = [request.TopicRequest(name=name)]
    seen, cursor = [], None
    while True:
        answer = ask(broker, request, version, topics=asked, response_partition_limit=2, cursor=cursor)
        [topic] = answer.topics
        same("topic", (0, topic_id), (topic.error_code, topic.topic_id))
        seen.extend(p.partition_index for p in topic.partitions)
        if answer.next_cursor is None:
            break
        cursor = request.Cursor(
            topic_name=answer.next_cursor.topic_name, partition_index=answer.next_cursor.partition_index
        )
    same("pages", [0, 1, 2, 3, 4], seen)
    unknown = ask(broker, request, version, topics=[request.TopicRequest(name=name + "-not")], cursor=None)
    same("UNKNOWN_TOPIC_OR_PARTITION", 3, unknown.topics[0].error_code)


@each(*versions(FindCoordinatorRequest))
def find_coordinator(broker, version):
    """FindCoordinator {} finds the coordinator of a group"""

    def found():
        fields = {"coordinator_keys": ["group"]} if version >= 4 else {"key": "group"}
        answer = ask(broker, FindCoordinatorRequest, version, key_type=0, **fields)
        [place] = answer.coordinators if version >= 4 else [answer]
        # COORDINATOR_NOT_AVAILABLE, while Kafka creates the topic of the groups.
        same("error", True, place.error_code in (0, 15))
        return place.error_code == 0 and f"{place.host}:{place.port}"

    same("coordinator", broker, await_that("a coordinator", SECONDS_MAX, found))


@each(*versions(DescribeConfigsRequest))
def describe_configs(broker, version):
    """DescribeConfigs {} tells settings of a topic, those asked for and all"""
    name, _ = filled(broker)
    resource = DescribeConfigsRequest.DescribeConfigsResource

    def settings(keys):
        asked = resource(resource_type=2, resource_name=name, configuration_keys=keys)
        answer = ask(broker, DescribeConfigsRequest, version, resources=[asked], include_synonyms=True)
        same("error", 0, answer.results[0].error_code)
        return {setting.name: setting.value for setting in answer.results[0].configs}

    same("one", {"segment.bytes": "1073741824"}, settings(["segment.bytes"]))
    same("among all", "604800000", settings(None)["retention.ms"])


@check
def in_order(broker):
    """Answers leave in the order of requests, also behind a fetch that waits"""
    name, topic_id = filled(broker)
    with Connection(broker) as connection:
        topic = FetchRequest.FetchTopic
        part = topic.FetchPartition(partition=0, fetch_offset=30, partition_max_bytes=1000)
        began = time.monotonic()
        connection.send(
            FetchRequest, 11, max_wait_ms=700, min_bytes=1, max_bytes=1000, session_id=0, session_epoch=-1,
            topics=[topic(topic=name, topic_id=topic_id, partitions=[part])], forgotten_topics_data=[], rack_id="",
        )
        connection.send(MetadataRequest, 9, topics=[])
        connection.send(ApiVersionsRequest, 0)
        order = [struct.unpack(">i", connection.receive()[:4])[0] for _ in range(3)]
    same("order", [1, 2, 3], order)
    same("the fetch waited", True, time.monotonic() - began > 0.6)


@each(("a negative length", b"\xff\xff\xff\xff"), ("a huge length", b"\x7f\xff\xff\xff"),
      ("random bytes", bytes(range(200, 256)) * 4), ("an unknown API", struct.pack(">ihhih", 10, 9999, 0, 1, -1)),
      ("a frame too short for a header", struct.pack(">ih", 2, 3)))
def bad_input(broker, what, sent):
    """After {0} the connection is closed and others notice nothing"""
    with Connection(broker) as connection, Connection(broker) as other:
        connection.socket.sendall(sent)
        try:
            same("answer", b"", connection.socket.recv(100))
        except ConnectionResetError:
            pass
        same("another client", 0, other.ask(ApiVersionsRequest, 0).error_code)


if __name__ == "__main__":
    main("every version, frames by kafka-python")
