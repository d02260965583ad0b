"""Where records are lost or come twice, and how neither happens: it is the moment of the commit that decides.

A worker dies in the middle of its work. Who commits before the work loses a record; who commits after it does one again; who
keeps the offset with the result (here: a dictionary for a database) does each once.

    lost_or_twice.py HOST:PORT
"""

import sys
import time

from confluent_kafka import OFFSET_BEGINNING, Consumer, Producer, TopicPartition

RECORDS, DIES_AT = 20, 7
SECONDS_MAX = 60


class Death(Exception):
    """The worker's machine is gone."""


def consumer(broker, group):
    settings = {"auto.offset.reset": "earliest", "enable.auto.commit": False, "heartbeat.interval.ms": 300}
    return Consumer({"bootstrap.servers": broker, "group.id": group} | settings)


def records(reader, count):
    deadline = time.monotonic() + SECONDS_MAX
    while count and time.monotonic() < deadline:
        message = reader.poll(0.5)
        if message is not None and not message.error():
            count -= 1
            yield message


def work(broker, topic, group, results, commits_first, dies):
    """Takes all that is left; says how many it took. With `dies` it ends between the two steps of record DIES_AT."""
    reader = consumer(broker, group)
    reader.subscribe([topic])
    steps = [lambda m: reader.commit(m, asynchronous=False), lambda m: results.append(int(m.value()))]
    first, second = steps if commits_first else reversed(steps)
    try:
        for message in records(reader, RECORDS):
            first(message)
            if dies and message.offset() == DIES_AT:
                raise Death
            second(message)
            if message.offset() == RECORDS - 1:
                return
    except Death:
        pass
    finally:
        reader.close()


def work_with_offsets(broker, topic, database, dies):
    """Result and offset are kept together; the group's own offsets are not used."""
    reader = consumer(broker, topic + "-unused")
    reader.assign([TopicPartition(topic, 0, database["next"] or OFFSET_BEGINNING)])
    for message in records(reader, RECORDS - database["next"]):
        if dies and message.offset() == DIES_AT:
            break
        # One transaction of the database.
        database.update(next=message.offset() + 1, results=[*database["results"], int(message.value())])
    reader.close()


def main(broker):
    topic, everything = f"recipe-commits-{time.time_ns()}", list(range(RECORDS))
    writer = Producer({"bootstrap.servers": broker, "enable.idempotence": True})
    for number in everything:
        writer.produce(topic, str(number), partition=0)
    assert writer.flush(SECONDS_MAX) == 0
    outcomes = {}
    for name, commits_first in (("committed first", True), ("committed after", False)):
        outcomes[name] = []
        for dies in (True, False):
            work(broker, topic, f"{topic}-{commits_first}", outcomes[name], commits_first, dies)
    lost = [number for number in everything if number not in outcomes["committed first"]]
    twice = [number for number in everything if outcomes["committed after"].count(number) == 2]
    assert lost == [DIES_AT] and len(outcomes["committed first"]) == RECORDS - 1, outcomes
    assert twice == [DIES_AT] and len(outcomes["committed after"]) == RECORDS + 1, outcomes
    database = {"next": 0, "results": []}
    for dies in (True, False):
        work_with_offsets(broker, topic, database, dies)
    assert database["results"] == everything, database
    print(f"committed first: {lost} lost; committed after: {twice} twice; offset kept with the result: each once")


main(sys.argv[1])
