"""Stream processing without a framework: words of one topic are counted into another.

The counts are a table: a compacted topic with the word as the key, where the last value counts. A processor that starts
again reads its table back and goes on where its group stopped. (check-streams does the same with Kafka Streams.)

    stream_processing.py HOST:PORT
"""

import asyncio
import collections
import sys
import time

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

LINES = [f"the quick fox {number} jumps over the lazy dog {number % 5}" for number in range(300)]
SECONDS_MAX = 60


async def table(broker, topic):
    """The last value of each key, read from the beginning to what is the end now."""
    reader = AIOKafkaConsumer(bootstrap_servers=broker)
    await reader.start()
    place = TopicPartition(topic, 0)
    reader.assign([place])
    await reader.seek_to_beginning(place)
    end, counts = (await reader.end_offsets([place]))[place], collections.Counter()
    while await reader.position(place) < end:
        for records in (await reader.getmany(timeout_ms=500)).values():
            for record in records:
                counts[record.key.decode()] = int(record.value)
    await reader.stop()
    return counts


async def process(broker, lines, counts_topic, count):
    """Counts the words of some lines, and commits them when their counts are written."""
    counts = await table(broker, counts_topic)
    reader = AIOKafkaConsumer(lines, bootstrap_servers=broker, group_id=lines + "-counter", auto_offset_reset="earliest",
                              enable_auto_commit=False, heartbeat_interval_ms=300)
    writer = AIOKafkaProducer(bootstrap_servers=broker, enable_idempotence=True, linger_ms=5)
    await reader.start()
    await writer.start()
    try:
        for _ in range(count):
            line = await asyncio.wait_for(reader.getone(), SECONDS_MAX)
            words = line.value.decode().split()
            counts.update(words)
            sent = [await writer.send(counts_topic, str(counts[word]).encode(), word.encode()) for word in set(words)]
            await asyncio.gather(*sent)
            await reader.commit({TopicPartition(line.topic, line.partition): line.offset + 1})
    finally:
        await reader.stop()
        await writer.stop()


async def run(broker):
    lines = f"recipe-lines-{time.time_ns()}"
    counts = lines + "-counts"
    admin = AIOKafkaAdminClient(bootstrap_servers=broker)
    await admin.start()
    await admin.create_topics([NewTopic(lines, 1, 1), NewTopic(counts, 1, 1, topic_configs={"cleanup.policy": "compact"})])
    await admin.close()
    writer = AIOKafkaProducer(bootstrap_servers=broker)
    await writer.start()
    for line in LINES:
        await writer.send(lines, line.encode())
    await writer.stop()
    # A processor that stops, and another that takes up its table and its place.
    await process(broker, lines, counts, 100)
    await process(broker, lines, counts, len(LINES) - 100)
    found = await table(broker, counts)
    wanted = collections.Counter(word for line in LINES for word in line.split())
    assert found == wanted, found.most_common(5)
    print(f"{sum(found.values())} words counted over a restart: {found.most_common(3)}")


asyncio.run(run(sys.argv[1]))
