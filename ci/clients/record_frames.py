"""Records golden frames: what real clients and a real Kafka say to each other, byte for byte.

    record_frames.py FOLDER [API...]

Starts an Apache Kafka behind a proxy on 127.0.0.1, runs the client checks through the proxy, and writes the frames
of the APIs below to FOLDER, one file per API. Of every API, version and kind of client the smallest exchanges that
differ in length are kept, within SIZE_MAX. With APIs named, only their files are written. Needs what
ci/clients/install brings.
"""

import collections
import pathlib
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import threading

CI = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(CI / "lib"))

from free_port import free_ports  # noqa: E402

APIS = {
    0: "Produce",
    1: "Fetch",
    2: "ListOffsets",
    3: "Metadata",
    8: "OffsetCommit",
    9: "OffsetFetch",
    10: "FindCoordinator",
    17: "SaslHandshake",
    11: "JoinGroup",
    12: "Heartbeat",
    13: "LeaveGroup",
    14: "SyncGroup",
    15: "DescribeGroups",
    16: "ListGroups",
    18: "ApiVersions",
    19: "CreateTopics",
    20: "DeleteTopics",
    21: "DeleteRecords",
    22: "InitProducerId",
    23: "OffsetForLeaderEpoch",
    29: "DescribeAcls",
    30: "CreateAcls",
    31: "DeleteAcls",
    32: "DescribeConfigs",
    33: "AlterConfigs",
    34: "AlterReplicaLogDirs",
    35: "DescribeLogDirs",
    37: "CreatePartitions",
    43: "ElectLeaders",
    44: "IncrementalAlterConfigs",
    45: "AlterPartitionReassignments",
    46: "ListPartitionReassignments",
    48: "DescribeClientQuotas",
    49: "AlterClientQuotas",
    50: "DescribeUserScramCredentials",
    55: "DescribeQuorum",
    57: "UpdateFeatures",
    42: "DeleteGroups",
    47: "OffsetDelete",
    60: "DescribeCluster",
    61: "DescribeProducers",
    65: "DescribeTransactions",
    66: "ListTransactions",
    74: "ListConfigResources",
    75: "DescribeTopicPartitions",
}
KINDS = [
    "versions", "admin", "group-versions", "kcat", "confluent", "kafka-python", "java", "admin-tools", "groups",
    "groups-python",
]
# Frames of one exchange together; a longer one shows nothing that a shorter does not. Records are not the matter
# here, settings of topics are long by themselves.
SIZE_MAX = 4000
SIZE_MAX_OF = {"Produce": 1500, "Fetch": 2000}
# Per API, version and kind of client: the smallest, the largest, and what lies between.
KEPT = 3
LINE_BYTES = 60
# Key, version and correlation id; the correlation id.
REQUEST_BYTES_MIN = 8
ANSWER_BYTES_MIN = 4


class Exchange(collections.namedtuple("Exchange", "key version correlation kind request response")):
    """One request and its answer, whole frames with their length in front; no answer to Produce with acks=0."""

    def size(self):
        return len(self.request) + len(self.response or b"")


class Recorder:
    """A proxy in front of one broker: forwards frames, and remembers them by the kind of client that now runs."""

    def __init__(self, port, upstream):
        self.upstream = upstream
        self.kind = None
        self.exchanges = []
        self.listener = socket.create_server(("127.0.0.1", port), backlog=128)
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            client, _ = self.listener.accept()
            threading.Thread(target=self.serve, args=(client, self.kind), daemon=True).start()

    def serve(self, client, kind):
        try:
            broker = socket.create_connection(self.upstream)
        except OSError:
            client.close()
            return
        for side in (client, broker):
            side.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        waiting = collections.deque()
        answers = threading.Thread(target=self.answers, args=(broker, client, kind, waiting), daemon=True)
        answers.start()
        pump(client, broker, REQUEST_BYTES_MIN, waiting.append)
        answers.join()
        client.close()
        broker.close()

    def answers(self, broker, client, kind, waiting):
        def note(response):
            [correlation] = struct.unpack_from(">i", response, 4)
            # Kafka answers in order; a request that was passed over has no answer.
            while waiting:
                request = waiting.popleft()
                key, version, asked = struct.unpack_from(">hhi", request, 4)
                answered = asked == correlation
                if kind and key in APIS:
                    answer = response if answered else None
                    self.exchanges.append(Exchange(key, version, asked, kind, request, answer))
                if answered:
                    return

        pump(broker, client, ANSWER_BYTES_MIN, note)


def pump(source, target, length_min, note):
    """Forwards frames until one side ends, and says the same to the other."""
    try:
        while True:
            head = receive(source, 4)
            [length] = struct.unpack(">i", head)
            if not 0 <= length <= 100_000_000:
                # No frame: bad input of a check. The broker shall judge it.
                target.sendall(head)
                break
            frame = head + receive(source, length)
            if length >= length_min:
                note(frame)
            target.sendall(frame)
    except (OSError, EOFError):
        pass
    for side, how in ((target, socket.SHUT_WR), (source, socket.SHUT_RD)):
        try:
            side.shutdown(how)
        except OSError:
            pass


def receive(source, length):
    data = bytearray()
    while len(data) < length:
        part = source.recv(length - len(data))
        if not part:
            raise EOFError
        data += part
    return bytes(data)


def chosen(exchanges):
    """Of every API, version and kind: the smallest, the largest that is not too large, and some between."""
    groups = collections.defaultdict(dict)
    for exchange in exchanges:
        if exchange.size() <= SIZE_MAX_OF.get(APIS[exchange.key], SIZE_MAX):
            sizes = (len(exchange.request), len(exchange.response or b""))
            groups[exchange.key, exchange.version, exchange.kind].setdefault(sizes, exchange)
    for _, group in sorted(groups.items()):
        by_size = sorted(group.values(), key=Exchange.size)
        step = max(1, -(-(len(by_size) - 1) // (KEPT - 1)))
        kept = by_size[:1] + by_size[step:-1:step] + (by_size[-1:] if len(by_size) > 1 else [])
        yield from kept


def write(folder, exchanges, names):
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.hex"):
        if old.stem.split("-", 1)[1] in names:
            old.unlink()
    by_key = collections.defaultdict(list)
    for exchange in exchanges:
        if APIS[exchange.key] in names:
            by_key[exchange.key].append(exchange)
    for key, group in sorted(by_key.items()):
        lines = []
        for exchange in group:
            lines.append(f"exchange version {exchange.version} client {exchange.kind} correlation {exchange.correlation}")
            lines += ["request", *hex_lines(exchange.request)]
            lines += ["response", *hex_lines(exchange.response)] if exchange.response else ["no response"]
            lines.append("")
        (folder / f"{key:02}-{APIS[key]}.hex").write_text("\n".join(lines))


def hex_lines(frame):
    return [frame[at : at + LINE_BYTES].hex() for at in range(0, len(frame), LINE_BYTES)]


def main(folder, names):
    scratch = pathlib.Path(tempfile.mkdtemp(prefix="highwater-record."))
    kafka = [str(CI / "clients" / "kafka")]
    [port] = free_ports(1)
    try:
        advertised = f"advertised.listeners=PLAINTEXT://127.0.0.1:{port}"
        started = subprocess.run(
            [*kafka, "start", str(scratch / "kafka"), advertised], check=True, stdout=subprocess.PIPE, text=True
        )
        host, upstream = started.stdout.strip().rsplit(":", 1)
        recorder = Recorder(port, (host, int(upstream)))
        for kind in KINDS:
            recorder.kind = kind
            print(f"recording {kind}", flush=True)
            log = scratch / f"{kind}.log"
            with log.open("w") as out:
                ended = subprocess.run([str(CI / "clients" / f"check-{kind}"), f"127.0.0.1:{port}"], stdout=out, stderr=out)
            recorder.kind = None
            if ended.returncode:
                sys.exit(f"check-{kind} failed through the proxy:\n{log.read_text()[-3000:]}")
        kept = list(chosen(recorder.exchanges))
        write(pathlib.Path(folder), kept, names)
        print(f"{len(recorder.exchanges)} exchanges seen, {len(kept)} kept, {sum(e.size() for e in kept)} bytes")
    finally:
        subprocess.run([*kafka, "stop", str(scratch / "kafka")], check=False)
        shutil.rmtree(scratch, ignore_errors=True)


if __name__ == "__main__":
    if len(sys.argv) < 2 or not set(sys.argv[2:]) <= set(APIS.values()):
        sys.exit(f"usage: {sys.argv[0]} FOLDER [API...], of {' '.join(APIS.values())}")
    main(sys.argv[1], set(sys.argv[2:]) or set(APIS.values()))
