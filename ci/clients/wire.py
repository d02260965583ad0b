"""Requests on a bare socket, in any version: frames are encoded and decoded by kafka-python's protocol classes, a
second opinion on every field of every version.
"""

import io
import socket
import struct

from checks import same
from kafka.protocol.admin import (
    CreateTopicsRequest,
    CreateTopicsResponse,
    DeleteGroupsRequest,
    DeleteGroupsResponse,
    DeleteTopicsRequest,
    DeleteTopicsResponse,
    DescribeClusterRequest,
    DescribeClusterResponse,
    DescribeConfigsRequest,
    DescribeConfigsResponse,
    DescribeGroupsRequest,
    DescribeGroupsResponse,
    DescribeTopicPartitionsRequest,
    DescribeTopicPartitionsResponse,
    ListGroupsRequest,
    ListGroupsResponse,
)
from kafka.protocol.consumer import (
    FetchRequest,
    FetchResponse,
    HeartbeatRequest,
    HeartbeatResponse,
    JoinGroupRequest,
    JoinGroupResponse,
    LeaveGroupRequest,
    LeaveGroupResponse,
    ListOffsetsRequest,
    ListOffsetsResponse,
    OffsetCommitRequest,
    OffsetCommitResponse,
    OffsetDeleteRequest,
    OffsetDeleteResponse,
    OffsetFetchRequest,
    OffsetFetchResponse,
    OffsetForLeaderEpochRequest,
    OffsetForLeaderEpochResponse,
    SyncGroupRequest,
    SyncGroupResponse,
)
from kafka.protocol.metadata import (
    ApiVersionsRequest,
    ApiVersionsResponse,
    FindCoordinatorRequest,
    FindCoordinatorResponse,
    MetadataRequest,
    MetadataResponse,
)
from kafka.protocol.producer import (
    InitProducerIdRequest,
    InitProducerIdResponse,
    ProduceRequest,
    ProduceResponse,
)

SECONDS_MAX = 30
CLIENT = "every-version"

# What Apache Kafka 4.3.1 advertises, and what kafka-python can encode of it.
RANGES = {
    0: (ProduceRequest, ProduceResponse, 0, 13),
    1: (FetchRequest, FetchResponse, 4, 18),
    2: (ListOffsetsRequest, ListOffsetsResponse, 1, 11),
    3: (MetadataRequest, MetadataResponse, 0, 13),
    8: (OffsetCommitRequest, OffsetCommitResponse, 2, 10),
    9: (OffsetFetchRequest, OffsetFetchResponse, 1, 10),
    10: (FindCoordinatorRequest, FindCoordinatorResponse, 0, 6),
    11: (JoinGroupRequest, JoinGroupResponse, 0, 9),
    12: (HeartbeatRequest, HeartbeatResponse, 0, 4),
    13: (LeaveGroupRequest, LeaveGroupResponse, 0, 5),
    14: (SyncGroupRequest, SyncGroupResponse, 0, 5),
    15: (DescribeGroupsRequest, DescribeGroupsResponse, 0, 6),
    16: (ListGroupsRequest, ListGroupsResponse, 0, 5),
    18: (ApiVersionsRequest, ApiVersionsResponse, 0, 4),
    19: (CreateTopicsRequest, CreateTopicsResponse, 2, 7),
    20: (DeleteTopicsRequest, DeleteTopicsResponse, 1, 6),
    22: (InitProducerIdRequest, InitProducerIdResponse, 0, 5),
    23: (OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse, 2, 4),
    32: (DescribeConfigsRequest, DescribeConfigsResponse, 1, 4),
    42: (DeleteGroupsRequest, DeleteGroupsResponse, 0, 2),
    47: (OffsetDeleteRequest, OffsetDeleteResponse, 0, 0),
    60: (DescribeClusterRequest, DescribeClusterResponse, 0, 2),
    75: (DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse, 0, 0),
}


def versions(request, first=None):
    """Cases for `each`: the versions of an API that Kafka serves."""
    _, _, low, high = RANGES[request.API_KEY]
    return [(version,) for version in range(low if first is None else first, high + 1)]


class Connection:
    """One socket; asks one thing after the other."""

    def __init__(self, broker, client=CLIENT):
        self.client = client
        host, port = broker.rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)), SECONDS_MAX)
        self.correlation = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def ask(self, request, version, **fields):
        """The decoded answer; every byte of its frame must have been understood."""
        self.send(request, version, **fields)
        return decode(RANGES[request.API_KEY][1], version, self.receive(), self.correlation)

    def send(self, request, version, **fields):
        self.correlation += 1
        message = request(version=version, **fields)
        message.with_header(correlation_id=self.correlation, client_id=self.client)
        self.socket.sendall(message.encode(version=version, header=True, framed=True))

    def receive(self):
        """The bytes of one frame without its length."""
        [length] = struct.unpack(">i", self.receive_exactly(4))
        return self.receive_exactly(length)

    def receive_exactly(self, length):
        parts = bytearray()
        while len(parts) < length:
            part = self.socket.recv(length - len(parts))
            if not part:
                raise AssertionError(f"the broker closed the connection after {len(parts)} of {length} bytes")
            parts += part
        return bytes(parts)


def decode(response, version, frame, correlation):
    rest = io.BytesIO(frame)
    same("correlation id", correlation, response.parse_header(rest, version=version).correlation_id)
    flexible = response.flexible_version_q(version)
    # Not `response.decode`, which does not say where it stopped.
    decoder = response._struct.compiled_decode_from(
        version, compact=flexible, tagged=flexible, data_class=response[None]
    )
    answer, stopped = decoder(memoryview(frame), rest.tell())
    same("bytes of the answer that were understood", len(frame), stopped)
    return answer


def ask(broker, request, version, **fields):
    with Connection(broker) as connection:
        return connection.ask(request, version, **fields)
