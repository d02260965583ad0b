"""kafkatop, a console for groups and their lag on a terminal, against a broker."""

import json
import os
import subprocess
import sys

from checks import await_that, check, fresh_topic, main, same, values
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic
from confluent_writes import SECONDS_MAX, produce

KAFKATOP = os.path.join(os.path.dirname(sys.executable), "kafkatop")


def kafkatop(broker, *options):
    command = [KAFKATOP, "--kafka-broker", broker, *options]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS_MAX)
    same(f"status of {options}: {ran.stderr[-500:]}", 0, ran.returncode)
    return ran.stdout


def lagging_group(broker):
    """A topic of 2 partitions with 50 records each, and a group at work that read 50 and 20 of them."""
    topic, group = fresh_topic("kafkatop"), fresh_topic("kafkatop-group")
    admin = AdminClient({"bootstrap.servers": broker})
    admin.create_topics([NewTopic(topic, 2, 1)])[topic].result(SECONDS_MAX)
    for partition in range(2):
        produce(broker, topic, values(50), partition=partition)
    reader = Consumer({"bootstrap.servers": broker, "group.id": group, "enable.auto.commit": False})
    reader.subscribe([topic])
    await_that("assigned", SECONDS_MAX, lambda: reader.poll(0.1) or reader.assignment())
    reader.commit(offsets=[TopicPartition(topic, 0, 50), TopicPartition(topic, 1, 20)], asynchronous=False)
    return topic, group, reader


@check
def summary(broker):
    """kafkatop shows the groups, their states, topics and lags"""
    topic, group, reader = lagging_group(broker)
    found = json.loads(kafkatop(broker, "--summary-json", "--group-filter-pattern", group))
    same("groups", [group], list(found))
    same("state", "ConsumerGroupState.STABLE", found[group]["state"])
    same("lag", {topic: {"partitions": 2, "lag_max": 30, "lag_min": 0}}, found[group]["topics"])
    reader.close()


@check
def topics(broker):
    """kafkatop shows the topics and their partitions"""
    topic, _, reader = lagging_group(broker)
    reader.close()
    same("the topic is shown", True, topic[:30] in kafkatop(broker, "--topicinfo", "--text"))


@check
def rates(broker):
    """kafkatop measures lag and rates while a group works"""
    _, group, reader = lagging_group(broker)
    options = ["--text", "--poll-period", "1", "--poll-iterations", "2", "--group-filter-pattern", group]
    said = kafkatop(broker, *options)
    same("the group is shown", True, group[:15] in said)
    reader.close()


if __name__ == "__main__":
    main(f"kafkatop {kafkatop(sys.argv[1], '--version').split()[-1]}" if len(sys.argv) > 1 else "kafkatop")
