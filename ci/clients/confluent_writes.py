"""What the checks of confluent-kafka share: writing with reports that are looked at, and expected error codes."""

from checks import same
from confluent_kafka import KafkaException, Producer

SECONDS_MAX = 60


def produce(broker, topic, records, partition=0, timestamps=None, headers=None, key=None, **settings):
    """Writes the values; with acks other than 0 checks that each report has no error and the next offset."""
    reports = []
    base = {"bootstrap.servers": broker, "linger.ms": 20}
    if not settings.get("enable_idempotence"):
        # A first batch that is retried (the leader of a new topic may not know it yet) would be overtaken.
        base["max.in.flight.requests.per.connection"] = 1
    producer = Producer(base | {k.replace("_", "."): v for k, v in settings.items()})
    for index, value in enumerate(records):
        extra = {"timestamp": timestamps[index]} if timestamps else {}
        if headers:
            extra["headers"] = headers
        producer.produce(
            topic, value, key, partition, on_delivery=lambda error, m: reports.append((error, m)), **extra
        )
        producer.poll(0)
    same("records left in the producer", 0, producer.flush(SECONDS_MAX))
    for error, _ in reports:
        if error is not None:
            raise AssertionError(f"delivery failed: {error}")
    same("delivery reports", len(records), len(reports))
    return [message.offset() for _, message in reports]


def expect_code(code, future):
    try:
        future.result(SECONDS_MAX)
    except KafkaException as error:
        same("error code", code, error.args[0].code())
    else:
        raise AssertionError(f"no error, expected {code}")
