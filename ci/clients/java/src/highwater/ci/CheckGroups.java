package highwater.ci;

import static highwater.ci.Facts.LIMIT;
import static highwater.ci.Facts.await;
import static highwater.ci.Facts.fresh;
import static highwater.ci.Facts.get;
import static highwater.ci.Facts.holds;
import static highwater.ci.Facts.refused;
import static highwater.ci.Facts.same;

import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.CompletableFuture;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.CooperativeStickyAssignor;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.NoOffsetForPartitionException;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.consumer.OffsetAndTimestamp;
import org.apache.kafka.clients.consumer.OffsetOutOfRangeException;
import org.apache.kafka.clients.consumer.RangeAssignor;
import org.apache.kafka.clients.consumer.RoundRobinAssignor;
import org.apache.kafka.clients.consumer.StickyAssignor;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.FencedInstanceIdException;
import org.apache.kafka.common.errors.InconsistentGroupProtocolException;
import org.apache.kafka.common.errors.InvalidSessionTimeoutException;
import org.apache.kafka.common.errors.OffsetMetadataTooLarge;

/** Kafka's Java consumer in groups: every assignor, static members, commits, seeking. CheckGroups HOST:PORT */
final class CheckGroups {
    private static final String ASSIGNOR = "partition.assignment.strategy";
    private static final Map<String, String> ASSIGNORS = new TreeMap<>(Map.of(
            "range", RangeAssignor.class.getName(),
            "roundrobin", RoundRobinAssignor.class.getName(),
            "sticky", StickyAssignor.class.getName(),
            "cooperative-sticky", CooperativeStickyAssignor.class.getName()));

    private final Broker broker;
    private final Facts facts = new Facts();

    private CheckGroups(String address) {
        broker = new Broker(address);
    }

    public static void main(String[] arguments) {
        CheckGroups program = new CheckGroups(arguments[0]);
        program.run();
        program.broker.close();
        program.facts.finish();
    }

    private void run() {
        for (String assignor : ASSIGNORS.keySet()) {
            facts.check("the Java client shares a topic by " + assignor + ", each record once",
                    () -> shares(assignor));
        }
        facts.check("roundrobin deals three members the partitions of t0..t3 in turn", this::roundRobinStory);
        facts.check("sticky leaves the survivors what they had and shares the rest", this::stickyStory);
        facts.check("members are changed over from range to roundrobin one by one", this::changesAssignor);
        facts.check("the assignor that every member knows is chosen", this::chosenByAll);
        facts.check("a member without a common assignor is refused", this::inconsistentProtocol);
        facts.check("a static member restarts without a rebalance", this::staticRestart);
        facts.check("a second static member of the same name fences the first", this::staticFence);
        facts.check("the partitions of a member that vanished go to the others", this::vanished);
        facts.check("more members than partitions: the others wait, and take over", this::moreMembers);
        facts.check("new partitions reach the group", this::newPartitions);
        facts.check("a pattern finds a topic that is created later", this::pattern);
        facts.check("every group reads every record", this::broadcast);
        facts.check("three groups in a chain", this::chain);
        facts.check("a commit is resumed from, with its metadata", this::resumes);
        facts.check("committed asynchronously, committed automatically", this::otherCommits);
        facts.check("a consumer without a group membership commits", this::standalone);
        facts.check("an unknown group has no offsets, and its consumer resets", this::resets);
        facts.check("seeks by offset and by time within a group", this::seeks);
        facts.check("metadata over the bound is refused", this::metadataTooLarge);
        facts.check("session timeouts outside the bounds are refused", this::sessionBounds);
    }

    private Member member(String group, String topic, String... settings) {
        return new Member(broker.address, group, List.of(topic.split(",")), pairs(settings));
    }

    private static Map<String, String> pairs(String... settings) {
        Map<String, String> pairs = new TreeMap<>();
        for (int index = 0; index < settings.length; index += 2) {
            pairs.put(settings[index], settings[index + 1]);
        }
        return pairs;
    }

    private static boolean sizesAre(Map<Member, Integer> sizes) throws Exception {
        for (Map.Entry<Member, Integer> entry : sizes.entrySet()) {
            if (entry.getKey().assigned().size() != entry.getValue()) {
                return false;
            }
        }
        return true;
    }

    /** Every record of the list came to one member of the group, once. */
    private static void onceEach(String what, List<String> expected, Member... members) throws Exception {
        await(what + ": " + expected.size() + " records", LIMIT, () -> {
            int count = 0;
            for (Member member : members) {
                member.assigned();
                count += member.records.size();
            }
            return count >= expected.size();
        });
        List<String> got = new ArrayList<>(Stream.of(members).flatMap(m -> m.values().stream()).sorted().toList());
        List<String> wanted = expected.stream().sorted().toList();
        same(what + ": number of records", wanted.size(), got.size());
        same(what, wanted, got);
    }

    private void shares(String assignor) throws Exception {
        String topic = broker.topic("groups-" + assignor, 4);
        String group = fresh("java-" + assignor);
        List<String> values = new ArrayList<>(broker.produce(topic, 4, 0, 1000));
        try (Member first = member(group, topic, ASSIGNOR, ASSIGNORS.get(assignor))) {
            await("alone it has all", LIMIT, () -> first.assigned().size() == 4);
            onceEach("alone", values, first);
            try (Member second = member(group, topic, ASSIGNOR, ASSIGNORS.get(assignor))) {
                await("two each", LIMIT, () -> sizesAre(Map.of(first, 2, second, 2)));
                Set<String> both = new TreeSet<>(first.assigned());
                both.addAll(second.assigned());
                same("together", 4, both.size());
                same("the first was told what it gave away", true,
                        first.events.stream().anyMatch(event -> event.startsWith("-")));
                values.addAll(broker.produce(topic, 4, 1000, 2000));
                onceEach("together", values, first, second);
                same("cooperative members keep what stays", assignor.startsWith("cooperative"),
                        first.events.stream().filter(event -> event.startsWith("-")).allMatch(
                                event -> event.chars().filter(c -> c == ',').count() == 1));
                second.close();
                await("alone again", LIMIT, () -> first.assigned().size() == 4);
                values.addAll(broker.produce(topic, 4, 2000, 2500));
                onceEach("after one left", values, first, second);
            }
        }
    }

    /** Four topics of two partitions and three members, as the textbooks draw it. */
    private void roundRobinStory() throws Exception {
        String topics = storyTopics();
        String group = fresh("java-story-roundrobin");
        String[] settings = {ASSIGNOR, RoundRobinAssignor.class.getName()};
        try (Member c0 = named(group, topics, "c0", settings); Member c1 = named(group, topics, "c1", settings);
                Member c2 = named(group, topics, "c2", settings)) {
            await("three members share", LIMIT, () -> sizesAre(Map.of(c0, 3, c1, 3, c2, 2)));
            same("c0", "t0p0 t1p1 t3p0", story(c0));
            same("c1", "t0p1 t2p0 t3p1", story(c1));
            same("c2", "t1p0 t2p1", story(c2));
            c1.close();
            await("two members share", LIMIT, () -> sizesAre(Map.of(c0, 4, c2, 4)));
            same("c0 later", "t0p0 t1p0 t2p0 t3p0", story(c0));
            same("c2 later", "t0p1 t1p1 t2p1 t3p1", story(c2));
        }
    }

    private void stickyStory() throws Exception {
        String topics = storyTopics();
        String group = fresh("java-story-sticky");
        String[] settings = {ASSIGNOR, StickyAssignor.class.getName()};
        try (Member c0 = named(group, topics, "c0", settings); Member c1 = named(group, topics, "c1", settings);
                Member c2 = named(group, topics, "c2", settings)) {
            await("three members share", LIMIT, () ->
                    sortedSizes(c0, c1, c2).equals(List.of(2, 3, 3)));
            Set<String> kept0 = Set.copyOf(c0.assigned());
            Set<String> kept2 = Set.copyOf(c2.assigned());
            c1.close();
            await("two members share", LIMIT, () -> sizesAre(Map.of(c0, 4, c2, 4)));
            holds("c0 kept " + kept0 + " in " + c0.assigned(), c0.assigned().containsAll(kept0));
            holds("c2 kept " + kept2 + " in " + c2.assigned(), c2.assigned().containsAll(kept2));
        }
    }

    private static List<Integer> sortedSizes(Member... members) throws Exception {
        List<Integer> sizes = new ArrayList<>();
        for (Member member : members) {
            sizes.add(member.assigned().size());
        }
        return sizes.stream().sorted().toList();
    }

    private String storyTopics() throws Exception {
        List<String> names = new ArrayList<>();
        for (int number = 0; number < 4; number++) {
            names.add(broker.topic("t" + number, 2));
        }
        return String.join(",", names);
    }

    private Member named(String group, String topics, String name, String... settings) {
        List<String> more = new ArrayList<>(Arrays.asList(settings));
        more.addAll(List.of("client.id", name));
        return member(group, topics, more.toArray(String[]::new));
    }

    /** {@code t0-123-4-1} is {@code t0p1}. */
    private static String story(Member member) throws Exception {
        return String.join(" ", member.assigned().stream()
                .map(name -> name.substring(0, 2) + "p" + name.charAt(name.length() - 1)).sorted().toList());
    }

    private void changesAssignor() throws Exception {
        String topic = broker.topic("groups-change", 4);
        String group = fresh("java-change");
        String range = RangeAssignor.class.getName();
        String roundRobin = RoundRobinAssignor.class.getName();
        try (Member first = member(group, topic, ASSIGNOR, range + "," + roundRobin)) {
            await("alone", LIMIT, () -> first.assigned().size() == 4);
            same("chosen", "range", assignor(group));
            try (Member second = member(group, topic, ASSIGNOR, roundRobin)) {
                await("two each", LIMIT, () -> sizesAre(Map.of(first, 2, second, 2)));
                same("chosen by all", "roundrobin", assignor(group));
            }
        }
    }

    private String assignor(String group) throws Exception {
        var described = broker.admin.describeConsumerGroups(List.of(group)).describedGroups().get(group);
        return get(described).partitionAssignor();
    }

    /** Two of three prefer sticky, but one does not know it. */
    private void chosenByAll() throws Exception {
        String topic = broker.topic("groups-chosen", 6);
        String group = fresh("java-chosen");
        String sticky = StickyAssignor.class.getName();
        String range = RangeAssignor.class.getName();
        try (Member one = member(group, topic, ASSIGNOR, sticky + "," + range);
                Member two = member(group, topic, ASSIGNOR, sticky + "," + range)) {
            await("three each", LIMIT, () -> sizesAre(Map.of(one, 3, two, 3)));
            same("the wish of both", "sticky", assignor(group));
            try (Member three = member(group, topic, ASSIGNOR, range)) {
                await("two each", LIMIT, () -> sizesAre(Map.of(one, 2, two, 2, three, 2)));
                same("what all know", "range", assignor(group));
            }
        }
    }

    private void inconsistentProtocol() throws Exception {
        String topic = broker.topic("groups-inconsistent", 2);
        String group = fresh("java-inconsistent");
        try (Member first = member(group, topic, ASSIGNOR, RangeAssignor.class.getName())) {
            await("alone", LIMIT, () -> first.assigned().size() == 2);
            try (Member other = member(group, topic, ASSIGNOR, RoundRobinAssignor.class.getName())) {
                Throwable error = await("an error", LIMIT, other::error);
                same("its kind", InconsistentGroupProtocolException.class, error.getClass());
            }
            same("the first was not disturbed", 2, first.assigned().size());
        }
    }

    private void staticRestart() throws Exception {
        String topic = broker.topic("groups-static", 4);
        String group = fresh("java-static");
        List<String> values = new ArrayList<>(broker.produce(topic, 4, 0, 400));
        try (Member first = member(group, topic, "group.instance.id", "one")) {
            Member second = member(group, topic, "group.instance.id", "two");
            await("two each", LIMIT, () -> sizesAre(Map.of(first, 2, second, 2)));
            onceEach("before", values, first, second);
            int generation = first.generation();
            Set<String> before = Set.copyOf(second.assigned());
            int told = first.events.size();
            second.close();
            try (Member again = member(group, topic, "group.instance.id", "two")) {
                await("it is back", LIMIT, () -> again.assigned().size() == 2);
                same("with what it had", before, again.assigned());
                same("in the same generation", generation, again.generation());
                values.addAll(broker.produce(topic, 4, 400, 800));
                onceEach("after", values, first, second, again);
                same("the other heard nothing of it", told, first.events.size());
                holds("its member id is a new one", !again.id().equals(second.id()));
            }
        }
    }

    private void staticFence() throws Exception {
        String topic = broker.topic("groups-fence", 2);
        String group = fresh("java-fence");
        try (Member first = member(group, topic, "group.instance.id", "only")) {
            await("it has all", LIMIT, () -> first.assigned().size() == 2);
            try (Member second = member(group, topic, "group.instance.id", "only")) {
                await("the second has all", LIMIT, () -> second.assigned().size() == 2);
                Throwable error = await("the first is told", LIMIT, first::error);
                same("its error", FencedInstanceIdException.class, error.getClass());
            }
        }
    }

    private void vanished() throws Exception {
        String topic = broker.topic("groups-vanished", 4);
        String group = fresh("java-vanished");
        String[] settings = {"session.timeout.ms", "6000"};
        try (Member stays = member(group, topic, settings)) {
            Member goes = member(group, topic, settings);
            await("two each", LIMIT, () -> sizesAre(Map.of(stays, 2, goes, 2)));
            goes.vanish();
            long gone = System.nanoTime();
            await("the other has all", LIMIT, () -> stays.assigned().size() == 4);
            long seconds = Duration.ofNanos(System.nanoTime() - gone).toSeconds();
            // From its last heartbeat, which is younger than the interval.
            holds("after the session timeout and not before: " + seconds + " s", seconds >= 5 && seconds < 30);
            List<String> values = broker.produce(topic, 4, 0, 100);
            onceEach("after", values, stays, goes);
        }
    }

    private void moreMembers() throws Exception {
        String topic = broker.topic("groups-more", 2);
        String group = fresh("java-more");
        List<Member> members = new ArrayList<>();
        try {
            for (int count = 0; count < 4; count++) {
                members.add(member(group, topic));
            }
            await("two work, two wait", LIMIT, () -> worker(members).size() == 2 && joined(members));
            List<String> values = new ArrayList<>(broker.produce(topic, 2, 0, 200));
            onceEach("two work", values, members.toArray(Member[]::new));
            for (Member working : worker(members)) {
                working.close();
            }
            List<Member> waiting = members.stream().filter(m -> m.records.isEmpty()).toList();
            same("waited", 2, waiting.size());
            await("the others work", LIMIT, () -> worker(waiting).size() == 2);
            values.addAll(broker.produce(topic, 2, 200, 400));
            onceEach("the others work", values, members.toArray(Member[]::new));
        } finally {
            for (Member member : members) {
                member.close();
            }
        }
    }

    private static List<Member> worker(List<Member> members) throws Exception {
        List<Member> found = new ArrayList<>();
        for (Member member : members) {
            if (!member.assigned().isEmpty()) {
                found.add(member);
            }
        }
        return found;
    }

    private static boolean joined(List<Member> members) {
        return members.stream().map(Member::generation).distinct().count() == 1
                && members.get(0).generation() > 0;
    }

    private void newPartitions() throws Exception {
        String topic = broker.topic("groups-grow", 1);
        String group = fresh("java-grow");
        try (Member member = member(group, topic, "metadata.max.age.ms", "500")) {
            await("one", LIMIT, () -> member.assigned().size() == 1);
            get(broker.admin.createPartitions(Map.of(topic, NewPartitions.increaseTo(3))).all());
            await("three", LIMIT, () -> member.assigned().size() == 3);
            onceEach("all three", broker.produce(topic, 3, 0, 90), member);
        }
    }

    private void pattern() throws Exception {
        String prefix = fresh("groups-pattern");
        String group = fresh("java-pattern");
        var settings = Member.settings(broker.address, group, Map.of("metadata.max.age.ms", "500"));
        try (KafkaConsumer<String, String> consumer = new KafkaConsumer<>(settings)) {
            consumer.subscribe(Pattern.compile(prefix + ".*"));
            consumer.poll(Duration.ofMillis(200));
            same("nothing yet", Set.of(), consumer.assignment());
            String topic = broker.topic(prefix, 2);
            List<String> values = broker.produce(topic, 2, 0, 20);
            Set<String> got = new TreeSet<>();
            await("its records", LIMIT, () -> {
                consumer.poll(Duration.ofMillis(100)).forEach(record -> got.add(record.value()));
                return got.size() == 20;
            });
            same("records", new TreeSet<>(values), got);
        }
    }

    private void broadcast() throws Exception {
        String topic = broker.topic("groups-broadcast", 3);
        List<String> values = broker.produce(topic, 3, 0, 300);
        try (Member one = member(fresh("java-broadcast-a"), topic); Member two = member(fresh("java-broadcast-b"), topic)) {
            onceEach("the first group", values, one);
            onceEach("the second group", values, two);
        }
        try (Member later = member(fresh("java-broadcast-c"), topic)) {
            onceEach("a group that comes later", values, later);
        }
    }

    /** The records of one group are the input of the next. */
    private void chain() throws Exception {
        List<String> topics = List.of(broker.topic("chain-a", 2), broker.topic("chain-b", 2), broker.topic("chain-c", 2));
        List<String> values = broker.produce(topics.get(0), 2, 0, 200);
        try (Member first = member(fresh("java-chain-a"), topics.get(0));
                Member second = member(fresh("java-chain-b"), topics.get(1));
                Member third = member(fresh("java-chain-c"), topics.get(2));
                var producer = broker.producer(Map.of())) {
            onceEach("the first link", values, first);
            pass(producer, first, topics.get(1));
            onceEach("the second link", values, second);
            pass(producer, second, topics.get(2));
            onceEach("the third link", values, third);
        }
    }

    private static void pass(org.apache.kafka.clients.producer.KafkaProducer<String, String> producer, Member from,
            String to) {
        for (ConsumerRecord<String, String> record : from.records) {
            producer.send(new org.apache.kafka.clients.producer.ProducerRecord<>(to, record.key(), record.value()));
        }
        producer.flush();
    }

    private KafkaConsumer<String, String> consumer(String group, String... settings) {
        return new KafkaConsumer<>(Member.settings(broker.address, group, pairs(settings)));
    }

    private static List<ConsumerRecord<String, String>> take(KafkaConsumer<String, String> consumer, int count)
            throws Exception {
        List<ConsumerRecord<String, String>> taken = new ArrayList<>();
        await(count + " records", LIMIT, () -> {
            consumer.poll(Duration.ofMillis(100)).forEach(taken::add);
            return taken.size() >= count;
        });
        return taken;
    }

    private void resumes() throws Exception {
        String topic = broker.topic("groups-resume", 1);
        String group = fresh("java-resume");
        TopicPartition partition = new TopicPartition(topic, 0);
        broker.produce(topic, 1, 0, 100);
        try (KafkaConsumer<String, String> consumer = consumer(group, "max.poll.records", "10")) {
            consumer.subscribe(List.of(topic));
            take(consumer, 10);
            consumer.commitSync(Map.of(partition, new OffsetAndMetadata(42, "half way")), LIMIT);
            OffsetAndMetadata committed = consumer.committed(Set.of(partition), LIMIT).get(partition);
            same("committed", "42 half way", committed.offset() + " " + committed.metadata());
        }
        try (KafkaConsumer<String, String> consumer = consumer(group)) {
            consumer.subscribe(List.of(topic));
            List<ConsumerRecord<String, String>> rest = take(consumer, 58);
            same("resumed at", 42L, rest.get(0).offset());
            same("the rest", 58, rest.size());
            consumer.commitSync(LIMIT);
            same("next to read", 100L, consumer.committed(Set.of(partition), LIMIT).get(partition).offset());
        }
    }

    private void otherCommits() throws Exception {
        String topic = broker.topic("groups-commits", 1);
        TopicPartition partition = new TopicPartition(topic, 0);
        broker.produce(topic, 1, 0, 50);
        try (KafkaConsumer<String, String> consumer = consumer(fresh("java-async"))) {
            consumer.subscribe(List.of(topic));
            take(consumer, 50);
            CompletableFuture<Long> told = new CompletableFuture<>();
            consumer.commitAsync((offsets, error) -> {
                if (error != null) {
                    told.completeExceptionally(error);
                } else {
                    told.complete(offsets.get(partition).offset());
                }
            });
            await("the callback", LIMIT, () -> {
                consumer.poll(Duration.ofMillis(50));
                return told.isDone();
            });
            same("the callback's offset", 50L, get(told));
        }
        String automatic = fresh("java-auto");
        String[] settings = {"enable.auto.commit", "true", "auto.commit.interval.ms", "100"};
        try (KafkaConsumer<String, String> consumer = consumer(automatic, settings)) {
            consumer.subscribe(List.of(topic));
            take(consumer, 50);
            await("committed by itself", LIMIT, () -> {
                consumer.poll(Duration.ofMillis(20));
                OffsetAndMetadata found = consumer.committed(Set.of(partition), LIMIT).get(partition);
                return found != null && found.offset() == 50;
            });
        }
    }

    private void standalone() throws Exception {
        String topic = broker.topic("groups-standalone", 1);
        String group = fresh("java-standalone");
        TopicPartition partition = new TopicPartition(topic, 0);
        broker.produce(topic, 1, 0, 20);
        try (KafkaConsumer<String, String> consumer = consumer(group)) {
            consumer.assign(List.of(partition));
            consumer.seekToBeginning(List.of(partition));
            take(consumer, 20);
            consumer.commitSync(Map.of(partition, new OffsetAndMetadata(7)), LIMIT);
        }
        try (KafkaConsumer<String, String> consumer = consumer(group)) {
            consumer.assign(List.of(partition));
            same("resumed at", 7L, take(consumer, 13).get(0).offset());
        }
    }

    private void resets() throws Exception {
        String topic = broker.topic("groups-resets", 1);
        TopicPartition partition = new TopicPartition(topic, 0);
        broker.produce(topic, 1, 0, 10);
        try (KafkaConsumer<String, String> consumer = consumer(fresh("java-none"), "auto.offset.reset", "none")) {
            Map<TopicPartition, OffsetAndMetadata> found = consumer.committed(Set.of(partition), LIMIT);
            same("committed by nobody", null, found.get(partition));
            consumer.subscribe(List.of(topic));
            refused(NoOffsetForPartitionException.class, () -> take(consumer, 1));
        }
        try (KafkaConsumer<String, String> consumer = consumer(fresh("java-latest"), "auto.offset.reset", "latest")) {
            consumer.subscribe(List.of(topic));
            await("assigned", LIMIT, () -> {
                consumer.poll(Duration.ofMillis(50));
                return !consumer.assignment().isEmpty();
            });
            same("the end", 10L, consumer.position(partition, LIMIT));
            broker.produce(topic, 1, 10, 11);
            same("what came after", 10L, take(consumer, 1).get(0).offset());
        }
        try (KafkaConsumer<String, String> consumer = consumer(fresh("java-range"), "auto.offset.reset", "none")) {
            consumer.assign(List.of(partition));
            consumer.seek(partition, 12);
            refused(OffsetOutOfRangeException.class, () -> take(consumer, 1));
        }
    }

    private void seeks() throws Exception {
        String topic = broker.topic("groups-seek", 1);
        TopicPartition partition = new TopicPartition(topic, 0);
        long base = System.currentTimeMillis() - 3_600_000;
        try (var producer = broker.producer(Map.of("compression.type", "zstd"))) {
            for (int number = 0; number < 100; number++) {
                producer.send(new org.apache.kafka.clients.producer.ProducerRecord<>(topic, 0, base + 10L * number,
                        "k", "v" + number));
            }
        }
        try (KafkaConsumer<String, String> consumer = consumer(fresh("java-seek"))) {
            consumer.subscribe(List.of(topic));
            take(consumer, 100);
            consumer.seek(partition, 57);
            same("by offset", "v57", take(consumer, 1).get(0).value());
            OffsetAndTimestamp found = consumer.offsetsForTimes(Map.of(partition, base + 331), LIMIT).get(partition);
            same("found by time", "34 " + (base + 340), found.offset() + " " + found.timestamp());
            consumer.seek(partition, found.offset());
            same("by time", "v34", take(consumer, 1).get(0).value());
            consumer.seekToBeginning(List.of(partition));
            same("the beginning", "v0", take(consumer, 1).get(0).value());
            consumer.seekToEnd(List.of(partition));
            same("the end", 100L, consumer.position(partition, LIMIT));
        }
    }

    private void metadataTooLarge() throws Exception {
        String topic = broker.topic("groups-metadata", 1);
        TopicPartition partition = new TopicPartition(topic, 0);
        try (KafkaConsumer<String, String> consumer = consumer(fresh("java-metadata"))) {
            consumer.assign(List.of(partition));
            consumer.commitSync(Map.of(partition, new OffsetAndMetadata(0, "x".repeat(4096))), LIMIT);
            refused(OffsetMetadataTooLarge.class, () ->
                    consumer.commitSync(Map.of(partition, new OffsetAndMetadata(0, "x".repeat(4097))), LIMIT));
        }
    }

    private void sessionBounds() throws Exception {
        String topic = broker.topic("groups-bounds", 1);
        for (String milliseconds : List.of("5999", "1800001")) {
            try (KafkaConsumer<String, String> consumer = consumer(fresh("java-bounds"), "session.timeout.ms",
                    milliseconds, "request.timeout.ms", "2000000", "max.poll.interval.ms", "1900000")) {
                consumer.subscribe(List.of(topic));
                refused(InvalidSessionTimeoutException.class, () -> take(consumer, 1));
            }
        }
    }
}
