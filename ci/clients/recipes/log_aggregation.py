"""Log aggregation: agents on every host follow a file and ship its lines; one place reads all of them.

Two "hosts" write logs; each has an agent, which sends lines with the host as their key, so that a host's stay in
order. A reader in one place has all of them, and another one that comes later has them again.

    log_aggregation.py HOST:PORT
"""

import pathlib
import sys
import tempfile
import threading
import time

from confluent_kafka import Consumer, Producer

HOSTS, LINES = ("web-1", "web-2"), 200
SECONDS_MAX = 60


class Agent(threading.Thread):
    """Follows a file that grows, and sends each line; in earnest it is a process of its own on each host."""

    def __init__(self, broker, topic, host, path):
        super().__init__(daemon=True)
        self.topic, self.host, self.path, self.ends = topic, host, path, threading.Event()
        self.producer = Producer({"bootstrap.servers": broker, "linger.ms": 5, "compression.type": "lz4"})

    def run(self):
        with self.path.open() as log:
            line = ""
            while not self.ends.is_set():
                line += log.readline()
                if line.endswith("\n"):
                    self.producer.produce(self.topic, line[:-1], self.host)
                    line = ""
                else:
                    time.sleep(0.01)  # The end of a file that still grows.
        assert self.producer.flush(SECONDS_MAX) == 0


def read(broker, topic, group, count):
    """The lines of each host, in the order in which they came."""
    reader = Consumer({"bootstrap.servers": broker, "group.id": group, "auto.offset.reset": "earliest"})
    reader.subscribe([topic])
    lines, deadline = {host: [] for host in HOSTS}, time.monotonic() + SECONDS_MAX
    while sum(map(len, lines.values())) < count and time.monotonic() < deadline:
        for message in reader.consume(500, timeout=0.5):
            if not message.error():
                lines[message.key().decode()].append(message.value().decode())
    reader.close()
    return lines


def main(broker):
    topic = f"recipe-logs-{time.time_ns()}"
    with tempfile.TemporaryDirectory() as folder:
        logs = {host: pathlib.Path(folder, host + ".log") for host in HOSTS}
        for path in logs.values():
            path.touch()
        agents = [Agent(broker, topic, host, path) for host, path in logs.items()]
        for agent in agents:
            agent.start()
        try:
            written = {host: [f"{host} request {n} took {n % 7} ms" for n in range(LINES)] for host in HOSTS}
            for host, path in logs.items():
                with path.open("a") as log:
                    log.writelines(line + "\n" for line in written[host])
            for group in (topic + "-search", topic + "-archive"):
                got = read(broker, topic, group, len(HOSTS) * LINES)
                assert got == written, {host: len(lines) for host, lines in got.items()}
        finally:
            for agent in agents:
                agent.ends.set()
                agent.join(SECONDS_MAX)
    print(f"{len(HOSTS)} hosts, {LINES} lines of each, read by two groups, in the order of each host")


main(sys.argv[1])
