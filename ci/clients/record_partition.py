"""Records a partition folder as a real Kafka wrote it, with a list of what is in it.

    record_partition.py ARCHIVE.tar.gz

The archive holds:

    partition/story-0/   the folder after a clean stop: several segments, indexes, producer snapshots, checkpoints
    crashed/story-0/     the same folder taken while the broker ran: indexes preallocated, no snapshot of the end
    batches.tsv          file, position, size, base offset, last offset, records, codec, CRC, producer id, epoch,
                         base sequence, largest timestamp: what Kafka's dump tool says of every batch
    records.tsv          offset, timestamp, CRC-32C of the key (- for none), CRC-32C of the value (- for null), as a
                         client read them

Writers: confluent-kafka with every codec and without idempotence, idempotent, kafka-python, and Kafka's own
console producer. Needs what ci/clients/install brings; run it with that Python.
"""

import pathlib
import random
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile

from confluent_kafka import OFFSET_BEGINNING, Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic
from crc32c import crc32c
from kafka import KafkaProducer

CLIENTS = pathlib.Path(__file__).resolve().parent
TOPIC = "story"
SECONDS_MAX = 60
BASE_TIME = 1_700_000_000_000
CODECS = ["none", "gzip", "snappy", "lz4", "zstd"]

BATCH = re.compile(
    r"baseOffset: (?P<base>\d+) lastOffset: (?P<last>\d+) count: (?P<count>\d+) baseSequence: (?P<sequence>-?\d+) .*"
    r"producerId: (?P<producer>-?\d+) producerEpoch: (?P<epoch>-?\d+) .*position: (?P<position>\d+) "
    r"CreateTime: (?P<time>-?\d+) size: (?P<size>\d+) .*compresscodec: (?P<codec>\w+) crc: (?P<crc>\d+) isvalid: true"
)


class Story:
    """Writes numbered records of known times; not sorted by time everywhere, with keys, headers and nulls."""

    def __init__(self, broker):
        self.broker = broker
        self.number = 0
        self.random = random.Random(7)

    def record(self, text_bytes):
        """Value, key, timestamp and headers of the next record; the text compresses to almost nothing."""
        self.number += 1
        number = self.number
        value = b"record %d " % number
        value += b"high water carries every boat up again; " * (text_bytes // 40)
        key = None if number % 5 == 0 else b"key-%d" % (number % 50)
        # Every tenth comes from a clock that is behind.
        time = BASE_TIME + 100 * number - (30_000 if number % 10 == 0 else 0)
        headers = [("trace", b"%d" % number), ("empty", None)] if number % 7 == 0 else []
        return (None if number % 97 == 0 else value), key, time, headers

    def confluent(self, count, text_bytes, **settings):
        failed = []
        producer = Producer({"bootstrap.servers": self.broker, "linger.ms": 50, "log_level": 2} | settings)
        for _ in range(count):
            value, key, time, headers = self.record(text_bytes)
            producer.produce(
                TOPIC, value, key, 0, timestamp=time, headers=headers,
                on_delivery=lambda error, _: error and failed.append(error),
            )
            producer.poll(0)
        if producer.flush(SECONDS_MAX) or failed:
            sys.exit(f"delivery failed: {failed[:1]}")

    def python(self, count, text_bytes, **settings):
        producer = KafkaProducer(bootstrap_servers=self.broker, linger_ms=20, **settings)
        for _ in range(count):
            value, key, time, headers = self.record(text_bytes)
            sent = producer.send(
                TOPIC, value, key=key, partition=0, timestamp_ms=time, headers=[(k, v or b"") for k, v in headers]
            )
        producer.flush(timeout=SECONDS_MAX)
        sent.get(timeout=SECONDS_MAX)
        producer.close()

    def console(self, count):
        lines = "".join(f"line {n} of the console producer\n" for n in range(count))
        command = [CLIENTS / "java" / "run", "org.apache.kafka.tools.ConsoleProducer"]
        arguments = ["--bootstrap-server", self.broker, "--topic", TOPIC, "--compression-codec", "zstd"]
        subprocess.run([*command, *arguments], input=lines, text=True, check=True, stdout=subprocess.DEVNULL)

    def tell(self):
        """Two segments and a half of 1 MiB: each codec, two idempotent producers, one of them over two segments."""
        one_by_one = {"max.in.flight.requests.per.connection": 1}
        for codec in CODECS:
            self.confluent(40, 200, **one_by_one, **{"compression.type": codec, "batch.num.messages": 20})
        idempotent = {"enable.idempotence": True}
        self.confluent(1300, 1400, **idempotent, **{"batch.num.messages": 10})
        self.python(60, 300, compression_type="lz4")
        self.console(30)
        self.confluent(400, 1400, **idempotent, **{"batch.num.messages": 25})
        for codec in CODECS[1:]:
            self.confluent(30, 100, **idempotent, **{"compression.type": codec})
        # Single records, as a slow source sends them.
        for _ in range(5):
            self.confluent(1, 50, **one_by_one)


def crc(data):
    return "-" if data is None else str(crc32c(data))


def read_records(broker):
    reader = Consumer({"bootstrap.servers": broker, "group.id": "unused", "auto.offset.reset": "error"})
    partition = TopicPartition(TOPIC, 0, OFFSET_BEGINNING)
    _, end = reader.get_watermark_offsets(partition, timeout=SECONDS_MAX)
    reader.assign([partition])
    lines = []
    while len(lines) < end:
        message = reader.poll(SECONDS_MAX)
        if message is None or message.error():
            sys.exit(f"reading stopped after {len(lines)} of {end}: {message and message.error()}")
        fields = (message.offset(), message.timestamp()[1], crc(message.key()), crc(message.value()))
        lines.append("\t".join(map(str, fields)) + "\n")
    reader.close()
    return lines


def read_batches(folder):
    lines = []
    for log in sorted(folder.glob("*.log")):
        command = [CLIENTS / "java" / "run", "org.apache.kafka.tools.DumpLogSegments", "--files", log]
        dumped = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
        batches = [line for line in dumped.splitlines() if line.startswith("baseOffset")]
        for line in batches:
            found = BATCH.fullmatch(line) or sys.exit(f"the dump tool said: {line}")
            names = ["position", "size", "base", "last", "count", "codec", "crc", "producer", "epoch", "sequence", "time"]
            lines.append("\t".join([log.name, *found.group(*names)]) + "\n")
    return lines


def clean(info):
    """The same archive from the same files: no owner, no time."""
    info.uid = info.gid = info.mtime = 0
    info.uname = info.gname = ""
    return info


def main(archive):
    scratch = pathlib.Path(tempfile.mkdtemp(prefix="highwater-record."))
    kafka, home = str(CLIENTS / "kafka"), str(scratch / "kafka")
    target = scratch / "out"
    try:
        started = subprocess.run([kafka, "start", home], check=True, stdout=subprocess.PIPE, text=True)
        broker = started.stdout.strip()
        admin = AdminClient({"bootstrap.servers": broker})
        # 1 MiB is the smallest segment that Kafka 4 allows; an index entry every 4 KiB is its default.
        topic = NewTopic(TOPIC, 1, 1, config={"segment.bytes": "1048576"})
        admin.create_topics([topic])[TOPIC].result(SECONDS_MAX)
        del admin  # or it would look for its broker when that is gone
        Story(broker).tell()
        records = read_records(broker)
        shutil.copytree(scratch / "kafka" / "data" / f"{TOPIC}-0", target / "crashed" / f"{TOPIC}-0")
        subprocess.run([kafka, "stop", home], check=True)
        shutil.copytree(scratch / "kafka" / "data" / f"{TOPIC}-0", target / "partition" / f"{TOPIC}-0")
        (target / "records.tsv").write_text("".join(records))
        (target / "batches.tsv").write_text("".join(read_batches(target / "partition" / f"{TOPIC}-0")))
        with tarfile.open(archive, "w:gz", compresslevel=9) as out:
            for name in ["partition", "crashed", "batches.tsv", "records.tsv"]:
                out.add(target / name, arcname=name, filter=clean)
        print(f"{len(records)} records; {pathlib.Path(archive).stat().st_size} bytes")
    finally:
        subprocess.run([kafka, "stop", home], check=False)
        shutil.rmtree(scratch, ignore_errors=True)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(f"usage: {sys.argv[0]} ARCHIVE.tar.gz")
    main(sys.argv[1])
