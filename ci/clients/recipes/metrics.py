"""Metrics: hosts send measurements with the time at which they were taken; a reader makes minutes of them.

The time of a record is the time of the measurement, so a reader can begin at any minute (offsets by time) and what comes
late still counts for its own minute. Old measurements go by retention.ms.

    metrics.py HOST:PORT
"""

import collections
import struct
import sys
import time

from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

HOSTS, MINUTES, PER_MINUTE = 5, 6, 20
SECONDS_MAX = 60
MINUTE_MS = 60_000


def minutes(broker, topic, from_ms, count):
    """Averages by minute and host, of all that was measured from a time on."""
    reader = Consumer({"bootstrap.servers": broker, "group.id": topic + "-minutes"})
    [start] = reader.offsets_for_times([TopicPartition(topic, 0, from_ms)], SECONDS_MAX)
    reader.assign([start])
    found, seen, deadline = collections.defaultdict(list), 0, time.monotonic() + SECONDS_MAX
    while seen < count and time.monotonic() < deadline:
        for message in reader.consume(500, timeout=0.5):
            _, taken_at = message.timestamp()
            [load] = struct.unpack(">d", message.value())
            found[taken_at // MINUTE_MS, message.key()].append(load)
            seen += 1
    reader.close()
    return start.offset, {place: sum(loads) / len(loads) for place, loads in found.items()}


def main(broker):
    topic, admin = f"recipe-metrics-{time.time_ns()}", AdminClient({"bootstrap.servers": broker})
    settings = {"retention.ms": "86400000", "message.timestamp.type": "CreateTime"}
    admin.create_topics([NewTopic(topic, 1, 1, config=settings)])[topic].result(SECONDS_MAX)
    agent = Producer({"bootstrap.servers": broker, "linger.ms": 5, "compression.type": "lz4"})
    first = int(time.time() * 1000) // MINUTE_MS - MINUTES
    for minute in range(MINUTES):
        for number in range(PER_MINUTE):
            for host in range(HOSTS):
                taken_at = (first + minute) * MINUTE_MS + number * MINUTE_MS // PER_MINUTE
                agent.produce(topic, struct.pack(">d", minute + host + number % 2), b"host-%d" % host, timestamp=taken_at)
    assert agent.flush(SECONDS_MAX) == 0
    skipped = MINUTES // 2
    start, averages = minutes(broker, topic, (first + skipped) * MINUTE_MS, (MINUTES - skipped) * PER_MINUTE * HOSTS)
    assert start == skipped * PER_MINUTE * HOSTS, start
    wanted = {(first + m, b"host-%d" % h): m + h + 0.5 for m in range(skipped, MINUTES) for h in range(HOSTS)}
    assert averages == wanted, averages
    print(f"{len(averages)} averages of {HOSTS} hosts, read from the minute that was asked for")


main(sys.argv[1])
