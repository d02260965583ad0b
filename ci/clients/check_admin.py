"""Every version of the admin APIs, asked on a bare socket, against a broker: what goes well, and each refusal.

Frames are encoded and decoded by kafka-python's protocol classes. What a node of its own answers to requests about
others (elections, reassignments, quotas, ACLs) is asked too. Where we differ from Kafka on purpose, nothing is
asked here: ci/clients/differences.md says where and why.
"""

import check_versions as wire
from check_versions import SECONDS_MAX, ask, batch, create, describe, fetch, node_id, produce
from checks import await_that, check, each, fresh_topic, main, same
from kafka.protocol import admin, sasl
from kafka.protocol.producer import InitProducerIdRequest

# What Apache Kafka 4.3.1 advertises.
RANGES = {
    "SaslHandshake": (0, 1),
    "DeleteRecords": (0, 2),
    "DescribeAcls": (1, 3),
    "CreateAcls": (1, 3),
    "DeleteAcls": (1, 3),
    "AlterConfigs": (0, 2),
    "AlterReplicaLogDirs": (1, 2),
    "DescribeLogDirs": (1, 5),
    "CreatePartitions": (0, 3),
    "ElectLeaders": (0, 2),
    "IncrementalAlterConfigs": (0, 1),
    "AlterPartitionReassignments": (0, 1),
    "ListPartitionReassignments": (0, 0),
    "DescribeClientQuotas": (0, 1),
    "AlterClientQuotas": (0, 1),
    "DescribeUserScramCredentials": (0, 0),
    "DescribeQuorum": (0, 2),
    "UpdateFeatures": (0, 2),
    "DescribeProducers": (0, 0),
    "DescribeTransactions": (0, 0),
    "ListTransactions": (0, 2),
    "ListConfigResources": (0, 1),
}
REQUESTS = {}
for _name, (_low, _high) in RANGES.items():
    _module = sasl if _name == "SaslHandshake" else admin
    REQUESTS[_name] = getattr(_module, _name + "Request")
    wire.RANGES[REQUESTS[_name].API_KEY] = (REQUESTS[_name], getattr(_module, _name + "Response"), _low, _high)

TOPIC, BROKER, LOGGER, METRICS, GROUP = 2, 4, 8, 16, 32
SET, DELETE, APPEND, SUBTRACT = range(4)
NONE, OUT_OF_RANGE, UNKNOWN_TOPIC, INVALID_TOPIC = 0, 1, 3, 17
SASL_STATE, UNSUPPORTED, PARTITIONS, REPLICATION, ASSIGNMENT, CONFIG, REQUEST = 34, 35, 37, 38, 39, 40, 42
POLICY, SECURITY, LOG_DIR, ELECTION, REASSIGNMENT, RESOURCE, DUPLICATE = 44, 54, 57, 84, 85, 91, 92
UPDATE_VERSION, TRANSACTIONAL_ID = 95, 105


def versions(name):
    low, high = RANGES[name]
    return [(version,) for version in range(low, high + 1)]


def call(broker, name, version, **fields):
    return ask(broker, REQUESTS[name], version, **fields)


@check
def advertised(broker):
    """The advertised versions of the admin APIs are those of Apache Kafka 4.3.1"""
    answer = ask(broker, wire.ApiVersionsRequest, 4, client_software_name="ci", client_software_version="1")
    found = {row.api_key: (row.min_version, row.max_version) for row in answer.api_keys}
    for name, range_ in RANGES.items():
        same(name, range_, found.get(REQUESTS[name].API_KEY))


# --- partitions ----------------------------------------------------------------------------------------------


def grow(broker, version, *topics, validate_only=False):
    topic = REQUESTS["CreatePartitions"].CreatePartitionsTopic

    def one(name, count, assigned=None):
        if assigned is not None:
            assigned = [topic.CreatePartitionsAssignment(broker_ids=ids) for ids in assigned]
        return topic(name=name, count=count, assignments=assigned)

    answer = call(
        broker, "CreatePartitions", version, topics=[one(*t) for t in topics], timeout_ms=30_000,
        validate_only=validate_only,
    )
    return [(r.error_code, r.error_message) for r in answer.results]


@each(*versions("CreatePartitions"))
def create_partitions(broker, version):
    """CreatePartitions {} adds partitions, placed by the broker and by hand, and checks without adding"""
    name, node = fresh_topic("grow"), node_id(broker)
    create(broker, name, partitions=1)
    same("validated", [(0, None)], grow(broker, version, (name, 3), validate_only=True))
    same("as before", 1, len(describe(broker, 9, name=name).partitions))
    same("added", [(0, None)], grow(broker, version, (name, 2)))
    same("placed by hand", [(0, None)], grow(broker, version, (name, 4, [[node], [node]])))
    await_that("four partitions", SECONDS_MAX, lambda: usable(broker, name, 4))


def usable(broker, name, count):
    partitions = describe(broker, 9, name=name).partitions
    return len(partitions) == count and all(p.error_code == 0 for p in partitions)


@each(*versions("CreatePartitions"))
def create_partitions_refused(broker, version):
    """CreatePartitions {} never takes partitions away, and refuses what cannot be"""
    name, node = fresh_topic("grow"), node_id(broker)
    create(broker, name, partitions=2)
    short = f"The topic {name} currently has 2 partition(s); %d would not be an increase."
    for asked, expected in [
        ((name, 2), (PARTITIONS, "Topic already has 2 partition(s).")),
        ((name, 1), (PARTITIONS, short % 1)),
        ((name, 0), (PARTITIONS, short % 0)),
        ((name, -1), (PARTITIONS, short % -1)),
        ((name + "-not", 3), (UNKNOWN_TOPIC, None)),
        ((name, 4, [[node]]), (ASSIGNMENT, "Attempted to add 2 additional partition(s), but only 1 assignment(s) were "
                               "specified.")),
        ((name, 3, [[77]]), (ASSIGNMENT, "The manual partition assignment includes broker 77, but no such broker is "
                             "registered.")),
        ((name, 3, [[]]), (ASSIGNMENT, "The manual partition assignment includes an empty replica list.")),
        ((name, 3, [[node, node]]), (ASSIGNMENT, f"The manual partition assignment includes the broker {node} more "
                                     "than once.")),
    ]:
        same(str(asked), [expected], grow(broker, version, asked))
    same("twice", [(REQUEST, "Duplicate topic name.")], grow(broker, version, (name, 3), (name, 4)))


# --- records -------------------------------------------------------------------------------------------------


def delete(broker, version, name, *places):
    topic = REQUESTS["DeleteRecords"].DeleteRecordsTopic
    asked = [topic.DeleteRecordsPartition(partition_index=p, offset=offset) for p, offset in places]
    answer = call(broker, "DeleteRecords", version, topics=[topic(name=name, partitions=asked)], timeout_ms=10_000)
    [found] = answer.topics
    return sorted((p.partition_index, p.error_code, p.low_watermark) for p in found.partitions)


@each(*versions("DeleteRecords"))
def delete_records(broker, version):
    """DeleteRecords {} moves the start of a partition, never back, and never beyond the high watermark"""
    name = fresh_topic("delete-records")
    topic_id = create(broker, name)
    produce(broker, 9, name, topic_id, batch([b"%d" % i for i in range(10)]))
    same("to 4", [(0, NONE, 4)], delete(broker, version, name, (0, 4)))
    same("earliest", 4, wire.list_offset(broker, 5, name, -2).offset)
    same("not back", [(0, NONE, 4)], delete(broker, version, name, (0, 2)))
    same("beyond the end", [(0, OUT_OF_RANGE, -1)], delete(broker, version, name, (0, 11)))
    same("negative", [(0, OUT_OF_RANGE, -1)], delete(broker, version, name, (0, -2)))
    same("no such partition", [(3, UNKNOWN_TOPIC, -1)], delete(broker, version, name, (3, 1)))
    same("no such topic", [(0, UNKNOWN_TOPIC, -1)], delete(broker, version, name + "-not", (0, 1)))
    with wire.Connection(broker) as connection:
        [below] = fetch(connection, 11, name, topic_id, 3).responses[0].partitions
        same("below the start", OUT_OF_RANGE, below.error_code)
    same("the last of two", [(0, NONE, 6)], delete(broker, version, name, (0, 5), (0, 6)))
    same("to the high watermark", [(0, NONE, 10)], delete(broker, version, name, (0, -1)))


@each(*versions("DeleteRecords"))
def delete_records_compacted(broker, version):
    """DeleteRecords {} is refused where a topic is only compacted"""
    name = fresh_topic("delete-compacted")
    create(broker, name)
    same("compact", [(0, None)], alter(broker, 1, (TOPIC, name, [("cleanup.policy", SET, "compact")])))
    await_that("refusal", SECONDS_MAX, lambda: delete(broker, version, name, (0, 0)) == [(0, POLICY, -1)])
    same("both", [(0, None)], alter(broker, 1, (TOPIC, name, [("cleanup.policy", APPEND, "delete")])))
    await_that("deletion", SECONDS_MAX, lambda: delete(broker, version, name, (0, 0)) == [(0, NONE, 0)])


# --- settings ------------------------------------------------------------------------------------------------


def alter(broker, version, *resources, validate_only=False):
    resource = REQUESTS["IncrementalAlterConfigs"].AlterConfigsResource

    def one(kind, name, changes):
        configs = [resource.AlterableConfig(name=k, config_operation=o, value=v) for k, o, v in changes]
        return resource(resource_type=kind, resource_name=name, configs=configs)

    answer = call(
        broker, "IncrementalAlterConfigs", version, resources=[one(*r) for r in resources], validate_only=validate_only
    )
    same("resources", [r[:2] for r in resources], [(r.resource_type, r.resource_name) for r in answer.responses])
    return [(r.error_code, r.error_message) for r in answer.responses]


def replace(broker, version, *resources, validate_only=False):
    resource = REQUESTS["AlterConfigs"].AlterConfigsResource

    def one(kind, name, configs):
        configs = [resource.AlterableConfig(name=k, value=v) for k, v in configs]
        return resource(resource_type=kind, resource_name=name, configs=configs)

    answer = call(broker, "AlterConfigs", version, resources=[one(*r) for r in resources], validate_only=validate_only)
    return [(r.error_code, r.error_message) for r in answer.responses]


def settings(broker, kind, name, keys=None):
    """Value, source, read-only, type and synonyms by key."""
    asked = wire.DescribeConfigsRequest.DescribeConfigsResource(
        resource_type=kind, resource_name=name, configuration_keys=keys
    )
    answer = ask(broker, wire.DescribeConfigsRequest, 4, resources=[asked], include_synonyms=True)
    [result] = answer.results
    same(f"error of DescribeConfigs ({result.error_message})", 0, result.error_code)
    return {
        c.name: (
            c.value, c.config_source, c.read_only, c.config_type, [(s.name, s.value, s.source) for s in c.synonyms]
        )
        for c in result.configs
    }


def value_is(broker, kind, name, key, expected):
    await_that(f"{key}={expected}", SECONDS_MAX, lambda: settings(broker, kind, name, [key])[key][0] == expected)


@each(*versions("IncrementalAlterConfigs"))
def incremental_alter_configs(broker, version):
    """IncrementalAlterConfigs {} sets, appends, subtracts and deletes, and checks without doing"""
    name = fresh_topic("alter")
    create(broker, name)
    fine = [(0, None)]
    for key, operation, value, expected in [
        ("retention.ms", SET, "100000", "100000"),
        ("cleanup.policy", APPEND, "compact", "delete,compact"),
        ("cleanup.policy", APPEND, "compact,delete", "delete,compact"),
        ("cleanup.policy", SUBTRACT, "delete", "compact"),
        ("cleanup.policy", SUBTRACT, "delete", "compact"),
        ("cleanup.policy", DELETE, None, "delete"),
        ("retention.ms", DELETE, None, "604800000"),
        ("never.heard.of", DELETE, None, None),
    ]:
        same(f"{key} {operation}", fine, alter(broker, version, (TOPIC, name, [(key, operation, value)])))
        if expected is not None:
            value_is(broker, TOPIC, name, key, expected)
    same("validated", fine, alter(broker, version, (TOPIC, name, [("retention.ms", SET, "7")]), validate_only=True))
    same("as before", "604800000", settings(broker, TOPIC, name)["retention.ms"][0])
    same("nothing", fine, alter(broker, version, (TOPIC, name, [])))


@each(*versions("IncrementalAlterConfigs"))
def incremental_alter_configs_refused(broker, version):
    """IncrementalAlterConfigs {} refuses what is unknown, wrong or contradictory, by name and value"""
    name, node = fresh_topic("alter"), str(node_id(broker))
    create(broker, name)
    no_list = "Can't APPEND to key %s because its type is not LIST."
    for kind, resource, changes, expected in [
        (TOPIC, name, [("foo.bar", SET, "1")], (CONFIG, "Unknown topic config name: foo.bar")),
        (TOPIC, name, [("retention.ms", SET, "x")],
         (CONFIG, "Invalid value x for configuration retention.ms: Not a number of type LONG")),
        (TOPIC, name, [("segment.bytes", SET, "1")],
         (CONFIG, "Invalid value 1 for configuration segment.bytes: Value must be at least 1048576")),
        (TOPIC, name, [("retention.ms", SET, None), ("segment.ms", APPEND, None)],
         (REQUEST, "Null value not supported for : retention.ms, segment.ms")),
        (TOPIC, name, [("retention.ms", APPEND, "1")], (CONFIG, no_list % "retention.ms")),
        (TOPIC, name, [("foo.bar", APPEND, "1")], (CONFIG, no_list % "foo.bar")),
        (TOPIC, name, [("cleanup.policy", APPEND, "")],
         (CONFIG, "Configuration 'cleanup.policy' values must not be empty.")),
        (TOPIC, name, [("cleanup.policy", APPEND, "burn")],
         (CONFIG, "Invalid value burn for configuration cleanup.policy: String must be one of: compact, delete")),
        (TOPIC, name, [("retention.ms", SET, "1"), ("retention.ms", DELETE, None)],
         (REQUEST, "Error due to duplicate config keys")),
        (TOPIC, name, [("min.compaction.lag.ms", SET, "10"), ("max.compaction.lag.ms", SET, "5")],
         (CONFIG, "conflict topic config setting min.compaction.lag.ms (10) > max.compaction.lag.ms (5)")),
        (TOPIC, name + "-not", [("retention.ms", SET, "1")],
         (UNKNOWN_TOPIC, f"The topic '{name}-not' does not exist.")),
        (TOPIC, name + "-not", [("foo", SET, "1")], (CONFIG, "Unknown topic config name: foo")),
        (TOPIC, "", [("retention.ms", SET, "1")], (REQUEST, "Default topic resources are not allowed.")),
        (0, name, [("retention.ms", SET, "1")], (REQUEST, "Unknown resource type 0")),
        (99, name, [("retention.ms", SET, "1")], (REQUEST, "Unknown resource type 99")),
        (BROKER, node, [("node.id", SET, "5"), ("num.partitions", SET, "3")],
         (REQUEST, "Cannot update these configs dynamically: [node.id, num.partitions]")),
        (BROKER, "", [("listeners", SET, "PLAINTEXT://:1")],
         (REQUEST, "Cannot update these configs at default cluster level, broker id must be specified: [listeners]")),
        (BROKER, node, [("ssl.keystore.location", SET, "/x")],
         (REQUEST, "These security configs can be dynamically updated only per-listener using the listener prefix: "
          "[ssl.keystore.location]")),
        (BROKER, node, [("log.retention.ms", APPEND, "5")],
         (CONFIG, "Config value append is not allowed for config key: log.retention.ms")),
        (BROKER, node, [("foo.bar", APPEND, "5")], (CONFIG, "Unknown config name: foo.bar")),
        (BROKER, node, [("log.retention.ms", SET, "x")],
         (REQUEST, "Invalid value x for configuration log.retention.ms: Not a number of type LONG")),
        (BROKER, node, [("log.segment.bytes", SET, "5")],
         (REQUEST, "Invalid value 5 for configuration log.segment.bytes: Value must be at least 1048576")),
        (BROKER, "77", [("log.retention.ms", SET, "1")],
         (REQUEST, f"Unexpected broker id, expected {node}, but received 77")),
        (BROKER, "x", [("log.retention.ms", SET, "1")], (REQUEST, "Node id must be an integer, but it is: x")),
        (BROKER, node, [("log.retention.ms", 9, "1")], (REQUEST, "Unknown operations type 9")),
        (GROUP, "", [("consumer.session.timeout.ms", SET, "50000")],
         (REQUEST, "Default group resources are not allowed.")),
        (GROUP, "g", [("foo", SET, "1")], (CONFIG, "Unknown group config name: foo")),
        (GROUP, "g", [("consumer.session.timeout.ms", SET, "1")],
         (CONFIG, "consumer.session.timeout.ms must be greater than or equal to "
          "group.consumer.min.session.timeout.ms")),
        (GROUP, "g", [("consumer.session.timeout.ms", SET, "99999999")],
         (CONFIG, "consumer.session.timeout.ms must be less than or equal to "
          "group.consumer.max.session.timeout.ms")),
        (LOGGER, node, [("no.such", SET, "INFO")], (CONFIG, "Logger no.such does not exist!")),
        (LOGGER, node, [("root", APPEND, "INFO")],
         (REQUEST, "APPEND operation is not allowed for the BROKER_LOGGER resource")),
        (LOGGER, "", [("root", SET, "INFO")], (REQUEST, "Node id must be an integer, but it is: ")),
        (LOGGER, "77", [("root", SET, "INFO")], (REQUEST, f"Unexpected node id. Expected {node}, but received 77")),
        (LOGGER, node, [("root", SET, "LOUD")],
         (CONFIG, "Cannot set the log level of root to LOUD as it is not a supported log level. Valid log levels are "
          "DEBUG, ERROR, FATAL, INFO, TRACE, WARN")),
        (LOGGER, node, [("root", DELETE, None)],
         (REQUEST, "Removing the log level of the root logger is not allowed")),
    ]:
        same(f"{resource} {changes}", [expected], alter(broker, version, (kind, resource, changes)))
    once = (REQUEST, "Each resource must appear at most once.")
    twice = [(TOPIC, name, [("retention.ms", SET, "1")]), (TOPIC, name, [("segment.ms", SET, "1000")])]
    same("twice", [once, once], alter(broker, version, *twice))


@each(*versions("AlterConfigs"))
def alter_configs(broker, version):
    """AlterConfigs {} sets all that it names, and takes away all that it does not"""
    name, node = fresh_topic("replace"), str(node_id(broker))
    create(broker, name)
    fine = [(0, None)]
    same("set", fine, replace(broker, version, (TOPIC, name, [("retention.ms", "5000"), ("segment.ms", "6000")])))
    value_is(broker, TOPIC, name, "segment.ms", "6000")
    same("another", fine, replace(broker, version, (TOPIC, name, [("retention.ms", "7000")])))
    value_is(broker, TOPIC, name, "segment.ms", "604800000")
    same("kept", "7000", settings(broker, TOPIC, name)["retention.ms"][0])
    same("validated", fine, replace(broker, version, (TOPIC, name, []), validate_only=True))
    same("cleared", fine, replace(broker, version, (TOPIC, name, [])))
    value_is(broker, TOPIC, name, "retention.ms", "604800000")
    for kind, resource, configs, expected in [
        (TOPIC, name, [("x", "1")], (CONFIG, "Unknown topic config name: x")),
        (TOPIC, name, [("segment.ms", None)], (REQUEST, "Null value not supported for : segment.ms")),
        (TOPIC, name, [("segment.ms", "1"), ("segment.ms", "2")], (REQUEST, "Error due to duplicate config keys")),
        (LOGGER, node, [("root", "INFO")], (REQUEST, "Unknown resource type 8")),
        (BROKER, node, [("node.id", "7")], (REQUEST, "Cannot update these configs dynamically: [node.id]")),
    ]:
        same(f"{resource} {configs}", [expected], replace(broker, version, (kind, resource, configs)))


@check
def describe_configs_sources(broker):
    """DescribeConfigs tells where a value comes from: topic, broker, all brokers, file, default"""
    name, node = fresh_topic("sources"), str(node_id(broker))
    create(broker, name)
    key = "log.message.timestamp.after.max.ms"
    row = settings(broker, TOPIC, name, ["message.timestamp.after.max.ms"])["message.timestamp.after.max.ms"]
    same("default", ("3600000", 5, False, 5, [(key, "3600000", 5)]), row)
    fine = [(0, None)]
    same("for all", fine, alter(broker, 1, (BROKER, "", [(key, SET, "3600001")])))
    same("for this", fine, alter(broker, 1, (BROKER, node, [(key, SET, "3600002")])))
    same("for the topic", fine, alter(broker, 1, (TOPIC, name, [("message.timestamp.after.max.ms", SET, " 3600003 ")])))
    expected = [("message.timestamp.after.max.ms", "3600003", 1), (key, "3600002", 2), (key, "3600001", 3),
                (key, "3600000", 5)]
    await_that("the topic's value", SECONDS_MAX, lambda: settings(
        broker, TOPIC, name, ["message.timestamp.after.max.ms"]
    )["message.timestamp.after.max.ms"] == ("3600003", 1, False, 5, expected))
    same("this broker", ("3600002", 2, False, 5, expected[1:]), settings(broker, BROKER, node, [key])[key])
    same("all brokers", ("3600001", 3, False, 5, expected[2:3]), settings(broker, BROKER, "", [key])[key])
    gone = [(key, DELETE, None)]
    same("undone", fine * 2, alter(broker, 1, (BROKER, "", gone), (BROKER, node, gone)))
    await_that("nothing for all", SECONDS_MAX, lambda: key not in settings(broker, BROKER, "", [key]))
    read_only = settings(broker, BROKER, node, ["node.id", "log.retention.hours", "log.retention.ms"])
    same("read only", [("log.retention.hours", True), ("log.retention.ms", False), ("node.id", True)],
         sorted((k, row[2]) for k, row in read_only.items()))
    same("hours", [("log.retention.hours", "168", 5)], read_only["log.retention.hours"][4])
    same("no milliseconds", (None, 5, []), (read_only["log.retention.ms"][0], read_only["log.retention.ms"][1],
                                            read_only["log.retention.ms"][4]))


@check
def describe_configs_of_groups_and_loggers(broker):
    """DescribeConfigs tells settings of groups, of the broker's log and of client metrics"""
    group, node = fresh_topic("group"), str(node_id(broker))
    key = "consumer.session.timeout.ms"
    same("set", [(0, None)], alter(broker, 1, (GROUP, group, [(key, SET, "50000")])))
    value_is(broker, GROUP, group, key, "50000")
    row = settings(broker, GROUP, group, [key])[key]
    same("its own", ("50000", 8, False, 3, [(key, "50000", 8), ("group." + key, "45000", 5)]), row)
    other = settings(broker, GROUP, group + "-not")
    same("of another", ("45000", 5, False, 3, [("group." + key, "45000", 5)]), other[key])
    same("settings of a group", 17, len(settings(broker, GROUP, group)))
    same("unset", [(0, None)], alter(broker, 1, (GROUP, group, [(key, DELETE, None)])))
    same("the log", ("INFO", 6, False, 0, []), settings(broker, LOGGER, node)["root"])
    same("quieter", [(0, None)], alter(broker, 1, (LOGGER, node, [("root", SET, "WARN")])))
    same("heard", "WARN", settings(broker, LOGGER, node)["root"][0])
    same("as before", [(0, None)], alter(broker, 1, (LOGGER, node, [("root", SET, "INFO")])))
    metrics = settings(broker, METRICS, fresh_topic("metrics"))
    same("client metrics", ("300000", 5, False, 3, []), metrics["interval.ms"])


@check
def describe_configs_refused(broker):
    """DescribeConfigs refuses what is not there, and takes no keys for all keys"""
    name, node = fresh_topic("describe"), node_id(broker)
    create(broker, name)
    resource = wire.DescribeConfigsRequest.DescribeConfigsResource
    for kind, of, expected in [
        (TOPIC, name + "-not", (UNKNOWN_TOPIC, "")),
        (TOPIC, "", (INVALID_TOPIC, "Topic name is invalid: the empty string is not allowed")),
        (BROKER, "x", (REQUEST, "Broker id must be an integer, but it is: x")),
        (BROKER, "77", (REQUEST, f"Unexpected broker id, expected {node} or empty string, but received 77")),
        (LOGGER, "", (REQUEST, "Broker id must not be empty")),
        (LOGGER, "77", (REQUEST, f"Unexpected broker id, expected {node} but received 77")),
        (METRICS, "", (REQUEST, "Client metrics subscription name must not be empty")),
        (GROUP, "", (REQUEST, "Group name must not be empty")),
    ]:
        asked = resource(resource_type=kind, resource_name=of, configuration_keys=None)
        [found] = ask(broker, wire.DescribeConfigsRequest, 4, resources=[asked]).results
        same(f"{kind} {of}", (expected, []), ((found.error_code, found.error_message), found.configs))
    same("no keys", set(settings(broker, TOPIC, name)), set(settings(broker, TOPIC, name, [])))
    same("unknown keys", ["retention.ms"], list(settings(broker, TOPIC, name, ["foo", "retention.ms"])))


@each(*versions("ListConfigResources"))
def list_config_resources(broker, version):
    """ListConfigResources {} lists topics, brokers, their logs and configured groups"""
    if version == 0:
        same("error", 0, call(broker, "ListConfigResources", 0).error_code)
        return
    name, group, node = fresh_topic("listed"), fresh_topic("group"), str(node_id(broker))
    create(broker, name)
    alter(broker, 1, (GROUP, group, [("consumer.session.timeout.ms", SET, "50000")]))

    def listed(*kinds):
        answer = call(broker, "ListConfigResources", version, resource_types=list(kinds))
        return answer.error_code, {(r.resource_type, r.resource_name) for r in answer.config_resources}

    wanted = {(TOPIC, name), (BROKER, node), (LOGGER, node), (GROUP, group)}
    await_that("all of them", SECONDS_MAX, lambda: listed()[1] >= wanted)
    same("brokers", (0, {(BROKER, node)}), listed(BROKER))
    same("a kind that nobody knows", (UNSUPPORTED, set()), listed(TOPIC, 99))
    alter(broker, 1, (GROUP, group, [("consumer.session.timeout.ms", DELETE, None)]))


# --- creation ------------------------------------------------------------------------------------------------


@each((2,), (3,), (4,), (5,), (6,), (7,))
def create_topics_assigned(broker, version):
    """CreateTopics {} places replicas by hand, and refuses what cannot be"""
    topic, node = wire.CreateTopicsRequest.CreatableTopic, node_id(broker)

    def created(assigned, **fields):
        asked = topic(**{
            "name": fresh_topic("assigned"), "num_partitions": -1, "replication_factor": -1, "configs": [],
            "assignments": [topic.CreatableReplicaAssignment(partition_index=p, broker_ids=b) for p, b in assigned],
            **fields,
        })
        answer = ask(broker, wire.CreateTopicsRequest, version, topics=[asked], timeout_ms=30_000, validate_only=True)
        return answer.topics[0].error_code, answer.topics[0].error_message

    config = topic.CreatableTopicConfig
    for assigned, fields, expected in [
        ([(0, [node]), (1, [node])], {}, (0, None)),
        ([(1, [node]), (0, [node])], {}, (0, None)),
        ([(0, [node])], {"replication_factor": 1},
         (REQUEST, "A manual partition assignment was specified, but replication factor was not set to -1.")),
        ([(0, [node])], {"num_partitions": 1},
         (REQUEST, "A manual partition assignment was specified, but numPartitions was not set to -1.")),
        ([(0, [node]), (2, [node])], {}, (ASSIGNMENT, "partitions should be a consecutive 0-based integer sequence")),
        ([(0, [node]), (0, [node])], {},
         (ASSIGNMENT, "Found multiple manual partition assignments for partition 0")),
        ([(0, [])], {}, (ASSIGNMENT, "The manual partition assignment includes an empty replica list.")),
        ([(0, [77])], {}, (ASSIGNMENT, "The manual partition assignment includes broker 77, but no such broker is "
                           "registered.")),
        ([], {"configs": [config(name="retention.ms", value=None)]},
         (CONFIG, "Null value not supported for topic configs: retention.ms")),
        ([], {"configs": [config(name="foo", value="1")]}, (CONFIG, "Unknown topic config name: foo")),
        ([], {"replication_factor": 2},
         (REPLICATION, "Unable to replicate the partition 2 time(s): The target replication factor of 2 cannot be "
          "reached because only 1 broker(s) are registered or some brokers have all their log directories cordoned.")),
    ]:
        same(f"{assigned} {fields}", expected, created(assigned, **fields))


# --- one node ------------------------------------------------------------------------------------------------


@each(*versions("ElectLeaders"))
def elect_leaders(broker, version):
    """ElectLeaders {} finds that no election is needed"""
    name = fresh_topic("elect")
    create(broker, name)
    request = REQUESTS["ElectLeaders"]

    def elect(kind, *topics):
        asked = [request.TopicPartitions(topic=t, partitions=p) for t, p in topics] if topics else None
        fields = {"election_type": kind} if version >= 1 else {}
        answer = call(broker, "ElectLeaders", version, topic_partitions=asked, timeout_ms=10_000, **fields)
        return answer.error_code if version >= 1 else 0, {
            t.topic: [(p.partition_id, p.error_code, p.error_message) for p in t.partition_result]
            for t in answer.replica_election_results
        }

    done = (0, ELECTION, "Leader election not needed for topic partition.")
    absent = (9, UNKNOWN_TOPIC, f"No such partition as {name}-9")
    same("preferred", (0, {name: [done, absent]}), elect(0, (name, [0, 9])))
    same("no topic", (0, {"no": [(0, UNKNOWN_TOPIC, "No such topic as no")]}), elect(0, ("no", [0])))
    same("of all", (0, []), (elect(0)[0], elect(0)[1][name]))
    if version >= 1:
        same("unclean", (0, {name: [done]}), elect(1, (name, [0])))
        same("of no kind", (REQUEST, {name: [(0, REQUEST, "Unknown election type 7")]}), elect(7, (name, [0])))


@each(*versions("AlterPartitionReassignments"))
def alter_partition_reassignments(broker, version):
    """AlterPartitionReassignments {} leaves replicas where they are, and moves none to brokers that are not there"""
    name, node = fresh_topic("reassign"), node_id(broker)
    create(broker, name)
    topic = REQUESTS["AlterPartitionReassignments"].ReassignableTopic

    def reassign(of, partition, replicas):
        asked = topic(name=of, partitions=[topic.ReassignablePartition(partition_index=partition, replicas=replicas)])
        answer = call(broker, "AlterPartitionReassignments", version, timeout_ms=10_000, topics=[asked])
        same("error", (0, None), (answer.error_code, answer.error_message))
        [found] = answer.responses[0].partitions
        return found.error_code, found.error_message

    same("stays", (0, None), reassign(name, 0, [node]))
    same("cancelled", (REASSIGNMENT, None), reassign(name, 0, None))
    manual = "The manual partition assignment includes"
    same("elsewhere", (ASSIGNMENT, f"{manual} broker 77, but no such broker is registered."), reassign(name, 0, [77]))
    same("nowhere", (ASSIGNMENT, f"{manual} an empty replica list."), reassign(name, 0, []))
    same("twice", (ASSIGNMENT, f"{manual} the broker {node} more than once."), reassign(name, 0, [node, node]))
    same("no topic", (UNKNOWN_TOPIC, "Unable to find a topic named no."), reassign("no", 0, [node]))
    same("no partition", (UNKNOWN_TOPIC, f"Unable to find partition {name}:9."), reassign(name, 9, [node]))


@each(*versions("ListPartitionReassignments"))
def list_partition_reassignments(broker, version):
    """ListPartitionReassignments {} lists none"""
    answer = call(broker, "ListPartitionReassignments", version, timeout_ms=10_000, topics=None)
    same("none", (0, None, []), (answer.error_code, answer.error_message, answer.topics))


@each(*versions("DescribeQuorum"))
def describe_quorum(broker, version):
    """DescribeQuorum {} names this node as leader and one voter of the metadata log, and knows no other log"""
    topic, node = REQUESTS["DescribeQuorum"].TopicData, node_id(broker)

    def quorum(name, *partitions):
        indexes = [topic.PartitionData(partition_index=p) for p in partitions]
        return call(broker, "DescribeQuorum", version, topics=[topic(topic_name=name, partitions=indexes)])

    answer = quorum("__cluster_metadata", 0)
    [found] = answer.topics[0].partitions
    same("leader", (0, 0, node), (answer.error_code, found.error_code, found.leader_id))
    [voter] = found.current_voters
    same("voter", (node, found.high_watermark, []), (voter.replica_id, voter.log_end_offset, found.observers))
    same("it has an end", True, found.high_watermark > 0)
    if version >= 1:
        same("it is here", True, voter.last_caught_up_timestamp == voter.last_fetch_timestamp > 1_700_000_000_000)
    if version >= 2:
        same("nodes", [node], [n.node_id for n in answer.nodes])
    for name, partitions in [("other", [0]), ("__cluster_metadata", [1]), ("__cluster_metadata", [0, 1])]:
        unknown = quorum(name, *partitions).topics[0].partitions
        same(f"{name} {partitions}", [UNKNOWN_TOPIC] * len(partitions), [p.error_code for p in unknown])


@each(*versions("UpdateFeatures"))
def update_features(broker, version):
    """UpdateFeatures {} has nothing to do for the level that is there, and refuses what is not supported"""
    key = REQUESTS["UpdateFeatures"].FeatureUpdateKey
    offered = ask(broker, wire.ApiVersionsRequest, 4, client_software_name="ci", client_software_version="1")
    [level] = [f.max_version_level for f in offered.finalized_features if f.name == "metadata.version"]

    def update(*features):
        asked = [key(feature=f, max_version_level=v) for f, v in features]
        answer = call(broker, "UpdateFeatures", version, timeout_ms=10_000, feature_updates=asked)
        results = [(r.feature, r.error_code) for r in answer.results] if version < 2 else []
        return answer.error_code, (answer.error_message or "")[:70], results

    told = [("metadata.version", 0)] if version < 2 else []
    same("as it is", (0, "", told), update(("metadata.version", level)))
    same("nothing", (0, "", []), update())
    failed = "The update failed for all features since the following feature had an"
    for feature, to in [("foo", 1), ("metadata.version", 99), ("metadata.version", -1), ("group.version", 5)]:
        same(f"{feature} {to}", (UPDATE_VERSION, failed + " ", []), update((feature, to)))


# --- nobody's rights, quotas and transactions ----------------------------------------------------------------


@each(*versions("DescribeAcls"))
def acls(broker, version):
    """DescribeAcls, CreateAcls and DeleteAcls {}: there is no authorizer"""
    found = call(
        broker, "DescribeAcls", version, resource_type_filter=1, resource_name_filter=None, pattern_type_filter=1,
        principal_filter=None, host_filter=None, operation=1, permission_type=1,
    )
    same("described", (SECURITY, "No Authorizer is configured on the broker", []),
         (found.error_code, found.error_message, found.resources))
    creation = REQUESTS["CreateAcls"].AclCreation(
        resource_type=2, resource_name="x", resource_pattern_type=3, principal="User:a", host="*", operation=3,
        permission_type=3,
    )
    refused = (SECURITY, "No Authorizer is configured.")
    created = call(broker, "CreateAcls", version, creations=[creation] * 2)
    same("created", [refused] * 2, [(r.error_code, r.error_message) for r in created.results])
    filter_ = REQUESTS["DeleteAcls"].DeleteAclsFilter(
        resource_type_filter=2, resource_name_filter="x", pattern_type_filter=3, principal_filter=None,
        host_filter=None, operation=3, permission_type=3,
    )
    deleted = call(broker, "DeleteAcls", version, filters=[filter_])
    same("deleted", [refused], [(r.error_code, r.error_message) for r in deleted.filter_results])


@each(*versions("DescribeClientQuotas"))
def describe_client_quotas(broker, version):
    """DescribeClientQuotas {} finds none, and refuses a filter that makes no sense"""
    component = REQUESTS["DescribeClientQuotas"].ComponentData

    def quotas(*filters):
        asked = [component(entity_type=t, match_type=m, match=v) for t, m, v in filters]
        answer = call(broker, "DescribeClientQuotas", version, components=asked, strict=False)
        return answer.error_code, answer.error_message, answer.entries

    same("all", (0, "", []), quotas())
    same("of users", (0, "", []), quotas(("user", 2, None)))
    for filters, expected in [
        ([("foo", 0, "x")], (UNSUPPORTED, "Unsupported entity type foo", None)),
        ([("", 0, "x")], (REQUEST, "Invalid empty entity type.", None)),
        ([("user", 7, "x")], (REQUEST, "Unknown match type 7", None)),
        ([("user", 0, None)], (REQUEST, "Request specified MATCH_TYPE_EXACT, but set match string to null.", None)),
        ([("user", 1, "x")],
         (REQUEST, "Request specified MATCH_TYPE_DEFAULT, but also specified a match string.", None)),
        ([("user", 0, "x"), ("user", 0, "y")],
         (REQUEST, "Entity type user cannot appear more than once in the filter.", None)),
        ([("ip", 0, "1.2.3.4"), ("user", 0, "x")],
         (REQUEST, "Invalid entity filter component combination. IP filter component should not be used with user or "
          "clientId filter component.", None)),
    ]:
        same(str(filters), expected, quotas(*filters))


@each(*versions("AlterClientQuotas"))
def alter_client_quotas(broker, version):
    """AlterClientQuotas {} removes what is not there, and refuses what nobody knows"""
    entry = REQUESTS["AlterClientQuotas"].EntryData

    def change(entity, key, remove=True):
        who = [entry.EntityData(entity_type=t, entity_name=n) for t, n in entity]
        asked = entry(entity=who, ops=[entry.OpData(key=key, value=0.0, remove=remove)])
        [found] = call(broker, "AlterClientQuotas", version, entries=[asked], validate_only=False).entries
        same("entity", entity, [(e.entity_type, e.entity_name) for e in found.entity])
        return found.error_code, found.error_message

    user = [("user", "nobody")]
    same("removed", (0, None), change(user, "producer_byte_rate"))
    same("key", (REQUEST, "Invalid configuration key foo"), change(user, "foo", remove=False))
    same("entity", (REQUEST, "Unhandled client quota entity type: foo"), change([("foo", "x")], "producer_byte_rate"))
    same("nobody", (REQUEST, "Invalid empty client quota entity"), change([], "producer_byte_rate"))


@each(*versions("DescribeUserScramCredentials"))
def describe_user_scram_credentials(broker, version):
    """DescribeUserScramCredentials {} knows no user"""
    user = REQUESTS["DescribeUserScramCredentials"].UserName

    def users(names):
        asked = None if names is None else [user(name=n) for n in names]
        answer = call(broker, "DescribeUserScramCredentials", version, users=asked)
        same("error", (0, ""), (answer.error_code, answer.error_message))
        return [(r.user, r.error_code, r.error_message) for r in answer.results]

    same("all", [], users(None))
    unknown = "Attempt to describe a user credential that does not exist: x"
    same("one", [("x", RESOURCE, unknown)], users(["x"]))
    twice = "Cannot describe SCRAM credentials for the same user twice in a single request: x"
    same("twice", [("x", DUPLICATE, twice)], users(["x", "x"]))


@each(*versions("ListTransactions"))
def list_transactions(broker, version):
    """ListTransactions {} lists none of a producer that nobody has, and tells states that nobody knows"""
    more = {"duration_filter": 5} if version >= 1 else {}
    more |= {"transactional_id_pattern": "nobody.*"} if version >= 2 else {}
    answer = call(
        broker, "ListTransactions", version, state_filters=["Foo", "Ongoing"], producer_id_filters=[1 << 60], **more
    )
    same("none", (0, ["Foo"], []), (answer.error_code, answer.unknown_state_filters, answer.transaction_states))


@each(*versions("DescribeTransactions"))
def describe_transactions(broker, version):
    """DescribeTransactions {} finds none"""
    name = fresh_topic("transaction")

    def codes():
        # Kafka makes the topic of the transactions when somebody asks for a coordinator, and loads it.
        ask(broker, wire.FindCoordinatorRequest, 4, key_type=1, coordinator_keys=[name])
        answer = call(broker, "DescribeTransactions", version, transactional_ids=[name, ""])
        return [s.error_code for s in answer.transaction_states]

    await_that("unknown and refused", SECONDS_MAX, lambda: codes() == [TRANSACTIONAL_ID, REQUEST])


@each(*versions("DescribeProducers"))
def describe_producers(broker, version):
    """DescribeProducers {} tells the producers of a partition"""
    name = fresh_topic("producers")
    topic_id = create(broker, name)
    topic = REQUESTS["DescribeProducers"].TopicRequest

    def producers(of, *partitions):
        asked = [topic(name=of, partition_indexes=list(partitions))]
        return call(broker, "DescribeProducers", version, topics=asked).topics[0].partitions

    same("none", [(0, None, [])], [(p.error_code, p.error_message, p.active_producers) for p in producers(name, 0)])

    def producer():
        answer = ask(broker, InitProducerIdRequest, 4, transactional_id=None, transaction_timeout_ms=60_000)
        return answer if answer.error_code == 0 else None

    id_ = await_that("a producer id", SECONDS_MAX, producer).producer_id
    produce(broker, 9, name, topic_id, batch([b"a", b"b"], producer_id=id_, sequence=0))
    [active] = producers(name, 0)[0].active_producers
    same("one", (id_, 0, 1, wire.BASE_TIME + 10, -1, -1), (
        active.producer_id, active.producer_epoch, active.last_sequence, active.last_timestamp,
        active.coordinator_epoch, active.current_txn_start_offset,
    ))
    same("no partition", [(UNKNOWN_TOPIC, None)], [(p.error_code, p.error_message) for p in producers(name, 9)])
    same("no topic", [UNKNOWN_TOPIC], [p.error_code for p in producers(name + "-not", 0)])
    same("no name", [INVALID_TOPIC], [p.error_code for p in producers("no/pe", 0)])


# --- directories ---------------------------------------------------------------------------------------------


@each(*versions("DescribeLogDirs"))
def describe_log_dirs(broker, version):
    """DescribeLogDirs {} tells sizes of partitions and the room of the volume"""
    name = fresh_topic("log-dirs")
    topic_id = create(broker, name, partitions=2)
    records = batch([b"value"])
    produce(broker, 9, name, topic_id, records)
    request = REQUESTS["DescribeLogDirs"]
    asked = [request.DescribableLogDirTopic(topic=name, partitions=[0, 1, 9])]
    expected = [(0, len(records), 0, False), (1, 0, 0, False)]

    def sizes():
        # Kafka may not have made the second partition yet.
        answer = call(broker, "DescribeLogDirs", version, topics=asked)
        found = [
            (p.partition_index, p.partition_size, p.offset_lag, p.is_future_key)
            for d in answer.results for t in d.topics if t.name == name for p in t.partitions
        ]
        return answer if sorted(found) == expected else None

    answer = await_that(f"the sizes {expected}", SECONDS_MAX, sizes)
    same("a path", True, all(d.log_dir.startswith("/") for d in answer.results))
    if version >= 4:
        same("room", True, all(d.total_bytes > d.usable_bytes > 0 for d in answer.results))
    same("none asked, none told", [[]] * len(answer.results),
         [d.topics for d in call(broker, "DescribeLogDirs", version, topics=[]).results])
    every = call(broker, "DescribeLogDirs", version, topics=None)
    same("among all", True, name in [t.name for d in every.results for t in d.topics])


@each(*versions("AlterReplicaLogDirs"))
def alter_replica_log_dirs(broker, version):
    """AlterReplicaLogDirs {} leaves a partition where it is, and knows no other directory"""
    name = fresh_topic("move")
    create(broker, name)
    [here] = {d.log_dir for d in call(broker, "DescribeLogDirs", 4, topics=None).results
              if name in [t.name for t in d.topics]}
    dir_ = REQUESTS["AlterReplicaLogDirs"].AlterReplicaLogDir

    def move(path, of, partition):
        asked = dir_(path=path, topics=[dir_.AlterReplicaLogDirTopic(name=of, partitions=[partition])])
        answer = call(broker, "AlterReplicaLogDirs", version, dirs=[asked])
        return [(t.topic_name, p.partition_index, p.error_code) for t in answer.results for p in t.partitions]

    same("stays", [(name, 0, 0)], move(here, name, 0))
    same("nowhere", [(name, 0, LOG_DIR)], move("/no/such/folder", name, 0))
    same("no partition", [(name, 9, UNKNOWN_TOPIC)], move(here, name, 9))
    same("no topic", [("no", 0, UNKNOWN_TOPIC)], move(here, "no", 0))


@each(*versions("SaslHandshake"))
def sasl_handshake(broker, version):
    """SaslHandshake {} is refused where plaintext is spoken"""
    answer = call(broker, "SaslHandshake", version, mechanism="PLAIN")
    same("ILLEGAL_SASL_STATE", (SASL_STATE, []), (answer.error_code, answer.mechanisms))


if __name__ == "__main__":
    main("admin APIs, every version, frames by kafka-python")
