package highwater.ci;

import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.TreeSet;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.CreatePartitionsOptions;
import org.apache.kafka.clients.admin.CreateTopicsOptions;
import org.apache.kafka.clients.admin.CreateTopicsResult;
import org.apache.kafka.clients.admin.DescribeTopicsOptions;
import org.apache.kafka.clients.admin.ListOffsetsOptions;
import org.apache.kafka.clients.admin.ListOffsetsResult.ListOffsetsResultInfo;
import org.apache.kafka.clients.admin.ListTopicsOptions;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.RecordsToDelete;
import org.apache.kafka.common.ElectionType;
import org.apache.kafka.common.IsolationLevel;
import org.apache.kafka.common.TopicCollection;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.Uuid;

/** Topics, partitions and records. */
final class AdminTopicCalls {
    private final AdminAnswers to;
    private final Admin admin;

    AdminTopicCalls(AdminAnswers to) {
        this.to = to;
        admin = to.admin;
    }

    void ask() {
        to.attempt(this::createTopics);
        to.attempt(this::describeTopics);
        to.attempt(this::createPartitions);
        to.attempt(this::listOffsets);
        to.attempt(this::deleteRecords);
        to.attempt(this::elections);
        to.attempt(this::deleteTopics);
    }

    private void create(String field, NewTopic topic, boolean validateOnly) {
        CreateTopicsResult result = admin.createTopics(List.of(topic), new CreateTopicsOptions().validateOnly(validateOnly));
        to.answer(field, result.values().get(topic.name()), done -> "done");
        to.answer(field + " partitions", result.numPartitions(topic.name()));
        to.answer(field + " replicas", result.replicationFactor(topic.name()));
        // Two of them stand for all: there are some two hundred fields.
        if (field.equals("plain") || field.equals("with settings")) {
            to.answer(field + " config", result.config(topic.name()), AdminAnswers::configFields);
        }
        to.answer(field + " id", result.topicId(topic.name()), id -> id.equals(Uuid.ZERO_UUID) ? "zero" : "given");
    }

    private NewTopic named(String name, int partitions, int replicas) {
        return new NewTopic(to.topic(name), partitions, (short) replicas);
    }

    private void createTopics() {
        to.call("createTopics");
        create("plain", named("plain", 2, 1), false);
        create("defaults", named("defaults", -1, -1), false);
        create("again", named("plain", 2, 1), false);
        create("validated", named("validated", 4, 1), true);
        create("with settings", named("settings", 1, 1).configs(Map.of("segment.bytes", "2097152")), false);
        create("assigned", new NewTopic(to.topic("assigned"), Map.of(0, List.of(to.node), 1, List.of(to.node))), false);
        to.call("createTopics, refused");
        create("no partitions", named("zero", 0, 1), false);
        create("three replicas", named("three", 1, 3), false);
        create("a bad name", new NewTopic(to.tag + " with spaces", 1, (short) 1), false);
        create("a dot for a name", new NewTopic(".", 1, (short) 1), false);
        create("a long name", new NewTopic("x".repeat(250), 1, (short) 1), false);
        create("an unknown setting", named("unknown", 1, 1).configs(Map.of("no.such", "1")), false);
        create("a bad value", named("bad", 1, 1).configs(Map.of("retention.ms", "soon")), false);
        create("a value out of bounds", named("bounds", 1, 1).configs(Map.of("min.cleanable.dirty.ratio", "2")), false);
        Map<String, String> none = new HashMap<>();
        none.put("retention.ms", null);
        create("a null value", named("null", 1, 1).configs(none), false);
        create("an unknown broker", new NewTopic(to.topic("nowhere"), Map.of(0, List.of(4711))), false);
        create("a broker twice", new NewTopic(to.topic("twice"), Map.of(0, List.of(to.node, to.node))), false);
        create("a gap", new NewTopic(to.topic("gap"), Map.of(0, List.of(to.node), 2, List.of(to.node))), false);
        create("no replicas", new NewTopic(to.topic("empty"), Map.of(0, List.of())), false);
    }

    private void describeTopics() throws Exception {
        to.call("listTopics");
        to.answer("ours", admin.listTopics(new ListTopicsOptions().listInternal(true)).listings(), all -> {
            Map<String, Object> found = new TreeMap<>();
            all.stream().filter(topic -> topic.name().startsWith(to.tag)).forEach(topic -> found.put(topic.name(), topic.isInternal()));
            return found;
        });
        to.call("describeTopics");
        DescribeTopicsOptions options = new DescribeTopicsOptions().includeAuthorizedOperations(true);
        List<String> names = List.of(to.topic("full"), to.topic("assigned"), to.topic("unknown"), "bad name!", "");
        admin.describeTopics(names, options).topicNameValues()
                .forEach((name, future) -> to.answer(to.plain(name), future, to::topicFields));
        Uuid id = Facts.get(admin.describeTopics(List.of(to.topic("full"))).topicNameValues().get(to.topic("full"))).topicId();
        Uuid unknown = new Uuid(1, 2);
        var byId = admin.describeTopics(TopicCollection.ofTopicIds(List.of(id, unknown))).topicIdValues();
        to.answer("by id", byId.get(id), to::topicFields);
        to.answer("by an unknown id", byId.get(unknown), to::topicFields);
        to.call("describe the offsets topic");
        Facts.await("there is one", Facts.LIMIT, () -> {
            try (var consumer = to.consumer(to.topic("first-group"), Map.of())) {
                consumer.assign(List.of(to.partition("small", 0)));
                consumer.commitSync(Map.of(to.partition("small", 0), new org.apache.kafka.clients.consumer.OffsetAndMetadata(1)));
            }
            return true;
        });
        to.answer("internal", admin.describeTopics(List.of("__consumer_offsets")).topicNameValues().get("__consumer_offsets"),
                topic -> topic.isInternal());
        to.answer("settings", admin.describeConfigs(List.of(to.topicResource("__consumer_offsets"))).values()
                .get(to.topicResource("__consumer_offsets")), AdminAnswers::configFields);
    }

    private void grow(String field, String topic, NewPartitions partitions, boolean validateOnly) {
        var options = new CreatePartitionsOptions().validateOnly(validateOnly);
        to.answer(field, admin.createPartitions(Map.of(topic, partitions), options).values().get(topic), done -> "done");
    }

    private void createPartitions() throws Exception {
        to.call("createPartitions");
        String topic = to.topic("plain");
        grow("validated", topic, NewPartitions.increaseTo(7), true);
        grow("grown", topic, NewPartitions.increaseTo(3), false);
        grow("assigned", topic, NewPartitions.increaseTo(4, List.of(List.of(to.node))), false);
        grow("the same", topic, NewPartitions.increaseTo(4), false);
        grow("fewer", topic, NewPartitions.increaseTo(2), false);
        grow("none", topic, NewPartitions.increaseTo(0), false);
        grow("too few assignments", topic, NewPartitions.increaseTo(7, List.of(List.of(to.node))), false);
        grow("an unknown broker", topic, NewPartitions.increaseTo(5, List.of(List.of(4711))), false);
        grow("two replicas of one", topic, NewPartitions.increaseTo(5, List.of(List.of(to.node, to.node))), false);
        grow("an unknown topic", to.topic("unknown"), NewPartitions.increaseTo(3), false);
        Facts.await("four partitions", Facts.LIMIT, () -> Facts.get(
                admin.describeTopics(List.of(topic)).topicNameValues().get(topic)).partitions().size() == 4);
        to.answer("after", admin.describeTopics(List.of(topic)).topicNameValues().get(topic), to::topicFields);
    }

    private static String shown(ListOffsetsResultInfo found) {
        return found.offset() + " at " + found.timestamp() + " epoch " + found.leaderEpoch().map(epoch -> "some").orElse("none");
    }

    private void listOffsets() {
        to.call("listOffsets");
        Map<String, OffsetSpec> specs = new TreeMap<>(Map.of("earliest", OffsetSpec.earliest(), "latest", OffsetSpec.latest(),
                "max timestamp", OffsetSpec.maxTimestamp(), "at a time", OffsetSpec.forTimestamp(1_700_000_000_015L),
                "after all", OffsetSpec.forTimestamp(4_000_000_000_000L), "earliest local", OffsetSpec.earliestLocal(),
                "latest tiered", OffsetSpec.latestTiered()));
        for (IsolationLevel isolation : IsolationLevel.values()) {
            for (var spec : specs.entrySet()) {
                for (int number = 0; number < 3; number++) {
                    TopicPartition partition = to.partition("full", number);
                    var asked = admin.listOffsets(Map.of(partition, spec.getValue()), new ListOffsetsOptions(isolation));
                    to.answer(spec.getKey() + " " + isolation + " " + number, asked.partitionResult(partition), AdminTopicCalls::shown);
                }
            }
        }
    }

    private void delete(String field, TopicPartition partition, long offset) {
        var asked = admin.deleteRecords(Map.of(partition, RecordsToDelete.beforeOffset(offset)));
        to.answer(field, asked.lowWatermarks().get(partition), deleted -> deleted.lowWatermark());
    }

    private void deleteRecords() {
        to.call("deleteRecords");
        TopicPartition partition = to.partition("small", 0);
        delete("up to 4", partition, 4);
        delete("up to 2, which is gone", partition, 2);
        delete("beyond the end", partition, 11);
        delete("a negative offset", partition, -2);
        delete("up to the end", partition, -1);
        delete("of a compacted topic", to.partition("compacted", 0), 1);
        var earliest = admin.listOffsets(Map.of(partition, OffsetSpec.earliest())).partitionResult(partition);
        to.answer("earliest after", earliest, AdminTopicCalls::shown);
    }

    private void elections() {
        to.call("electLeaders");
        TopicPartition known = to.partition("full", 0);
        TopicPartition unknown = to.partition("unknown", 0);
        for (ElectionType type : ElectionType.values()) {
            to.answer(type.toString(), admin.electLeaders(type, java.util.Set.of(known, unknown)).partitions(), answers -> {
                Map<String, Object> shown = new TreeMap<>();
                answers.forEach((one, error) -> shown.put(one.toString(),
                        error.map(thrown -> "error " + thrown.getClass().getSimpleName()).orElse("elected")));
                return shown;
            });
        }
        to.call("partition reassignments");
        to.answer("going on", admin.listPartitionReassignments().reassignments(), all -> all.size());
        to.answer("of a topic", admin.listPartitionReassignments(java.util.Set.of(known)).reassignments(), all -> all.size());
        reassign("to where it is", known, List.of(to.node));
        reassign("to an unknown broker", known, List.of(4711));
        reassign("of an unknown topic", unknown, List.of(to.node));
        reassign("cancelled", known, null);
    }

    private void reassign(String field, TopicPartition partition, List<Integer> brokers) {
        var wish = java.util.Optional.ofNullable(brokers)
                .map(org.apache.kafka.clients.admin.NewPartitionReassignment::new);
        to.answer(field, admin.alterPartitionReassignments(Map.of(partition, wish)).values().get(partition), done -> "done");
    }

    private void deleteTopics() throws Exception {
        to.call("deleteTopics");
        List<String> names = List.of(to.topic("plain"), to.topic("unknown"));
        admin.deleteTopics(names).topicNameValues()
                .forEach((name, future) -> to.answer(to.plain(name), future, done -> "done"));
        Uuid id = Facts.get(admin.describeTopics(List.of(to.topic("assigned"))).topicNameValues().get(to.topic("assigned"))).topicId();
        Uuid unknown = new Uuid(1, 2);
        var byId = admin.deleteTopics(TopicCollection.ofTopicIds(List.of(id, unknown))).topicIdValues();
        to.answer("by id", byId.get(id), done -> "done");
        to.answer("by an unknown id", byId.get(unknown), done -> "done");
        Facts.await("they are gone", Facts.LIMIT, () -> {
            var left = new TreeSet<>(Facts.get(admin.listTopics().names()));
            return !left.contains(to.topic("plain")) && !left.contains(to.topic("assigned"));
        });
    }
}
