package highwater.ci;

import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.AlterConfigOp.OpType;
import org.apache.kafka.clients.admin.AlterConfigsOptions;
import org.apache.kafka.clients.admin.Config;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.DescribeConfigsOptions;
import org.apache.kafka.clients.admin.ListConfigResourcesOptions;
import org.apache.kafka.common.config.ConfigResource;

/** Settings of topics, brokers and groups. */
final class AdminConfigCalls {
    private final AdminAnswers to;
    private final Admin admin;

    AdminConfigCalls(AdminAnswers to) {
        this.to = to;
        admin = to.admin;
    }

    void ask() {
        to.attempt(this::describe);
        to.attempt(this::alterTopic);
        to.attempt(this::alterBroker);
        to.attempt(this::alterGroup);
        to.call("listConfigResources");
        for (ConfigResource.Type type : List.of(ConfigResource.Type.TOPIC, ConfigResource.Type.BROKER,
                ConfigResource.Type.CLIENT_METRICS, ConfigResource.Type.GROUP)) {
            to.answer(type.toString(), admin.listConfigResources(Set.of(type), new ListConfigResourcesOptions()).all(),
                    all -> all.stream().map(one -> one.name()).filter(this::ours).sorted().toList());
        }
    }

    private boolean ours(String name) {
        return name.startsWith(to.tag) || name.equals(String.valueOf(to.node)) || name.isEmpty();
    }

    private void describe(String field, ConfigResource resource) {
        var options = new DescribeConfigsOptions().includeSynonyms(true).includeDocumentation(true);
        to.ask(field, () -> admin.describeConfigs(List.of(resource), options).values().get(resource),
                AdminAnswers::configFields);
    }

    private void describe() {
        to.call("describeConfigs of a topic");
        describe("full", to.topicResource(to.topic("full")));
        describe("small", to.topicResource(to.topic("small")));
        to.call("describeConfigs of the broker");
        describe("broker", to.brokerResource(String.valueOf(to.node)));
        to.call("describeConfigs, other resources");
        describe("the brokers' defaults", to.brokerResource(""));
        describe("an unknown topic", to.topicResource(to.topic("unknown")));
        describe("a bad topic name", to.topicResource("no such/name"));
        describe("an unknown broker", to.brokerResource("4711"));
        describe("a broker's name", to.brokerResource("one"));
        describe("a group", new ConfigResource(ConfigResource.Type.GROUP, to.topic("group")));
        describe("a group without a name", new ConfigResource(ConfigResource.Type.GROUP, ""));
        describe("client metrics", new ConfigResource(ConfigResource.Type.CLIENT_METRICS, to.topic("metrics")));
    }

    private void alter(String field, ConfigResource resource, boolean validateOnly, AlterConfigOp... ops) {
        Collection<AlterConfigOp> many = List.of(ops);
        to.ask(field, () -> admin.incrementalAlterConfigs(Map.of(resource, many),
                new AlterConfigsOptions().validateOnly(validateOnly)).values().get(resource), done -> "done");
    }

    private static AlterConfigOp op(OpType type, String name, String value) {
        return new AlterConfigOp(new ConfigEntry(name, value), type);
    }

    /** What is set now, without the defaults. */
    private void shows(String field, ConfigResource resource) {
        to.answer(field, admin.describeConfigs(List.of(resource)).values().get(resource), AdminConfigCalls::changed);
    }

    private static Map<String, Object> changed(Config config) {
        Map<String, Object> fields = new TreeMap<>();
        for (ConfigEntry entry : config.entries()) {
            if (entry.source().name().startsWith("DYNAMIC")) {
                fields.put(entry.name(), entry.value() + " (" + entry.source() + ")");
            }
        }
        return fields;
    }

    private void awaitSetting(ConfigResource resource, String name, String value) throws Exception {
        Facts.await(name + " is " + value, Facts.LIMIT, () -> {
            Config config = Facts.get(admin.describeConfigs(List.of(resource)).values().get(resource));
            ConfigEntry entry = config.get(name);
            return entry != null && value.equals(entry.value());
        });
    }

    private void alterTopic() throws Exception {
        to.call("incrementalAlterConfigs of a topic");
        ConfigResource topic = to.topicResource(to.topic("full"));
        alter("validated", topic, true, op(OpType.SET, "retention.ms", "1000"));
        alter("set two", topic, false, op(OpType.SET, "retention.ms", "9000000000000"), op(OpType.SET, "max.message.bytes", "2000000"));
        alter("append", topic, false, op(OpType.APPEND, "cleanup.policy", "compact"));
        alter("append again", topic, false, op(OpType.APPEND, "cleanup.policy", "compact"));
        alter("subtract", topic, false, op(OpType.SUBTRACT, "cleanup.policy", "delete"));
        alter("subtract what is not there", topic, false, op(OpType.SUBTRACT, "cleanup.policy", "delete"));
        alter("delete", topic, false, op(OpType.DELETE, "max.message.bytes", null));
        alter("delete what is not set", topic, false, op(OpType.DELETE, "segment.ms", null));
        alter("a last one to wait for", topic, false, op(OpType.SET, "segment.bytes", "3145728"));
        awaitSetting(topic, "segment.bytes", "3145728");
        shows("now", topic);
        to.call("incrementalAlterConfigs of a topic, refused");
        alter("an unknown key", topic, false, op(OpType.SET, "no.such", "1"));
        alter("a word for a number", topic, false, op(OpType.SET, "retention.ms", "soon"));
        alter("out of bounds", topic, false, op(OpType.SET, "min.insync.replicas", "0"));
        alter("an unknown word", topic, false, op(OpType.SET, "cleanup.policy", "keep"));
        alter("an unknown codec", topic, false, op(OpType.SET, "compression.type", "brotli"));
        alter("append to a number", topic, false, op(OpType.APPEND, "retention.ms", "1"));
        alter("a key twice", topic, false, op(OpType.SET, "retention.ms", "1"), op(OpType.SET, "retention.ms", "2"));
        alter("a null value", topic, false, op(OpType.SET, "retention.ms", null));
        alter("one good and one bad", topic, false, op(OpType.SET, "retention.ms", "1"), op(OpType.SET, "no.such", "1"));
        alter("an unknown topic", to.topicResource(to.topic("unknown")), false, op(OpType.SET, "retention.ms", "1"));
        alter("a bad topic name", to.topicResource("no such/name"), false, op(OpType.SET, "retention.ms", "1"));
        shows("now", topic);
    }

    private void alterBroker() throws Exception {
        to.call("incrementalAlterConfigs of brokers");
        ConfigResource broker = to.brokerResource(String.valueOf(to.node));
        ConfigResource all = to.brokerResource("");
        alter("the brokers' default", all, false, op(OpType.SET, "log.retention.ms", "86400000"));
        alter("this broker", broker, false, op(OpType.SET, "log.segment.bytes", "536870912"));
        awaitSetting(broker, "log.segment.bytes", "536870912");
        shows("the broker now", broker);
        shows("the defaults now", all);
        alter("the default is deleted", all, false, op(OpType.DELETE, "log.retention.ms", null));
        alter("the broker's is deleted", broker, false, op(OpType.DELETE, "log.segment.bytes", null));
        awaitSetting(broker, "log.segment.bytes", "1073741824");
        shows("the broker after", broker);
        shows("the defaults after", all);
        alter("a read-only key", broker, false, op(OpType.SET, "node.id", "7"));
        alter("a read-only default", all, false, op(OpType.SET, "num.partitions", "7"));
        alter("a bad value", broker, false, op(OpType.SET, "log.retention.ms", "soon"));
        alter("an unknown broker", to.brokerResource("4711"), false, op(OpType.SET, "log.retention.ms", "1"));
        alter("a broker's name", to.brokerResource("one"), false, op(OpType.SET, "log.retention.ms", "1"));
    }

    private void alterGroup() throws Exception {
        to.call("incrementalAlterConfigs of a group");
        ConfigResource group = new ConfigResource(ConfigResource.Type.GROUP, to.topic("configured-group"));
        alter("set", group, false, op(OpType.SET, "consumer.session.timeout.ms", "50000"));
        awaitSetting(group, "consumer.session.timeout.ms", "50000");
        shows("now", group);
        alter("an unknown key", group, false, op(OpType.SET, "no.such", "1"));
        alter("out of bounds", group, false, op(OpType.SET, "consumer.session.timeout.ms", "1"));
        alter("no name", new ConfigResource(ConfigResource.Type.GROUP, ""), false,
                op(OpType.SET, "consumer.session.timeout.ms", "50000"));
        alter("delete", group, false, op(OpType.DELETE, "consumer.session.timeout.ms", null));
    }
}
