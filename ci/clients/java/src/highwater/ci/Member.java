package highwater.ci;

import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicReference;
import org.apache.kafka.clients.consumer.CloseOptions;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.RebalanceInProgressException;
import org.apache.kafka.common.serialization.StringDeserializer;

/**
 * A member of a group on a thread of its own: polls, keeps what came, commits after each poll and before a
 * partition is taken away, so that within a group every record comes once.
 */
final class Member implements AutoCloseable {
    private static final Duration POLL = Duration.ofMillis(100);

    final List<ConsumerRecord<String, String>> records = new CopyOnWriteArrayList<>();
    /** {@code +} and {@code -} with partitions, in the order of the listener's calls. */
    final List<String> events = new CopyOnWriteArrayList<>();

    private final KafkaConsumer<String, String> consumer;
    private final Thread thread;
    private final AtomicReference<Set<String>> assigned = new AtomicReference<>(Set.of());
    private volatile int generation = -1;
    private volatile String id = "";
    private volatile Throwable error;
    private volatile boolean ending;
    private volatile boolean silently;

    Member(String broker, String group, Collection<String> topics, Map<String, String> settings) {
        consumer = new KafkaConsumer<>(settings(broker, group, settings));
        consumer.subscribe(topics, new Listener());
        thread = new Thread(this::live, "member");
        thread.setDaemon(true);
        thread.start();
    }

    static Properties settings(String broker, String group, Map<String, String> more) {
        Properties settings = new Properties();
        settings.put("bootstrap.servers", broker);
        settings.put("group.id", group);
        settings.put("key.deserializer", StringDeserializer.class.getName());
        settings.put("value.deserializer", StringDeserializer.class.getName());
        settings.put("auto.offset.reset", "earliest");
        settings.put("enable.auto.commit", "false");
        settings.put("heartbeat.interval.ms", "300");
        settings.put("fetch.max.wait.ms", "100");
        settings.putAll(more);
        return settings;
    }

    private void live() {
        try {
            while (!ending) {
                for (ConsumerRecord<String, String> record : consumer.poll(POLL)) {
                    records.add(record);
                }
                remember();
                commit();
            }
        } catch (Throwable failure) {
            error = failure;
        } finally {
            end();
        }
    }

    private void end() {
        var operation = silently
                ? CloseOptions.GroupMembershipOperation.REMAIN_IN_GROUP
                : CloseOptions.GroupMembershipOperation.DEFAULT;
        try {
            consumer.close(CloseOptions.groupMembershipOperation(operation).withTimeout(Duration.ofSeconds(10)));
        } catch (RuntimeException failure) {
            // A member that was fenced cannot commit on its way out.
            if (error == null) {
                error = failure;
            }
        }
    }

    private void remember() {
        assigned.set(names(consumer.assignment()));
        generation = consumer.groupMetadata().generationId();
        id = consumer.groupMetadata().memberId();
    }

    /** While a generation is being made the next poll, or the revocation, is the time to commit. */
    private void commit() {
        try {
            consumer.commitSync();
        } catch (RebalanceInProgressException later) {
            // Nothing is lost: what was polled stays uncommitted until then.
        }
    }

    /** The partitions that it has now, as {@code topic-partition}. */
    Set<String> assigned() throws Exception {
        if (error != null) {
            throw new AssertionError("a member died: " + error, error);
        }
        return assigned.get();
    }

    int generation() {
        return generation;
    }

    String id() {
        return id;
    }

    Throwable error() {
        return error;
    }

    List<String> values() {
        List<String> values = new ArrayList<>();
        for (ConsumerRecord<String, String> record : records) {
            values.add(record.value());
        }
        return values;
    }

    /** Leaves the group (a static member does not say so). */
    @Override
    public void close() throws InterruptedException {
        ending = true;
        thread.join(Facts.LIMIT.toMillis());
    }

    /** Ends without a word to the coordinator. */
    void vanish() throws InterruptedException {
        silently = true;
        close();
    }

    private static Set<String> names(Collection<TopicPartition> partitions) {
        Set<String> names = new TreeSet<>();
        for (TopicPartition partition : partitions) {
            names.add(partition.toString());
        }
        return names;
    }

    private final class Listener implements ConsumerRebalanceListener {
        @Override
        public void onPartitionsRevoked(Collection<TopicPartition> partitions) {
            commit();
            events.add("-" + names(partitions));
        }

        @Override
        public void onPartitionsAssigned(Collection<TopicPartition> partitions) {
            events.add("+" + names(partitions));
        }

        @Override
        public void onPartitionsLost(Collection<TopicPartition> partitions) {
            events.add("!" + names(partitions));
        }
    }
}
