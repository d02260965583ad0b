package highwater.ci;

import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.Set;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.Future;
import java.util.function.Function;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.Config;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.Node;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.TopicPartitionInfo;
import org.apache.kafka.common.config.ConfigResource;

/**
 * What one broker answers to a fixed list of admin calls, as text: call, field, value. What must differ between two
 * brokers (addresses, ids, times) is replaced by a word.
 */
final class AdminAnswers implements AutoCloseable {
    final Admin admin;
    final String address;
    final String tag;
    final int node;
    private final String cluster;
    private final Map<String, SortedMap<String, String>> answers = new LinkedHashMap<>();
    private String call = "";

    AdminAnswers(String address, String tag) throws Exception {
        this.address = address;
        this.tag = tag;
        // Some calls are answered by nobody: to brokers that do not exist.
        admin = Admin.create(Map.of("bootstrap.servers", address, "client.id", "compare",
                "request.timeout.ms", "10000", "default.api.timeout.ms", "10000"));
        node = Facts.get(admin.describeCluster().controller()).id();
        cluster = Facts.get(admin.describeCluster().clusterId());
    }

    @Override
    public void close() {
        admin.close();
    }

    Map<String, SortedMap<String, String>> byCall() {
        return answers;
    }

    void ask() throws Exception {
        prepare();
        new AdminTopicCalls(this).ask();
        new AdminConfigCalls(this).ask();
        attempt(new AdminGroupCalls(this)::ask);
        new AdminClusterCalls(this).ask();
    }

    /** What a call dies of is an answer too, and the other calls are still asked. */
    void attempt(Facts.Body calls) {
        try {
            calls.run();
        } catch (Exception | AssertionError error) {
            field("died", Facts.cause(error));
        }
    }

    // --- the stage -------------------------------------------------------------------------------------------

    String topic(String name) {
        return tag + "-" + name;
    }

    /** Topics {@code full} (3 partitions, 30 records), {@code small} (1, 10 records), {@code compacted}, and a group. */
    private void prepare() throws Exception {
        // Its records are from 2023: no retention may take them.
        create(new NewTopic(topic("full"), 3, (short) 1).configs(Map.of("retention.ms", "-1")));
        create(new NewTopic(topic("small"), 1, (short) 1).configs(Map.of("retention.ms", "3600000")));
        create(new NewTopic(topic("compacted"), 1, (short) 1).configs(Map.of("cleanup.policy", "compact")));
        Map<String, Object> settings = new HashMap<>();
        settings.put("bootstrap.servers", address);
        settings.put("key.serializer", "org.apache.kafka.common.serialization.StringSerializer");
        settings.put("value.serializer", "org.apache.kafka.common.serialization.StringSerializer");
        try (KafkaProducer<String, String> producer = new KafkaProducer<>(settings)) {
            for (int number = 0; number < 30; number++) {
                long time = 1_700_000_000_000L + 10L * number;
                Facts.get(producer.send(new ProducerRecord<>(topic("full"), number % 3, time, "k", "v" + number)));
            }
            for (int number = 0; number < 10; number++) {
                Facts.get(producer.send(new ProducerRecord<>(topic("small"), 0, "k" + number, "v" + number)));
                Facts.get(producer.send(new ProducerRecord<>(topic("compacted"), 0, "k" + number, "v" + number)));
            }
        }
    }

    void create(NewTopic topic) throws Exception {
        Facts.get(admin.createTopics(List.of(topic)).all());
        Broker.awaitLeaders(admin, topic.name(), topic.numPartitions());
    }

    KafkaConsumer<String, String> consumer(String group, Map<String, String> more) {
        return new KafkaConsumer<>(Member.settings(address, group, more));
    }

    void poll(KafkaConsumer<?, ?> consumer, int records) throws Exception {
        int[] count = {0};
        Facts.await(records + " records", Facts.LIMIT, () -> {
            count[0] += consumer.poll(Duration.ofMillis(50)).count();
            return count[0] >= records;
        });
    }

    // --- answers as text -------------------------------------------------------------------------------------

    void call(String name) {
        call = name;
        answers.computeIfAbsent(name, key -> new TreeMap<>());
    }

    void field(String name, Object value) {
        answers.get(call).put(name, plain(value));
    }

    /** The answer of a future, or its error: the class, which stands for the code. */
    <T> void answer(String field, Future<T> future, Function<T, ?> shown) {
        try {
            Object value = shown.apply(Facts.get(future));
            if (value instanceof Map<?, ?> map) {
                // A field that one side lacks shows as absent; so does all of an empty map.
                map.forEach((key, one) -> field(field + "." + plain(key), one));
            } else {
                field(field, value);
            }
        } catch (Exception | AssertionError error) {
            field(field, "error " + Facts.cause(error).getClass().getSimpleName());
        }
    }

    <T> void answer(String field, Future<T> future) {
        answer(field, future, value -> value);
    }

    /** A call that may be refused before a request leaves. */
    <T> void ask(String field, java.util.concurrent.Callable<Future<T>> asked, Function<T, ?> shown) {
        Future<T> future;
        try {
            future = asked.call();
        } catch (Exception error) {
            field(field, "refused by the client: " + error.getClass().getSimpleName());
            return;
        }
        answer(field, future, shown);
    }

    String plain(Object value) {
        if (value instanceof Optional<?> optional) {
            return optional.map(this::plain).orElse("none");
        }
        if (value instanceof OptionalLong optional) {
            return optional.isPresent() ? "some" : "none";
        }
        if (value instanceof Node one) {
            return plain("node " + (one.id() == node ? "NODE" : one.id()) + " " + one.host() + ":" + one.port() + " "
                    + one.rack() + (one.isFenced() ? " fenced" : ""));
        }
        if (value instanceof Collection<?> many) {
            List<String> texts = new ArrayList<>();
            many.forEach(one -> texts.add(plain(one)));
            if (value instanceof Set<?>) {
                texts.sort(null);
            }
            return texts.toString();
        }
        return String.valueOf(value).replace(address, "ADDRESS").replace(cluster, "CLUSTER").replace(tag, "TAG");
    }

    Map<String, Object> topicFields(TopicDescription topic) {
        Map<String, Object> fields = new TreeMap<>();
        fields.put("name", topic.name());
        fields.put("internal", topic.isInternal());
        fields.put("id given", topic.topicId().toString().length() == 22);
        fields.put("operations", topic.authorizedOperations() == null ? "none" : new TreeSet<>(topic.authorizedOperations()));
        for (TopicPartitionInfo partition : topic.partitions()) {
            fields.put("partition " + partition.partition(), List.of(partition.leader(), partition.replicas(),
                    partition.isr(), String.valueOf(partition.elr()), String.valueOf(partition.lastKnownElr())));
        }
        return fields;
    }

    /** Every setting: value, source, flags, type, synonyms, and whether there is documentation (its words may differ). */
    static Map<String, Object> configFields(Config config) {
        Map<String, Object> fields = new TreeMap<>();
        for (ConfigEntry entry : config.entries()) {
            List<String> synonyms = new ArrayList<>();
            for (ConfigEntry.ConfigSynonym synonym : entry.synonyms()) {
                synonyms.add(synonym.name() + "=" + synonym.value() + " (" + synonym.source() + ")");
            }
            fields.put(entry.name() + " value", entry.value());
            fields.put(entry.name() + " source", entry.source());
            fields.put(entry.name() + " flags", (entry.isSensitive() ? "sensitive " : "")
                    + (entry.isReadOnly() ? "read-only " : "") + (entry.isDefault() ? "default" : ""));
            fields.put(entry.name() + " type", entry.type());
            fields.put(entry.name() + " synonyms", synonyms);
            fields.put(entry.name() + " documented", entry.documentation() != null && !entry.documentation().isBlank());
        }
        return fields;
    }

    ConfigResource topicResource(String name) {
        return new ConfigResource(ConfigResource.Type.TOPIC, name);
    }

    ConfigResource brokerResource(String name) {
        return new ConfigResource(ConfigResource.Type.BROKER, name);
    }

    TopicPartition partition(String name, int number) {
        return new TopicPartition(topic(name), number);
    }
}
