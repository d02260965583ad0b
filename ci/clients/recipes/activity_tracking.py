"""Activity tracking: what users do is written once and read for several purposes.

Events are keyed by the user, so that one user's lie in one partition in their order. One group follows sessions as they
happen; another comes at night, reads the same events from the beginning and counts the most visited pages.

    activity_tracking.py HOST:PORT
"""

import collections
import json
import sys
import time

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer
from kafka.admin import NewTopic

USERS, STEPS, PARTITIONS = 30, ("home", "search", "basket", "pay"), 3
SECONDS_MAX = 60


def events(broker, topic, group, count):
    reader = KafkaConsumer(topic, bootstrap_servers=broker, group_id=group, auto_offset_reset="earliest",
                           heartbeat_interval_ms=300)
    seen, deadline = [], time.monotonic() + SECONDS_MAX
    while len(seen) < count and time.monotonic() < deadline:
        for records in reader.poll(timeout_ms=500).values():
            seen += [json.loads(record.value) for record in records]
    reader.close()
    return seen


def main(broker):
    topic = f"recipe-activity-{time.time_ns()}"
    admin = KafkaAdminClient(bootstrap_servers=broker)
    admin.create_topics([NewTopic(topic, PARTITIONS, 1)])
    admin.close()
    site = KafkaProducer(bootstrap_servers=broker)
    for page in STEPS:
        for user in range(USERS):
            if page != "pay" or user % 3 == 0:
                site.send(topic, key=b"user-%d" % user, value=json.dumps({"user": user, "page": page}).encode())
    site.flush(SECONDS_MAX)
    site.close()
    count = 3 * USERS + USERS // 3
    paths = collections.defaultdict(list)
    for event in events(broker, topic, topic + "-sessions", count):
        paths[event["user"]].append(event["page"])
    for user in range(USERS):
        assert paths[user] == list(STEPS if user % 3 == 0 else STEPS[:3]), (user, paths[user])
    pages = collections.Counter(event["page"] for event in events(broker, topic, topic + "-nightly", count))
    assert pages == {"home": USERS, "search": USERS, "basket": USERS, "pay": USERS // 3}, pages
    print(f"{count} events of {USERS} users: each path in its order, and later {dict(pages)}")


main(sys.argv[1])
