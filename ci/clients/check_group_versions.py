"""Every version of every API of classic groups, asked on a bare socket, against a broker.

What real clients never ask is asked here: old versions, and what they must be refused.
"""

import time
import uuid

from checks import await_that, check, each, fresh_topic, main, same
from kafka.protocol.admin import (
    CreateTopicsRequest,
    DeleteGroupsRequest,
    DeleteTopicsRequest,
    DescribeGroupsRequest,
    ListGroupsRequest,
)
from kafka.protocol.consumer import (
    HeartbeatRequest,
    JoinGroupRequest,
    LeaveGroupRequest,
    OffsetCommitRequest,
    OffsetDeleteRequest,
    OffsetFetchRequest,
    SyncGroupRequest,
)
from kafka.protocol.metadata import FindCoordinatorRequest, MetadataRequest
from kafka.protocol.producer import ProduceRequest
from wire import CLIENT, RANGES, SECONDS_MAX, Connection, ask, versions

OK = 0
UNKNOWN_TOPIC_OR_PARTITION = 3
OFFSET_METADATA_TOO_LARGE = 12
INVALID_TOPIC_EXCEPTION = 17
ILLEGAL_GENERATION = 22
INCONSISTENT_GROUP_PROTOCOL = 23
INVALID_GROUP_ID = 24
UNKNOWN_MEMBER_ID = 25
INVALID_SESSION_TIMEOUT = 26
REBALANCE_IN_PROGRESS = 27
NON_EMPTY_GROUP = 68
GROUP_ID_NOT_FOUND = 69
MEMBER_ID_REQUIRED = 79
FENCED_INSTANCE_ID = 82
GROUP_SUBSCRIBED_TO_TOPIC = 86
UNKNOWN_TOPIC_ID = 100

NOBODY = uuid.UUID(int=0)
SESSION_MS = 10_000
REBALANCE_MS = 10_000


def top(request):
    return RANGES[request.API_KEY][3]


def bottom(request):
    return RANGES[request.API_KEY][2]


def in_range(request, version):
    """The version nearest to this one that the API has."""
    return max(bottom(request), min(top(request), version))


def fresh_group(name):
    return fresh_topic(f"group-{name}")


_coordinated = set()


def coordinated(broker, group):
    """A group whose coordinator is known and serves."""

    def found():
        [answer] = ask(broker, FindCoordinatorRequest, 4, key_type=0, coordinator_keys=[group]).coordinators
        if answer.error_code:
            return False
        return heartbeat(broker, 4, group, "nobody", 0) in (UNKNOWN_MEMBER_ID, OK) and committable(broker, group)

    if broker not in _coordinated:
        await_that("a coordinator", SECONDS_MAX, found)
    return group


def committable(broker, group):
    return fetch_group(broker, 8, group, None).error_code == OK


_topics = {}


def topic(broker):
    """A topic of three partitions, made once: its name and id."""
    if broker not in _topics:
        name = fresh_topic("groups")
        create_topic(broker, name)
        _topics[broker] = (name, topic_id(broker, name))
    return _topics[broker]


def create_topic(broker, name):
    asked = CreateTopicsRequest.CreatableTopic(
        name=name, num_partitions=3, replication_factor=1, assignments=[], configs=[]
    )
    answer = ask(broker, CreateTopicsRequest, 7, topics=[asked], timeout_ms=30_000, validate_only=False)
    same("error of CreateTopics", OK, answer.topics[0].error_code)
    await_that("the topic", SECONDS_MAX, lambda: topic_id(broker, name) != NOBODY)


def topic_id(broker, name):
    asked = MetadataRequest.MetadataRequestTopic(name=name, topic_id=NOBODY)
    [found] = ask(broker, MetadataRequest, 12, topics=[asked], allow_auto_topic_creation=False).topics
    return found.topic_id


# --- the requests --------------------------------------------------------------------------------------------


def join_fields(group, member="", instance=None, protocols=("range",), metadata=b"", session_ms=SESSION_MS):
    protocol = JoinGroupRequest.JoinGroupRequestProtocol
    return dict(
        group_id=group, session_timeout_ms=session_ms, rebalance_timeout_ms=REBALANCE_MS, member_id=member,
        group_instance_id=instance, protocol_type="consumer",
        protocols=[protocol(name=name, metadata=metadata) for name in protocols], reason="a check",
    )


def join(broker, version, group, **fields):
    """Joins as a client of this version does: from version 4 on twice, where it has no id yet."""
    with Connection(broker) as connection:
        answer = connection.ask(JoinGroupRequest, version, **join_fields(group, **fields))
        if answer.error_code == MEMBER_ID_REQUIRED:
            fields["member"] = answer.member_id
            answer = connection.ask(JoinGroupRequest, version, **join_fields(group, **fields))
        return answer


def sync_fields(group, generation, member, assignments=(), instance=None, protocol="range"):
    assignment = SyncGroupRequest.SyncGroupRequestAssignment
    return dict(
        group_id=group, generation_id=generation, member_id=member, group_instance_id=instance,
        protocol_type="consumer", protocol_name=protocol,
        assignments=[assignment(member_id=of, assignment=what) for of, what in assignments],
    )


def sync(broker, version, group, generation, member, assignments=(), **fields):
    return ask(broker, SyncGroupRequest, version, **sync_fields(group, generation, member, assignments, **fields))


def heartbeat(broker, version, group, member, generation, instance=None):
    return ask(
        broker, HeartbeatRequest, version, group_id=group, generation_id=generation, member_id=member,
        group_instance_id=instance,
    ).error_code


def leave(broker, version, group, member, instance=None):
    """The code that this one member is told."""
    identity = LeaveGroupRequest.MemberIdentity(member_id=member, group_instance_id=instance, reason="a check")
    answer = ask(broker, LeaveGroupRequest, version, group_id=group, member_id=member, members=[identity])
    if version < 3 or answer.error_code:
        return answer.error_code
    [told] = answer.members
    same("who was told", (member, instance), (told.member_id, told.group_instance_id))
    return told.error_code


def commit(broker, version, group, offsets, name=None, id=None, generation=-1, member="", metadata="text", epoch=-1):
    """Commits {partition: offset} of a topic; the codes by partition."""
    default_name, default_id = topic(broker)
    name, id = name or default_name, id or default_id
    asked = OffsetCommitRequest.OffsetCommitRequestTopic
    partitions = [
        asked.OffsetCommitRequestPartition(
            partition_index=partition, committed_offset=offset, committed_leader_epoch=epoch,
            committed_metadata=metadata,
        )
        for partition, offset in offsets.items()
    ]
    answer = ask(
        broker, OffsetCommitRequest, version, group_id=group, generation_id_or_member_epoch=generation,
        member_id=member, group_instance_id=None, retention_time_ms=-1,
        topics=[asked(name=name, topic_id=id, partitions=partitions)],
    )
    [told] = answer.topics
    same("topic of the answer", id if version >= 10 else name, told.topic_id if version >= 10 else told.name)
    return {partition.partition_index: partition.error_code for partition in told.partitions}


def fetch_group(broker, version, group, topics):
    """OffsetFetch of one group: `topics` is {name or id: partitions}, or None for all."""
    request = OffsetFetchRequest
    if version < 8:
        asked = request.OffsetFetchRequestTopic
        topics = topics and [asked(name=name, partition_indexes=partitions) for name, partitions in topics.items()]
        return ask(broker, request, version, group_id=group, topics=topics, require_stable=False)
    asked = request.OffsetFetchRequestGroup.OffsetFetchRequestTopics

    def one(key, partitions):
        named = dict(name="", topic_id=key) if version >= 10 else dict(name=key, topic_id=NOBODY)
        return asked(partition_indexes=partitions, **named)

    group = request.OffsetFetchRequestGroup(
        group_id=group, member_id=None, member_epoch=-1,
        topics=None if topics is None else [one(*item) for item in topics.items()],
    )
    [answer] = ask(broker, request, version, groups=[group], require_stable=False).groups
    return answer


def fetched(broker, version, group, topics):
    """{(topic, partition): (offset, metadata, code)}"""
    found = {}
    for told in fetch_group(broker, version, group, topics).topics:
        for partition in told.partitions:
            key = told.topic_id if version >= 10 else told.name
            found[key, partition.partition_index] = (
                partition.committed_offset, partition.metadata, partition.error_code,
            )
    return found


def key(broker, version):
    """What OffsetFetch of this version calls the topic of the checks."""
    name, id = topic(broker)
    return id if version >= 10 else name


def describe(broker, version, group):
    [told] = ask(
        broker, DescribeGroupsRequest, version, groups=[group], include_authorized_operations=True
    ).groups
    return told


def listed(broker, version, states=(), types=()):
    answer = ask(
        broker, ListGroupsRequest, version, states_filter=list(states), types_filter=list(types)
    )
    same("error of ListGroups", OK, answer.error_code)
    return {told.group_id: told for told in answer.groups}


def delete_group(broker, version, group):
    [told] = ask(broker, DeleteGroupsRequest, version, groups_names=[group]).results
    return told.error_code


def stable(broker, name, assignment=b"all", version=5, **fields):
    """A group with one member that has its assignment: group, member, generation."""
    group = coordinated(broker, fresh_group(name))
    joined = join(broker, version, group, **fields)
    same("error of JoinGroup", OK, joined.error_code)
    member, generation = joined.member_id, joined.generation_id
    told = sync(broker, 3, group, generation, member, [(member, assignment)], instance=fields.get("instance"))
    same("assignment", (OK, assignment), (told.error_code, bytes(told.assignment)))
    return group, member, generation


# --- groups --------------------------------------------------------------------------------------------------


# First, while there are few: an answer names all of them.
@each(*versions(ListGroupsRequest))
def lists(broker, version):
    """ListGroups {} names groups, by state and by type where it can"""
    group, member, _ = stable(broker, "listed")
    offsets_only = coordinated(broker, fresh_group("offsets"))
    commit(broker, 8, offsets_only, {0: 1})
    all_groups = listed(broker, version)
    same("protocol types", ("consumer", ""), (all_groups[group].protocol_type, all_groups[offsets_only].protocol_type))
    if version >= 4:
        same("states", ("Stable", "Empty"), (all_groups[group].group_state, all_groups[offsets_only].group_state))
        some = listed(broker, version, states=["sTaBlE", "no-such-state"])
        same("by state", (True, False), (group in some, offsets_only in some))
        same("by an unknown state", {}, listed(broker, version, states=["no-such-state"]))
    if version >= 5:
        same("types", "classic", all_groups[group].group_type)
        same("by type", True, group in listed(broker, version, types=["Classic"]))
        same("by another type", {}, listed(broker, version, types=["share"]))


# --- coordinators --------------------------------------------------------------------------------------------


@each(*versions(FindCoordinatorRequest))
def find_coordinator(broker, version):
    """FindCoordinator {} names the coordinator of a group, of one with an empty name too"""
    for group in (fresh_group("find"), "", "größe-\U0001f980"):
        fields = {"key": group} if version < 4 else {"coordinator_keys": [group, group + "-2"]}

        def found():
            answer = ask(broker, FindCoordinatorRequest, version, key_type=0, **fields)
            rows = answer.coordinators if version >= 4 else [answer]
            return all(row.error_code == OK for row in rows) and [f"{row.host}:{row.port}" for row in rows]

        count = 2 if version >= 4 else 1
        same("coordinators", [broker] * count, await_that("a coordinator", SECONDS_MAX, found))


# --- membership ----------------------------------------------------------------------------------------------


@each(*versions(JoinGroupRequest))
def life(broker, version):
    """A member of JoinGroup {} joins alone, leads, is assigned, lives and leaves"""
    group = coordinated(broker, fresh_group("life"))
    joined = join(broker, version, group, metadata=b"wants")
    same("join", (OK, 1, "range"), (joined.error_code, joined.generation_id, joined.protocol_name))
    member = joined.member_id
    same("the id begins with the client's", True, member.startswith(CLIENT + "-"))
    same("it leads", member, joined.leader)
    same("members", [(member, b"wants")], [(m.member_id, bytes(m.metadata)) for m in joined.members])
    if version >= 7:
        same("protocol type", "consumer", joined.protocol_type)
    sync_version, beat = in_range(SyncGroupRequest, version), in_range(HeartbeatRequest, version)
    told = sync(broker, sync_version, group, 1, member, [(member, b"has"), ("stranger", b"nothing")])
    same("sync", (OK, b"has"), (told.error_code, bytes(told.assignment)))
    if sync_version >= 5:
        same("protocol", ("consumer", "range"), (told.protocol_type, told.protocol_name))
    same("heartbeat", OK, heartbeat(broker, beat, group, member, 1))
    same("another generation", ILLEGAL_GENERATION, heartbeat(broker, beat, group, member, 7))
    same("another member", UNKNOWN_MEMBER_ID, heartbeat(broker, beat, group, "stranger", 1))
    again = sync(broker, sync_version, group, 1, member)
    same("sync again", (OK, b"has"), (again.error_code, bytes(again.assignment)))
    same("leave", OK, leave(broker, in_range(LeaveGroupRequest, version), group, member))
    same("after that", UNKNOWN_MEMBER_ID, heartbeat(broker, beat, group, member, 1))
    same("the group is empty", "Empty", describe(broker, 5, group).group_state)


@each(*versions(JoinGroupRequest))
def rebalance(broker, version):
    """With JoinGroup {} a second member makes the first one join again, and the leader assigns both"""
    group, first, generation = stable(broker, "two", version=version)
    with Connection(broker) as one, Connection(broker) as two:
        second = ""
        if version >= 4:
            given = two.ask(JoinGroupRequest, version, **join_fields(group))
            same("an id first", MEMBER_ID_REQUIRED, given.error_code)
            second = given.member_id
        two.send(JoinGroupRequest, version, **join_fields(group, member=second))
        # The first learns of it from its heartbeat, and joins again.
        await_that(
            "the rebalance", SECONDS_MAX,
            lambda: heartbeat(broker, 3, group, first, generation) == REBALANCE_IN_PROGRESS,
        )
        one_again = one.ask(JoinGroupRequest, version, **join_fields(group, member=first))
        two_joined = receive(two, JoinGroupRequest, version)
        second = two_joined.member_id
        same("generations", [generation + 1] * 2, [one_again.generation_id, two_joined.generation_id])
        same("leader", [first] * 2, [one_again.leader, two_joined.leader])
        same("the leader knows both", {first, second}, {m.member_id for m in one_again.members})
        same("the follower knows none", [], list(two_joined.members))
        two.send(SyncGroupRequest, 3, **sync_fields(group, generation + 1, second))
        told = one.ask(
            SyncGroupRequest, 3,
            **sync_fields(group, generation + 1, first, [(first, b"left"), (second, b"right")]),
        )
        same("the leader's assignment", b"left", bytes(told.assignment))
        same("the follower's assignment", b"right", bytes(receive(two, SyncGroupRequest, 3).assignment))


def receive(connection, request, version):
    from wire import decode

    return decode(RANGES[request.API_KEY][1], version, connection.receive(), connection.correlation)


@each(*versions(JoinGroupRequest))
def join_refused(broker, version):
    """JoinGroup {} refuses bad groups, timeouts, members and protocols"""
    group = coordinated(broker, fresh_group("refused"))
    cases = [
        ("an empty group", INVALID_GROUP_ID, "", join_fields("")),
        ("a short session", INVALID_SESSION_TIMEOUT, "", join_fields(group, session_ms=5)),
        ("a long session", INVALID_SESSION_TIMEOUT, "", join_fields(group, session_ms=1_800_001)),
        ("no protocol", INCONSISTENT_GROUP_PROTOCOL, "", join_fields(group, protocols=())),
        ("a stranger", UNKNOWN_MEMBER_ID, "stranger", join_fields(group, member="stranger")),
    ]
    for what, code, member, fields in cases:
        answer = ask(broker, JoinGroupRequest, version, **fields)
        same(what, (code, -1, "", member), (answer.error_code, answer.generation_id, answer.leader, answer.member_id))


@each(*versions(JoinGroupRequest, first=5))
def static(broker, version):
    """A static member of JoinGroup {} takes its place again without a rebalance, and fences who had it"""
    group, member, generation = stable(broker, "static", version=version, instance="place-1")
    same("the id begins with the place", True, member.startswith("place-1-"))
    again = join(broker, version, group, instance="place-1")
    same("the same generation", (OK, generation), (again.error_code, again.generation_id))
    same("another id", True, again.member_id != member)
    same("fenced", FENCED_INSTANCE_ID, heartbeat(broker, 4, group, member, generation, "place-1"))
    told = sync(broker, 5, group, generation, again.member_id, instance="place-1")
    same("the old assignment", (OK, b"all"), (told.error_code, bytes(told.assignment)))
    same("an administrator removes it", OK, leave(broker, in_range(LeaveGroupRequest, 5), group, "", "place-1"))
    same("gone", "Empty", describe(broker, 5, group).group_state)


@each(*versions(SyncGroupRequest))
def sync_refused(broker, version):
    """SyncGroup {} refuses bad groups, members, generations and protocols"""
    group, member, generation = stable(broker, "sync")
    def code(*arguments, **fields):
        return sync(broker, version, *arguments, **fields).error_code
    same("an empty group", INVALID_GROUP_ID, code("", 1, "m"))
    same("an unknown group", UNKNOWN_MEMBER_ID, code(fresh_group("none"), 1, "m"))
    same("a stranger", UNKNOWN_MEMBER_ID, code(group, generation, "stranger"))
    same("another generation", ILLEGAL_GENERATION, code(group, generation + 1, member))
    if version >= 5:
        same("another protocol", INCONSISTENT_GROUP_PROTOCOL, code(group, generation, member, protocol="sticky"))
        same("no protocol", INCONSISTENT_GROUP_PROTOCOL, code(group, generation, member, protocol=None))


@each(*versions(HeartbeatRequest))
def heartbeat_refused(broker, version):
    """Heartbeat {} refuses an empty and an unknown group"""
    coordinated(broker, "x")
    same("an empty group", INVALID_GROUP_ID, heartbeat(broker, version, "", "m", 0))
    same("an unknown group", UNKNOWN_MEMBER_ID, heartbeat(broker, version, fresh_group("none"), "m", 0))


@each(*versions(LeaveGroupRequest))
def leave_refused(broker, version):
    """LeaveGroup {} refuses an empty group and members that it does not have"""
    group, member, _ = stable(broker, "leave")
    same("an empty group", INVALID_GROUP_ID, leave(broker, version, "", "m"))
    same("an unknown group", UNKNOWN_MEMBER_ID, leave(broker, version, fresh_group("none"), "m"))
    same("a stranger", UNKNOWN_MEMBER_ID, leave(broker, version, group, "stranger"))
    same("a member", OK, leave(broker, version, group, member))


@check
def session(broker):
    """A member that is silent for its session's time is no member any more"""
    group, member, generation = stable(broker, "silent", session_ms=6000)
    same("alive", OK, heartbeat(broker, 4, group, member, generation))
    began = time.monotonic()
    await_that("the end of its session", 20, lambda: describe(broker, 5, group).group_state == "Empty")
    same("it lasted its time", True, 5 < time.monotonic() - began < 12)
    same("told so", UNKNOWN_MEMBER_ID, heartbeat(broker, 4, group, member, generation))


# --- offsets -------------------------------------------------------------------------------------------------


@each(*versions(OffsetCommitRequest))
def commits(broker, version):
    """OffsetCommit {} is found by every version of OffsetFetch, with its text"""
    group = coordinated(broker, fresh_group("commit"))
    same("codes", {0: OK, 1: OK}, commit(broker, version, group, {0: 10 + version, 1: 0}))
    same("no text", {2: OK}, commit(broker, version, group, {2: 5}, metadata=None))
    same("later wins", {1: OK}, commit(broker, version, group, {1: 7}))
    for fetch in range(bottom(OffsetFetchRequest), top(OffsetFetchRequest) + 1):
        topic = key(broker, fetch)
        want = {(topic, 0): (10 + version, "text", OK), (topic, 1): (7, "text", OK), (topic, 2): (5, "", OK)}
        same(f"OffsetFetch {fetch}", want, fetched(broker, fetch, group, {topic: [0, 1, 2]}))
        if fetch >= 2:
            same(f"all by OffsetFetch {fetch}", want, fetched(broker, fetch, group, None))


@each(*versions(OffsetCommitRequest))
def commit_refused(broker, version):
    """OffsetCommit {} refuses unknown topics, partitions and members, and long texts"""
    group = coordinated(broker, fresh_group("commit"))
    unknown = UNKNOWN_TOPIC_ID if version >= 10 else UNKNOWN_TOPIC_OR_PARTITION
    nowhere = dict(name=fresh_topic("nowhere"), id=uuid.uuid4())
    same("an unknown topic", {0: unknown}, commit(broker, version, group, {0: 1}, **nowhere))
    codes = commit(broker, version, group, {0: 1, 9: 1, -1: 1})
    same("unknown partitions", {0: OK, 9: UNKNOWN_TOPIC_OR_PARTITION, -1: UNKNOWN_TOPIC_OR_PARTITION}, codes)
    same("a long text", {1: OFFSET_METADATA_TOO_LARGE}, commit(broker, version, group, {1: 1}, metadata="x" * 4097))
    same("a text as long as may be", {1: OK}, commit(broker, version, group, {1: 1}, metadata="x" * 4096))
    member = dict(generation=3, member="stranger")
    same("a stranger", {0: UNKNOWN_MEMBER_ID}, commit(broker, version, group, {0: 2}, **member))
    none = GROUP_ID_NOT_FOUND if version >= 9 else ILLEGAL_GENERATION
    same("an unknown group", {0: none}, commit(broker, version, fresh_group("none"), {0: 2}, **member))
    same("nothing of that was taken", 1, fetched(broker, 5, group, {topic(broker)[0]: [0]})[topic(broker)[0], 0][0])
    same("a group without a name", {0: OK}, commit(broker, version, "", {0: 1}))


@each(*versions(OffsetCommitRequest))
def commit_as_member(broker, version):
    """OffsetCommit {} takes a member's commits in its generation only"""
    group, member, generation = stable(broker, "member")
    codes = commit(broker, version, group, {0: 3}, member=member, generation=generation)
    same("in its generation", {0: OK}, codes)
    codes = commit(broker, version, group, {0: 4}, member=member, generation=generation + 1)
    same("in another", {0: ILLEGAL_GENERATION}, codes)
    codes = commit(broker, version, group, {0: 4}, member="stranger", generation=generation)
    same("of a stranger", {0: UNKNOWN_MEMBER_ID}, codes)
    codes = commit(broker, version, group, {0: 4})
    same("of nobody, while there are members", {0: UNKNOWN_MEMBER_ID}, codes)


@each(*versions(OffsetFetchRequest))
def fetch_nothing(broker, version):
    """OffsetFetch {} says offset -1 and no error of what was not committed, unknown groups included"""
    group = coordinated(broker, fresh_group("nothing"))
    commit(broker, 8, group, {0: 1})
    topic = key(broker, version)
    for asked in (group, fresh_group("none")):
        same("partition 1", {(topic, 1): (-1, "", OK)}, fetched(broker, version, asked, {topic: [1]}))
    if version >= 10:
        nowhere = uuid.uuid4()
        want = {(nowhere, 0): (-1, "", UNKNOWN_TOPIC_ID)}
        same("an unknown topic", want, fetched(broker, version, group, {nowhere: [0]}))
    else:
        for name in (fresh_topic("nowhere"), "no such/name"):
            same("an unknown topic", {(name, 0): (-1, "", OK)}, fetched(broker, version, group, {name: [0]}))
    if version >= 2:
        same("all of an unknown group", {}, fetched(broker, version, fresh_group("none"), None))


@each(*versions(OffsetFetchRequest, first=8))
def fetch_groups(broker, version):
    """OffsetFetch {} answers for several groups at once"""
    groups = [coordinated(broker, fresh_group(f"many-{index}")) for index in range(5)]
    for index, group in enumerate(groups):
        commit(broker, 8, group, {0: index})
    asked = OffsetFetchRequest.OffsetFetchRequestGroup
    answer = ask(
        broker, OffsetFetchRequest, version, require_stable=True,
        groups=[asked(group_id=group, member_id=None, member_epoch=-1, topics=None) for group in groups],
    )
    found = {told.group_id: told.topics[0].partitions[0].committed_offset for told in answer.groups}
    same("offsets", {group: index for index, group in enumerate(groups)}, found)


@check
def topic_deleted(broker):
    """What was committed of a topic goes with the topic"""
    name = fresh_topic("short-lived")
    create_topic(broker, name)
    group = coordinated(broker, fresh_group("deleted"))
    commit(broker, 8, group, {0: 5})
    same("codes", {0: OK}, commit(broker, 8, group, {0: 6}, name=name))
    ask(broker, DeleteTopicsRequest, 4, topic_names=[name], timeout_ms=30_000)
    kept = {(topic(broker)[0], 0): (5, "text", OK)}
    await_that("its offset to go", SECONDS_MAX, lambda: fetched(broker, 5, group, None) == kept)
    create_topic(broker, name)
    same("not in a new one", {(name, 0): (-1, "", OK)}, fetched(broker, 5, group, {name: [0]}))


# --- what administrators ask ---------------------------------------------------------------------------------


@each(*versions(DescribeGroupsRequest))
def describes(broker, version):
    """DescribeGroups {} tells state, protocol and members, and of groups that are not there"""
    group, member, _ = stable(broker, "described", assignment=b"these", metadata=b"those")
    told = describe(broker, version, group)
    same("group", (OK, "Stable", "consumer", "range"),
         (told.error_code, told.group_state, told.protocol_type, told.protocol_data))
    [found] = told.members
    same("member", (member, CLIENT, "/127.0.0.1", b"those", b"these"),
         (found.member_id, found.client_id, found.client_host, bytes(found.member_metadata),
          bytes(found.member_assignment)))
    if version >= 3:
        same("operations", {3, 6, 8, 10, 11}, set(told.authorized_operations))
    none = describe(broker, version, fresh_group("none"))
    code = GROUP_ID_NOT_FOUND if version >= 6 else OK
    same("no group", (code, "Dead", []), (none.error_code, none.group_state, list(none.members)))
    if version >= 6:
        same("message", f"Group {none.group_id} not found.", none.error_message)


@each(*versions(DeleteGroupsRequest))
def deletes(broker, version):
    """DeleteGroups {} takes empty groups away with their offsets, and no others"""
    group, member, generation = stable(broker, "doomed")
    commit(broker, 8, group, {0: 5}, member=member, generation=generation)
    same("with a member", NON_EMPTY_GROUP, delete_group(broker, version, group))
    leave(broker, 3, group, member)
    same("offset", (5, "text", OK), fetched(broker, 5, group, {topic(broker)[0]: [0]})[topic(broker)[0], 0])
    same("empty", OK, delete_group(broker, version, group))
    same("gone", GROUP_ID_NOT_FOUND, delete_group(broker, version, group))
    same("its offsets too", {}, fetched(broker, 5, group, None))
    same("not listed", False, group in listed(broker, 5))


@check
def offset_delete(broker):
    """OffsetDelete takes single offsets away, unless their group reads the topic"""
    name, _ = topic(broker)
    group = coordinated(broker, fresh_group("offset-delete"))
    commit(broker, 8, group, {0: 5, 1: 6})

    def delete(group, name, *partitions):
        asked = OffsetDeleteRequest.OffsetDeleteRequestTopic
        partitions = [asked.OffsetDeleteRequestPartition(partition_index=index) for index in partitions]
        answer = ask(broker, OffsetDeleteRequest, 0, group_id=group, topics=[asked(name=name, partitions=partitions)])
        if answer.error_code:
            return answer.error_code
        return {p.partition_index: p.error_code for told in answer.topics for p in told.partitions}

    same("codes", {0: OK, 9: UNKNOWN_TOPIC_OR_PARTITION}, delete(group, name, 0, 9))
    same("one is left", {(name, 1): (6, "text", OK)}, fetched(broker, 5, group, None))
    same("an unknown topic", {0: UNKNOWN_TOPIC_OR_PARTITION}, delete(group, fresh_topic("nowhere"), 0))
    same("an unknown group", GROUP_ID_NOT_FOUND, delete(fresh_group("none"), name, 0))
    same("an empty group", INVALID_GROUP_ID, delete("", name, 0))
    # Version 0 of the consumer protocol: topics, user data.
    text = name.encode()
    subscription = b"\0\0\0\0\0\1" + len(text).to_bytes(2, "big") + text + b"\xff\xff\xff\xff"
    reading, member, generation = stable(broker, "reading", metadata=subscription)
    commit(broker, 8, reading, {0: 5}, member=member, generation=generation)
    same("read by its group", {0: GROUP_SUBSCRIBED_TO_TOPIC}, delete(reading, name, 0))


@check
def internal_topic(broker):
    """__consumer_offsets is written by nobody but the admin client"""
    coordinated(broker, fresh_group("internal"))
    from kafka.record.memory_records import MemoryRecordsBuilder

    def produce(client):
        builder = MemoryRecordsBuilder(2, 0, 1 << 16)
        # A key of a version that nobody knows.
        builder.append(1, b"\x7f\xff", b"x", [])
        builder.close()
        data = ProduceRequest.TopicProduceData
        part = data.PartitionProduceData(index=0, records=bytes(builder.buffer()))
        with Connection(broker, client) as connection:
            answer = connection.ask(
                ProduceRequest, 9, acks=-1, timeout_ms=10_000,
                topic_data=[data(name="__consumer_offsets", partition_data=[part])],
            )
        return answer.responses[0].partition_responses[0].error_code

    same("anybody", INVALID_TOPIC_EXCEPTION, produce("anybody"))
    same("the admin client", OK, produce("__admin_client"))


main("every version of the group APIs, frames by kafka-python")
