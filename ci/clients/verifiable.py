"""Compares what VerifiableProducer says was acknowledged with what VerifiableConsumer says it read.

    verifiable.py PRODUCED CONSUMED
"""

import json
import sys


def events(path, name):
    with open(path) as file:
        for line in file:
            if line.startswith("{"):
                event = json.loads(line)
                if event["name"] == name:
                    yield event


def main(produced, consumed):
    acknowledged = {(e["partition"], e["offset"]): e["value"] for e in events(produced, "producer_send_success")}
    values = set(acknowledged.values())
    read, twice = {}, []
    for event in events(consumed, "record_data"):
        place = event["partition"], event["offset"]
        if place in read:
            twice.append(place)
        read[place] = event["value"]
    missing = {place for place, value in acknowledged.items() if read.get(place) != value}
    if missing:
        sys.exit(f"{len(missing)} acknowledged records were not read, as partition and offset {min(missing)}")
    if twice:
        sys.exit(f"{len(twice)} records were read twice, as partition and offset {twice[0]}")
    if len(values) != len(acknowledged) or len(set(read.values())) != len(read):
        sys.exit("a value is in the log twice")
    if set(read) != set(acknowledged):
        sys.exit(f"{len(set(read) - set(acknowledged))} records were read that nobody acknowledged")
    print(f"{len(read)} records: all acknowledged ones were read, once")


if __name__ == "__main__":
    main(*sys.argv[1:])
