package highwater.ci;

import static highwater.ci.Facts.LIMIT;
import static highwater.ci.Facts.await;
import static highwater.ci.Facts.fresh;
import static highwater.ci.Facts.get;
import static highwater.ci.Facts.holds;
import static highwater.ci.Facts.same;

import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.TreeMap;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.serialization.LongDeserializer;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.utils.Utils;
import org.apache.kafka.streams.CloseOptions;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.kstream.Produced;

/** Kafka Streams: the word count that every introduction shows, at least once. CheckStreams HOST:PORT */
final class CheckStreams {
    private static final List<String> FIRST = List.of("to be or not to be", "that is the question");
    private static final List<String> LATER = List.of("to be is to do", "be that as it may");

    private final Broker broker;
    private final String application = fresh("word-count");
    private String input;
    private String output;

    private CheckStreams(String address) {
        broker = new Broker(address);
    }

    public static void main(String[] arguments) {
        Facts facts = new Facts();
        CheckStreams program = new CheckStreams(arguments[0]);
        facts.check("Kafka Streams counts words", program::counts);
        facts.check("Kafka Streams has made its topics with the settings that it wants", program::internalTopics);
        facts.check("Kafka Streams finds its counts again without its local state, on two instances", program::resumes);
        program.broker.close();
        facts.finish();
    }

    private Topology topology() {
        StreamsBuilder builder = new StreamsBuilder();
        builder.<String, String>stream(input)
                .flatMapValues(line -> Arrays.asList(line.split(" ")))
                .groupBy((key, word) -> word)
                .count()
                .toStream()
                .to(output, Produced.with(Serdes.String(), Serdes.Long()));
        return builder.build();
    }

    private KafkaStreams start(Path state) {
        Properties settings = new Properties();
        settings.put(StreamsConfig.APPLICATION_ID_CONFIG, application);
        settings.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, broker.address);
        settings.put(StreamsConfig.DEFAULT_KEY_SERDE_CLASS_CONFIG, Serdes.StringSerde.class);
        settings.put(StreamsConfig.DEFAULT_VALUE_SERDE_CLASS_CONFIG, Serdes.StringSerde.class);
        settings.put(StreamsConfig.STATE_DIR_CONFIG, state.toString());
        settings.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, 200);
        settings.put("auto.offset.reset", "earliest");
        KafkaStreams streams = new KafkaStreams(topology(), settings);
        streams.start();
        return streams;
    }

    /** Leaves its group, so that the next instance need not wait for a session to time out. */
    private static void end(KafkaStreams streams) {
        streams.close(CloseOptions.groupMembershipOperation(CloseOptions.GroupMembershipOperation.LEAVE_GROUP)
                .withTimeout(LIMIT));
    }

    private void write(List<String> lines) throws Exception {
        try (var producer = broker.producer(Map.of())) {
            for (String line : lines) {
                get(producer.send(new ProducerRecord<>(input, line)));
            }
        }
    }

    private static Map<String, Long> counted(List<List<String>> texts) {
        Map<String, Long> counts = new TreeMap<>();
        texts.forEach(lines -> lines.forEach(line -> Arrays.stream(line.split(" ")).forEach(
                word -> counts.merge(word, 1L, Long::sum))));
        return counts;
    }

    /** The last count of each word, when they are what is expected. */
    private void awaitCounts(Map<String, Long> expected) throws Exception {
        Map<String, Long> last = new TreeMap<>();
        Properties settings = Member.settings(broker.address, fresh("reads-counts"), Map.of());
        settings.put("value.deserializer", LongDeserializer.class.getName());
        try (var consumer = new org.apache.kafka.clients.consumer.KafkaConsumer<String, Long>(settings)) {
            List<TopicPartition> partitions = List.of(new TopicPartition(output, 0), new TopicPartition(output, 1));
            consumer.assign(partitions);
            consumer.seekToBeginning(partitions);
            await("the counts " + expected, LIMIT, () -> {
                consumer.poll(Duration.ofMillis(100)).forEach(record -> last.put(record.key(), record.value()));
                return last.equals(expected) || exceeded(last, expected);
            });
        }
        same("counts", expected, last);
    }

    private static boolean exceeded(Map<String, Long> last, Map<String, Long> expected) {
        return last.entrySet().stream().anyMatch(one -> one.getValue() > expected.getOrDefault(one.getKey(), 0L));
    }

    private void counts() throws Exception {
        input = broker.topic("streams-lines", 2);
        output = broker.topic("streams-counts", 2);
        write(FIRST);
        Path state = Files.createTempDirectory("highwater-streams");
        KafkaStreams streams = start(state);
        try {
            awaitCounts(counted(List.of(FIRST)));
        } finally {
            end(streams);
            Utils.delete(state.toFile());
        }
    }

    private void internalTopics() throws Exception {
        List<String> names = get(broker.admin.listTopics().names()).stream()
                .filter(name -> name.startsWith(application)).sorted().toList();
        same("topics", 2, names.size());
        holds("a changelog: " + names, names.get(0).endsWith("-changelog"));
        holds("a repartition topic: " + names, names.get(1).endsWith("-repartition"));
        same("the changelog", "compact", policy(names.get(0)));
        same("the repartition topic", "delete", policy(names.get(1)));
    }

    private String policy(String topic) throws Exception {
        ConfigResource resource = new ConfigResource(ConfigResource.Type.TOPIC, topic);
        return get(broker.admin.describeConfigs(List.of(resource)).values().get(resource)).get("cleanup.policy").value();
    }

    private void resumes() throws Exception {
        Path one = Files.createTempDirectory("highwater-streams");
        Path two = Files.createTempDirectory("highwater-streams");
        KafkaStreams first = start(one);
        KafkaStreams second = start(two);
        try {
            await("both run", LIMIT, () -> first.state() == KafkaStreams.State.RUNNING
                    && second.state() == KafkaStreams.State.RUNNING);
            write(LATER);
            awaitCounts(counted(List.of(FIRST, LATER)));
        } finally {
            end(first);
            end(second);
            Utils.delete(one.toFile());
            Utils.delete(two.toFile());
        }
    }
}
