"""Two members of a group that live through all that happens to the broker.

    members.py HOST:PORT GROUP TOPIC FOLDER

FOLDER/taken has the records that came, one a line; FOLDER/shares the partitions that the members have, one line an
assignment. They leave when there is a file FOLDER/enough.
"""

import pathlib
import sys
import threading

from confluent_kafka import Consumer, KafkaError, KafkaException

# What a broker that is away makes of a poll; the client tries again by itself.
AWAY = {KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN, KafkaError._RESOLVE}


def member(broker, group, topic, folder, write):
    def assigned(_, partitions):
        write("shares", " ".join(str(p.partition) for p in partitions) or "none")

    consumer = Consumer({
        "bootstrap.servers": broker, "group.id": group, "auto.offset.reset": "earliest",
        "heartbeat.interval.ms": 300, "auto.commit.interval.ms": 100, "fetch.wait.max.ms": 100,
        "reconnect.backoff.max.ms": 500, "log_level": 0,
    })
    consumer.subscribe([topic], on_assign=assigned)
    while not (folder / "enough").exists():
        for message in consumer.consume(100, timeout=0.1):
            if message.error() is None:
                write("taken", message.value().decode())
            elif message.error().code() not in AWAY:
                raise KafkaException(message.error())
    consumer.close()


def main(broker, group, topic, folder):
    folder = pathlib.Path(folder)
    folder.mkdir(exist_ok=True)
    lock, files = threading.Lock(), {name: (folder / name).open("a") for name in ("taken", "shares")}

    def write(name, line):
        with lock:
            print(line, file=files[name], flush=True)

    members = [threading.Thread(target=member, args=(broker, group, topic, folder, write)) for _ in range(2)]
    for one in members:
        one.start()
    for one in members:
        one.join()


if __name__ == "__main__":
    main(*sys.argv[1:])
