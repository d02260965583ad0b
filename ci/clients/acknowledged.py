"""Writes numbered records through a broker's crashes, notes what was acknowledged, and checks that it is there.

    acknowledged.py write  HOST:PORT TOPIC ACKED ENOUGH   until the file ENOUGH is there
    acknowledged.py verify HOST:PORT TOPIC ACKED

ACKED gets a line `offset number` for every record that the broker acknowledged (acks=all, idempotent).
"""

import os
import sys

from confluent_kafka import OFFSET_BEGINNING, Consumer, Producer, TopicPartition

IN_FLIGHT_MAX = 5000
RECORDS_MIN = 1000
SECONDS_MAX = 120


def value_of(number):
    return b"%09d " % number + b"x" * (number % 300)


def write(broker, topic, acked_path, enough_path):
    in_flight, failed = 0, []
    # Line buffered: whoever counts the lines sees whole ones.
    with open(acked_path, "w", buffering=1) as acked:

        def report(error, message):
            nonlocal in_flight
            in_flight -= 1
            if error is None:
                acked.write(f"{message.offset()} {message.value().split()[0].decode()}\n")
            else:
                failed.append(error)

        producer = Producer(
            {
                "bootstrap.servers": broker,
                "enable.idempotence": True,
                "linger.ms": 2,
                "batch.num.messages": 200,
                "reconnect.backoff.max.ms": 500,
                "log_level": 0,
            }
        )
        number = 0
        while not (os.path.exists(enough_path) and number >= RECORDS_MIN):
            if in_flight < IN_FLIGHT_MAX:
                producer.produce(topic, value_of(number), partition=0, on_delivery=report)
                number, in_flight = number + 1, in_flight + 1
                producer.poll(0)
            else:
                producer.poll(0.1)
            if failed:
                sys.exit(f"delivery failed after {number} records: {failed[0]}")
        left = producer.flush(SECONDS_MAX)
        if left or failed:
            sys.exit(f"{left} records left, {len(failed)} failed: {failed[:1]}")
    print(f"{number} records acknowledged")


def read_all(broker, topic):
    """Offset and value of every record, up to the end that the broker names."""
    reader = Consumer(
        {"bootstrap.servers": broker, "group.id": "unused", "enable.auto.commit": False, "auto.offset.reset": "error"}
    )
    _, end = reader.get_watermark_offsets(TopicPartition(topic, 0), timeout=SECONDS_MAX)
    reader.assign([TopicPartition(topic, 0, OFFSET_BEGINNING)])
    found = []
    while len(found) < end:
        batch = reader.consume(min(10_000, end - len(found)), timeout=SECONDS_MAX)
        if not batch:
            sys.exit(f"the end is {end}, and {len(found)} records came")
        for message in batch:
            if message.error():
                sys.exit(f"{message.error()}")
            found.append((message.offset(), message.value()))
    reader.close()
    return found


def verify(broker, topic, acked_path):
    with open(acked_path) as file:
        acked = [tuple(map(int, line.split())) for line in file]
    found = read_all(broker, topic)
    by_offset = dict(found)
    for offset, number in acked:
        if by_offset.get(offset) != value_of(number):
            sys.exit(f"offset {offset}: record {number} was acknowledged, {by_offset.get(offset)!r} is there")
    for index, (offset, value) in enumerate(found):
        if (offset, value) != (index, value_of(index)):
            sys.exit(f"record {index} is at offset {offset} with {value[:20]!r}: lost, twice, or out of order")
    if not acked or len(acked) != len(found):
        sys.exit(f"{len(acked)} records were acknowledged, {len(found)} are there")
    print(f"{len(acked)} acknowledged records are there, once and in order")


if __name__ == "__main__":
    {"write": write, "verify": verify}[sys.argv[1]](*sys.argv[2:])
