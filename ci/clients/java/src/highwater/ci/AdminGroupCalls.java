package highwater.ci;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.ClassicGroupDescription;
import org.apache.kafka.clients.admin.ConsumerGroupDescription;
import org.apache.kafka.clients.admin.DescribeConsumerGroupsOptions;
import org.apache.kafka.clients.admin.GroupListing;
import org.apache.kafka.clients.admin.ListConsumerGroupOffsetsSpec;
import org.apache.kafka.clients.admin.ListGroupsOptions;
import org.apache.kafka.clients.admin.MemberDescription;
import org.apache.kafka.clients.admin.MemberToRemove;
import org.apache.kafka.clients.admin.RemoveMembersFromConsumerGroupOptions;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.GroupState;
import org.apache.kafka.common.GroupType;
import org.apache.kafka.common.TopicPartition;

/** Groups: one empty, one at work with a static member, some that do not exist. */
final class AdminGroupCalls {
    private final AdminAnswers to;
    private final Admin admin;
    private final String empty;
    private final String working;
    private final String unknown;

    AdminGroupCalls(AdminAnswers to) {
        this.to = to;
        admin = to.admin;
        empty = to.topic("empty-group");
        working = to.topic("working-group");
        unknown = to.topic("unknown-group");
    }

    void ask() throws Exception {
        try (var consumer = to.consumer(empty, Map.of())) {
            consumer.subscribe(List.of(to.topic("full")));
            to.poll(consumer, 30);
            consumer.commitSync();
        }
        try (var consumer = to.consumer(working, Map.of("group.instance.id", "a-name", "client.id", "a-client",
                "partition.assignment.strategy", "org.apache.kafka.clients.consumer.RangeAssignor"))) {
            consumer.subscribe(List.of(to.topic("full")));
            to.poll(consumer, 30);
            consumer.commitSync();
            list();
            describe();
            offsets();
            alterOffsets();
            deleteOffsets();
            delete();
        }
        removeMembers();
        afterwards();
    }

    private Map<String, Object> mine(Iterable<GroupListing> all) {
        Map<String, Object> found = new TreeMap<>();
        for (GroupListing one : all) {
            if (one.groupId().startsWith(to.tag)) {
                found.put(one.groupId(), List.of(to.plain(one.type()), to.plain(one.groupState()), one.protocol(),
                        one.isSimpleConsumerGroup()));
            }
        }
        return found;
    }

    private void list() {
        to.call("listGroups");
        to.answer("all", admin.listGroups().valid(), this::mine);
        to.answer("errors", admin.listGroups().errors(), all -> all.size());
        for (GroupState state : List.of(GroupState.STABLE, GroupState.EMPTY, GroupState.DEAD)) {
            to.answer("in state " + state, admin.listGroups(new ListGroupsOptions().inGroupStates(Set.of(state))).valid(), this::mine);
        }
        for (GroupType type : List.of(GroupType.CLASSIC, GroupType.CONSUMER, GroupType.SHARE)) {
            to.answer("of type " + type, admin.listGroups(new ListGroupsOptions().withTypes(Set.of(type))).valid(), this::mine);
        }
        to.answer("of protocol type consumer",
                admin.listGroups(new ListGroupsOptions().withProtocolTypes(Set.of("consumer"))).valid(), this::mine);
    }

    private static String shown(MemberDescription member) {
        String id = member.consumerId();
        return String.join(" ", id.substring(0, Math.max(0, id.length() - 36)) + "UUID", member.groupInstanceId().orElse("none"),
                member.clientId(), member.host(), new TreeSet<>(member.assignment().topicPartitions().stream()
                        .map(TopicPartition::toString).toList()).toString());
    }

    private Map<String, Object> shown(ConsumerGroupDescription group) {
        Map<String, Object> fields = new TreeMap<>();
        fields.put("id", group.groupId());
        fields.put("simple", group.isSimpleConsumerGroup());
        fields.put("assignor", group.partitionAssignor());
        fields.put("type and state", group.type() + " " + group.groupState());
        fields.put("coordinator", group.coordinator());
        fields.put("operations", group.authorizedOperations() == null ? "none" : new TreeSet<>(group.authorizedOperations()));
        fields.put("epochs", group.groupEpoch() + " " + group.targetAssignmentEpoch());
        fields.put("members", group.members().stream().map(AdminGroupCalls::shown).toList());
        return fields;
    }

    private Map<String, Object> shown(ClassicGroupDescription group) {
        Map<String, Object> fields = new TreeMap<>();
        fields.put("protocol", group.protocol() + " " + group.protocolData());
        fields.put("simple", group.isSimpleConsumerGroup());
        fields.put("state", group.state());
        fields.put("coordinator", group.coordinator());
        fields.put("members", group.members().stream().map(AdminGroupCalls::shown).toList());
        return fields;
    }

    private void describe() {
        List<String> names = List.of(empty, working, unknown, to.topic("first-group"), "");
        to.call("describeConsumerGroups");
        admin.describeConsumerGroups(names, new DescribeConsumerGroupsOptions().includeAuthorizedOperations(true))
                .describedGroups().forEach((name, future) -> to.answer(to.plain(name), future, this::shown));
        to.call("describeClassicGroups");
        admin.describeClassicGroups(names).describedGroups()
                .forEach((name, future) -> to.answer(to.plain(name), future, this::shown));
    }

    private static Map<String, Object> shown(Map<TopicPartition, OffsetAndMetadata> offsets) {
        Map<String, Object> fields = new TreeMap<>();
        offsets.forEach((partition, found) -> fields.put(partition.toString(), found == null ? "null"
                : found.offset() + " '" + found.metadata() + "' " + (found.leaderEpoch().isPresent() ? "epoch" : "no epoch")));
        return fields;
    }

    private void offsets() {
        to.call("listConsumerGroupOffsets");
        for (String group : List.of(empty, working, unknown, to.topic("first-group"))) {
            to.answer(to.plain(group), admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata(group), AdminGroupCalls::shown);
            List<TopicPartition> some = List.of(to.partition("full", 1), to.partition("small", 0), to.partition("unknown", 0),
                    to.partition("full", 99));
            var spec = Map.of(group, new ListConsumerGroupOffsetsSpec().topicPartitions(some));
            to.answer(to.plain(group) + ", some", admin.listConsumerGroupOffsets(spec).partitionsToOffsetAndMetadata(group),
                    AdminGroupCalls::shown);
        }
    }

    private void alter(String field, String group, TopicPartition partition, OffsetAndMetadata offset) {
        to.ask(field, () -> admin.alterConsumerGroupOffsets(group, Map.of(partition, offset)).partitionResult(partition),
                done -> "done");
    }

    private void alterOffsets() {
        to.call("alterConsumerGroupOffsets");
        TopicPartition partition = to.partition("full", 0);
        alter("of an empty group", empty, partition, new OffsetAndMetadata(3, "three"));
        alter("of a new group", to.topic("made-group"), partition, new OffsetAndMetadata(3));
        alter("of a group at work", working, partition, new OffsetAndMetadata(3));
        alter("of an unknown topic", empty, to.partition("unknown", 0), new OffsetAndMetadata(3));
        alter("of an unknown partition", empty, to.partition("full", 99), new OffsetAndMetadata(3));
        alter("beyond the end", empty, to.partition("full", 1), new OffsetAndMetadata(1_000_000));
        alter("with large metadata", empty, partition, new OffsetAndMetadata(3, "x".repeat(5000)));
        alter("of a group without a name", "", partition, new OffsetAndMetadata(3));
        to.answer("after", admin.listConsumerGroupOffsets(empty).partitionsToOffsetAndMetadata(empty), AdminGroupCalls::shown);
    }

    private void deleteOffsets() {
        to.call("deleteConsumerGroupOffsets");
        for (String group : List.of(empty, working, unknown)) {
            List<TopicPartition> both = List.of(to.partition("full", 2), to.partition("unknown", 0));
            var asked = admin.deleteConsumerGroupOffsets(group, Set.copyOf(both));
            for (TopicPartition one : both) {
                to.answer(to.plain(group) + " " + to.plain(one), asked.partitionResult(one), done -> "done");
            }
        }
        to.answer("after", admin.listConsumerGroupOffsets(empty).partitionsToOffsetAndMetadata(empty), AdminGroupCalls::shown);
    }

    private void delete() {
        to.call("deleteConsumerGroups");
        List<String> names = new ArrayList<>(List.of(working, unknown, to.topic("made-group"), ""));
        admin.deleteConsumerGroups(names).deletedGroups()
                .forEach((name, future) -> to.answer(to.plain(name), future, done -> "done"));
    }

    private void removeMembers() throws Exception {
        to.call("removeMembersFromConsumerGroup");
        for (MemberToRemove member : List.of(new MemberToRemove("nobody"), new MemberToRemove("a-name"))) {
            var asked = admin.removeMembersFromConsumerGroup(working, new RemoveMembersFromConsumerGroupOptions(Set.of(member)));
            to.answer(member.groupInstanceId(), asked.memberResult(member), done -> "done");
        }
        to.answer("all of an unknown group", admin.removeMembersFromConsumerGroup(unknown,
                new RemoveMembersFromConsumerGroupOptions()).all(), done -> "done");
        to.answer("all of an empty group", admin.removeMembersFromConsumerGroup(empty,
                new RemoveMembersFromConsumerGroupOptions()).all(), done -> "done");
    }

    private void afterwards() {
        to.call("groups afterwards");
        to.answer("listed", admin.listGroups().valid(), this::mine);
        to.answer("described", admin.describeConsumerGroups(List.of(working)).describedGroups().get(working), this::shown);
    }
}
