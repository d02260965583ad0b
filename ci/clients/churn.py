"""A group of ten members that join, leave, crash and restart for a minute, and what may be said of it after.

    churn.py run    HOST:PORT FOLDER                     plays the members' fates and judges what they noted
    churn.py member HOST:PORT TOPIC GROUP INSTANCE NOTES  one member; INSTANCE is '-' for a dynamic one

A member notes every record before it commits it, every commit that the broker accepted, and every change of its
assignment, a line of JSON each, which survives its death.
"""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter, defaultdict

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer
from confluent_kafka.admin import AdminClient, NewTopic

MEMBERS = 10
STATIC_MEMBERS = 4
ALIVE_MIN = 4
PARTITIONS = 20
SECONDS = 60
ACTION_SECONDS = 1.5
RECORDS_PER_SECOND = 400
SESSION_SECONDS = 6
REBALANCE_SECONDS = 10
# What a machine with two busy cores may add: a member is a process that has to start.
SLACK_SECONDS = 10
SETTLE_SECONDS = 60


# --- one member ----------------------------------------------------------------------------------------------


class Member:
    def __init__(self, broker, topic, group, instance, notes):
        self.notes = open(notes, "a", buffering=1)
        self.ending = False
        signal.signal(signal.SIGTERM, self.end)
        settings = {
            "bootstrap.servers": broker,
            "group.id": group,
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            "partition.assignment.strategy": "cooperative-sticky",
            "session.timeout.ms": SESSION_SECONDS * 1000,
            "max.poll.interval.ms": REBALANCE_SECONDS * 1000,
            "heartbeat.interval.ms": 500,
            "fetch.wait.max.ms": 100,
            "log_level": 0,
        }
        if instance != "-":
            settings["group.instance.id"] = instance
        self.consumer = Consumer(settings)
        self.note("start", instance=instance)
        self.consumer.subscribe([topic], on_assign=self.assigned, on_revoke=self.revoked, on_lost=self.lost)

    def end(self, *_):
        self.ending = True

    def note(self, event, **fields):
        self.notes.write(json.dumps({"event": event, "at": time.time(), **fields}) + "\n")

    def assigned(self, _, partitions):
        self.note("assigned", partitions=[p.partition for p in partitions])

    def revoked(self, _, partitions):
        self.commit()
        self.note("revoked", partitions=[p.partition for p in partitions])

    def lost(self, _, partitions):
        self.note("lost", partitions=[p.partition for p in partitions])

    def commit(self):
        try:
            committed = self.consumer.commit(asynchronous=False)
        except KafkaException as error:
            if error.args[0].code() != KafkaError._NO_OFFSET:
                self.note("refused", error=error.args[0].name())
        else:
            self.note("committed", offsets={p.partition: p.offset for p in committed if not p.error})

    def live(self):
        while not self.ending:
            batch = [m for m in self.consumer.consume(200, timeout=0.1) if not m.error()]
            if batch:
                self.note("records", records=[[m.partition(), m.offset(), int(m.value())] for m in batch])
                self.commit()
        self.consumer.close()
        self.note("end")


# --- the play ------------------------------------------------------------------------------------------------


class Play:
    """Starts and ends the members' processes; a slot is a seat that one process after another takes."""

    def __init__(self, broker, folder, topic, group):
        self.broker, self.folder, self.topic, self.group = broker, folder, topic, group
        self.running = {}
        # When, by the name of the notes.
        self.killed = {}
        self.started = 0
        self.fates = Counter()

    def instance(self, slot):
        return f"member-{slot}" if slot < STATIC_MEMBERS else "-"

    def start(self, slot):
        notes = os.path.join(self.folder, f"{self.started:03}-{slot}.notes")
        self.started += 1
        arguments = [self.broker, self.topic, self.group, self.instance(slot), notes]
        process = subprocess.Popen([sys.executable, __file__, "member", *arguments])
        self.running[slot] = process, notes

    def leave(self, slot):
        process, notes = self.running.pop(slot)
        process.terminate()
        try:
            process.wait(SETTLE_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            sys.exit(f"the member of {notes} does not end")

    def crash(self, slot):
        process, notes = self.running.pop(slot)
        process.kill()
        process.wait()
        self.killed[notes] = time.time()

    def act(self, dice):
        """One turn of fate."""
        absent = [slot for slot in range(MEMBERS) if slot not in self.running]
        choices = ["join"] * 3 if absent else []
        if len(self.running) > ALIVE_MIN:
            choices += ["leave", "crash"]
        static = [slot for slot in self.running if slot < STATIC_MEMBERS]
        choices += ["restart"] * bool(static)
        fate = dice.choice(choices)
        self.fates[fate] += 1
        if fate == "join":
            self.start(dice.choice(absent))
        elif fate == "restart":
            slot = dice.choice(static)
            dice.choice([self.leave, self.crash])(slot)
            self.start(slot)
        else:
            getattr(self, fate)(dice.choice(sorted(self.running)))


class Writer:
    """Numbered records, spread over the partitions, at a steady rate; remembers what was acknowledged where."""

    def __init__(self, broker, topic):
        self.topic, self.number, self.acknowledged, self.failed = topic, 0, {}, []
        self.producer = Producer({"bootstrap.servers": broker, "enable.idempotence": True, "linger.ms": 5, "log_level": 0})

    def report(self, error, message):
        if error:
            self.failed.append(error)
        else:
            self.acknowledged[message.partition(), message.offset()] = int(message.value())

    def write_until(self, count):
        while self.number < count:
            self.producer.produce(
                self.topic, b"%d" % self.number, partition=self.number % PARTITIONS, on_delivery=self.report)
            self.number += 1
        self.producer.poll(0.01)

    def end(self):
        self.producer.flush(SETTLE_SECONDS)
        if self.failed or len(self.acknowledged) != self.number:
            sys.exit(f"{len(self.acknowledged)} of {self.number} records were acknowledged: {self.failed[:1]}")


def notes_of(folder):
    """Events of each member by the name of its notes; the last line of a killed one may be torn."""
    for name in sorted(os.listdir(folder)):
        path = os.path.join(folder, name)
        events = []
        with open(path) as file:
            for line in file:
                if line.endswith("\n"):
                    events.append(json.loads(line))
        yield path, events


def places(folder):
    return {(p, o) for _, events in notes_of(folder) for e in events if e["event"] == "records" for p, o, _ in e["records"]}


def run(broker, folder):
    os.makedirs(folder)
    name = f"churn-{time.time_ns() % 10**11}"
    admin = AdminClient({"bootstrap.servers": broker})
    admin.create_topics([NewTopic(name, PARTITIONS, 1)])[name].result(SETTLE_SECONDS)
    seed = time.time_ns() % 10**6
    print(f"seed {seed}")
    dice, play, writer = random.Random(seed), Play(broker, folder, name, name), Writer(broker, name)
    try:
        for slot in range(MEMBERS):
            play.start(slot)
        begin = time.monotonic()
        turns = 0
        while (now := time.monotonic() - begin) < SECONDS:
            writer.write_until(int(now * RECORDS_PER_SECOND))
            if now > (turns + 1) * ACTION_SECONDS:
                turns += 1
                play.act(dice)
        for slot in range(MEMBERS):
            if slot not in play.running:
                play.start(slot)
        writer.end()
        deadline = time.monotonic() + SETTLE_SECONDS
        while places(folder) < set(writer.acknowledged) and time.monotonic() < deadline:
            time.sleep(0.2)
        for slot in list(play.running):
            play.leave(slot)
    finally:
        for process, _ in play.running.values():
            process.kill()
    print(f"{writer.number} records, {play.started} members in {MEMBERS} seats: {dict(play.fates)}")
    judge(dict(notes_of(folder)), writer.acknowledged, play.killed)


# --- the judgement -------------------------------------------------------------------------------------------


def judge(notes, acknowledged, killed):
    complaints = []
    records_came(notes, acknowledged, complaints)
    only_the_uncommitted_came_again(notes, killed, complaints)
    nobody_starved(notes, killed, complaints)
    for complaint in complaints[:20]:
        print(complaint)
    if complaints:
        sys.exit(f"{len(complaints)} complaints")


def records_came(notes, acknowledged, complaints):
    came = {}
    for events in notes.values():
        for event in events:
            for partition, offset, number in event.get("records", []):
                came[partition, offset] = number
    missing = sorted(set(acknowledged) - set(came))
    if missing:
        complaints.append(f"{len(missing)} records came to nobody, as partition and offset {missing[0]}")
    wrong = [place for place, number in came.items() if acknowledged.get(place) != number]
    if wrong:
        complaints.append(f"{len(wrong)} records are not what was written, as at {wrong[0]}")
    print(f"{len(came)} records came")


def only_the_uncommitted_came_again(notes, killed, complaints):
    """A record may come twice only if who got it first died, or was told, before the broker had its commit."""
    turns = defaultdict(list)
    for path, events in notes.items():
        committed = defaultdict(int)
        for event in events:
            for partition, offset in event.get("offsets", {}).items():
                committed[int(partition)] = max(committed[int(partition)], offset)
        troubled = path in killed or any(event["event"] in ("lost", "refused") for event in events)
        for event in events:
            for partition, offset, _ in event.get("records", []):
                turns[partition, offset].append((event["at"], path, committed[partition] > offset, troubled))
    again = 0
    for place, who in turns.items():
        who.sort()
        for (_, path, was_committed, troubled), (_, later, _, _) in zip(who, who[1:]):
            again += 1
            if was_committed or not troubled:
                why = "had committed it" if was_committed else "had no reason not to commit it"
                complaints.append(f"{place} came to {os.path.basename(later)} after {os.path.basename(path)}, who {why}")
    print(f"{again} records came again, as their first readers had died")


def nobody_starved(notes, killed, complaints):
    """From its start, or from the loss of its last partition, a member has one again within the timeouts."""
    limit, longest = SESSION_SECONDS + REBALANCE_SECONDS + SLACK_SECONDS, 0
    for path, events in notes.items():
        owned, since = set(), None
        death = [{"event": "death", "at": killed[path]}] if path in killed else []
        for event in events + death:
            if event["event"] == "start":
                since = event["at"]
            elif event["event"] == "assigned":
                owned |= set(event["partitions"])
            elif event["event"] in ("revoked", "lost"):
                owned -= set(event["partitions"])
            if owned and since is not None:
                longest, since = max(longest, event["at"] - since), None
            elif not owned and since is None:
                since = event["at"]
            if since is not None and event["at"] - since > limit:
                complaints.append(f"{os.path.basename(path)} had no partition for {event['at'] - since:.1f} s")
    print(f"no member was without partitions for longer than {longest:.1f} s (allowed: {limit} s)")


if __name__ == "__main__":
    if sys.argv[1] == "member":
        Member(*sys.argv[2:]).live()
    else:
        run(*sys.argv[2:])
