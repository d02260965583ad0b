"""Writes a file's lines over four partitions with confluent-kafka and puts them together again from what it reads.

    csv_confluent.py HOST:PORT TOPIC INPUT OUTPUT

Line n goes to partition n % 4 with its number as key. Every partition must return its lines in order.
"""

import sys

from confluent_kafka import OFFSET_BEGINNING, Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

PARTITIONS = 4
SECONDS_MAX = 120


def write(broker, topic, lines):
    failed = []

    def report(error, _):
        if error is not None:
            failed.append(error)

    producer = Producer(
        {
            "bootstrap.servers": broker,
            "enable.idempotence": True,
            "compression.type": "zstd",
            "linger.ms": 5,
            "queue.buffering.max.messages": 10_000_000,
        }
    )
    for number, line in enumerate(lines):
        producer.produce(topic, line, str(number), number % PARTITIONS, on_delivery=report)
        if number % 1000 == 0:
            producer.poll(0)
    left = producer.flush(SECONDS_MAX)
    if left or failed:
        sys.exit(f"{left} records were not delivered, {len(failed)} failed: {failed[:3]}")


def read(broker, topic, count):
    reader = Consumer(
        {"bootstrap.servers": broker, "group.id": "unused", "enable.auto.commit": False, "auto.offset.reset": "error"}
    )
    reader.assign([TopicPartition(topic, p, OFFSET_BEGINNING) for p in range(PARTITIONS)])
    lines, expected = [None] * count, list(range(PARTITIONS))
    missing = count
    while missing:
        batch = reader.consume(10_000, timeout=SECONDS_MAX)
        if not batch:
            sys.exit(f"{missing} of {count} records did not come")
        for message in batch:
            if message.error():
                sys.exit(f"{message.error()}")
            number, partition = int(message.key()), message.partition()
            if number != expected[partition]:
                sys.exit(f"partition {partition}: line {number} came, {expected[partition]} was next")
            expected[partition] += PARTITIONS
            lines[number] = message.value()
            missing -= 1
    reader.close()
    return lines


def main(broker, topic, source, target):
    admin = AdminClient({"bootstrap.servers": broker})
    admin.create_topics([NewTopic(topic, PARTITIONS, 1)])[topic].result(SECONDS_MAX)
    with open(source, "rb") as file:
        lines = file.read().splitlines()
    write(broker, topic, lines)
    with open(target, "wb") as file:
        file.writelines(line + b"\n" for line in read(broker, topic, len(lines)))


if __name__ == "__main__":
    main(*sys.argv[1:])
