package highwater.ci;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.Future;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.UnknownTopicOrPartitionException;
import org.apache.kafka.common.serialization.StringSerializer;

/** The broker under test, and the few things that every check wants of it. */
final class Broker implements AutoCloseable {
    final String address;
    final Admin admin;
    private final KafkaProducer<String, String> producer;

    Broker(String address) {
        this.address = address;
        admin = Admin.create(Map.of("bootstrap.servers", address, "client.id", "checks"));
        producer = producer(Map.of());
    }

    KafkaProducer<String, String> producer(Map<String, String> more) {
        Properties settings = new Properties();
        settings.put("bootstrap.servers", address);
        settings.put("key.serializer", StringSerializer.class.getName());
        settings.put("value.serializer", StringSerializer.class.getName());
        settings.putAll(more);
        return new KafkaProducer<>(settings);
    }

    /** A topic with a fresh name. */
    String topic(String name, int partitions) throws Exception {
        return topic(name, partitions, Map.of());
    }

    String topic(String name, int partitions, Map<String, String> configs) throws Exception {
        String topic = Facts.fresh(name);
        NewTopic asked = new NewTopic(topic, partitions, (short) 1).configs(new HashMap<>(configs));
        Facts.get(admin.createTopics(List.of(asked)).all());
        awaitLeaders(admin, topic, partitions);
        return topic;
    }

    /**
     * Returns when the leaders of a new topic serve. Kafka refuses a batch that comes earlier and takes the one behind
     * it, and then an idempotent producer waits in vain for its first to be in order.
     */
    static void awaitLeaders(Admin admin, String topic, int partitions) throws Exception {
        Map<TopicPartition, OffsetSpec> all = new HashMap<>();
        for (int number = 0; number < partitions; number++) {
            all.put(new TopicPartition(topic, number), OffsetSpec.latest());
        }
        Facts.await("the leaders of " + topic, Facts.LIMIT, () -> {
            try {
                return Facts.get(admin.listOffsets(all).all());
            } catch (UnknownTopicOrPartitionException notYet) {
                return null;
            }
        });
    }

    /** Records {@code from} up to {@code to}, spread over the partitions in turn; returns their values. */
    List<String> produce(String topic, int partitions, int from, int to) throws Exception {
        List<String> values = new ArrayList<>();
        List<Future<RecordMetadata>> sent = new ArrayList<>();
        for (int number = from; number < to; number++) {
            String value = "record-" + number;
            values.add(value);
            sent.add(producer.send(new ProducerRecord<>(topic, number % partitions, "key-" + number, value)));
        }
        producer.flush();
        for (Future<RecordMetadata> one : sent) {
            Facts.get(one);
        }
        return values;
    }

    @Override
    public void close() {
        producer.close();
        admin.close();
    }
}
