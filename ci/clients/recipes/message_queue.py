"""A queue between two systems, and shaved peaks: orders come in a burst, workers take them at their own pace.

The shop writes all orders at once and goes on; two workers share the partitions, take a few at a time, and commit
what they have done. The backlog (lag) grows to the burst and falls to nothing; no order is lost or done twice, although one worker
leaves in the middle.

    message_queue.py HOST:PORT
"""

import sys
import threading
import time

from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic, OffsetSpec

ORDERS, PARTITIONS, AT_ONCE = 2000, 4, 50
SECONDS_MAX = 60


class Worker(threading.Thread):
    def __init__(self, broker, topic, group):
        super().__init__(daemon=True)
        settings = {"auto.offset.reset": "earliest", "enable.auto.commit": False, "heartbeat.interval.ms": 300}
        self.consumer = Consumer({"bootstrap.servers": broker, "group.id": group} | settings)
        self.consumer.subscribe([topic], on_revoke=lambda *_: self.commit())
        self.done, self.leaving = [], threading.Event()

    def commit(self):
        try:
            self.consumer.commit(asynchronous=False)
        except KafkaException as error:
            if error.args[0].name() != "_NO_OFFSET":
                raise

    def run(self):
        while not self.leaving.is_set():
            orders = self.consumer.consume(AT_ONCE, timeout=0.1)
            self.done += [order.value() for order in orders if not order.error()]
            time.sleep(0.01)  # The work that an order makes.
            self.commit()
        self.consumer.close()


def lag(admin, topic, group):
    places = [TopicPartition(topic, partition) for partition in range(PARTITIONS)]
    ends = {p: f.result(SECONDS_MAX).offset for p, f in admin.list_offsets({p: OffsetSpec.latest() for p in places}).items()}
    [future] = admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group, places)]).values()
    committed = future.result(SECONDS_MAX).topic_partitions
    return sum(ends[TopicPartition(p.topic, p.partition)] - max(p.offset, 0) for p in committed)


def main(broker):
    topic, admin = f"recipe-orders-{time.time_ns()}", AdminClient({"bootstrap.servers": broker})
    group = topic + "-workers"
    admin.create_topics([NewTopic(topic, PARTITIONS, 1)])[topic].result(SECONDS_MAX)
    shop = Producer({"bootstrap.servers": broker, "enable.idempotence": True, "linger.ms": 5})
    orders = [b"order %d" % number for number in range(ORDERS)]
    for order in orders:
        shop.produce(topic, order, key=order)
    assert shop.flush(SECONDS_MAX) == 0
    backlog = lag(admin, topic, group)
    assert backlog == ORDERS, backlog
    first, second = Worker(broker, topic, group), Worker(broker, topic, group)
    first.start()
    second.start()
    deadline = time.monotonic() + SECONDS_MAX
    while lag(admin, topic, group) > ORDERS // 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    first.leaving.set()
    first.join(SECONDS_MAX)
    while lag(admin, topic, group) > 0 and time.monotonic() < deadline:
        time.sleep(0.05)
    second.leaving.set()
    second.join(SECONDS_MAX)
    assert sorted(first.done + second.done) == sorted(orders), (len(first.done), len(second.done))
    print(f"a burst of {backlog} orders, done once each by two workers: {len(first.done)} and {len(second.done)}")


main(sys.argv[1])
