package highwater.ci;

import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.DescribeClusterOptions;
import org.apache.kafka.clients.admin.FeatureMetadata;
import org.apache.kafka.clients.admin.FeatureUpdate;
import org.apache.kafka.clients.admin.LogDirDescription;
import org.apache.kafka.clients.admin.QuorumInfo;
import org.apache.kafka.clients.admin.UpdateFeaturesOptions;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.TopicPartitionReplica;
import org.apache.kafka.common.acl.AccessControlEntry;
import org.apache.kafka.common.acl.AclBinding;
import org.apache.kafka.common.acl.AclBindingFilter;
import org.apache.kafka.common.acl.AclOperation;
import org.apache.kafka.common.acl.AclPermissionType;
import org.apache.kafka.common.quota.ClientQuotaFilter;
import org.apache.kafka.common.resource.PatternType;
import org.apache.kafka.common.resource.ResourcePattern;
import org.apache.kafka.common.resource.ResourceType;

/** The cluster, its disks, producers, transactions, and what one node without an authorizer answers to the rest. */
final class AdminClusterCalls {
    private final AdminAnswers to;
    private final Admin admin;

    AdminClusterCalls(AdminAnswers to) {
        this.to = to;
        admin = to.admin;
    }

    void ask() {
        to.attempt(this::cluster);
        to.attempt(this::features);
        to.attempt(this::disks);
        to.attempt(this::producers);
        to.attempt(this::transactions);
        to.attempt(this::security);
    }

    private void cluster() {
        to.call("describeCluster");
        var described = admin.describeCluster(new DescribeClusterOptions().includeAuthorizedOperations(true));
        to.answer("id", described.clusterId());
        to.answer("controller", described.controller());
        to.answer("nodes", described.nodes());
        to.answer("operations", described.authorizedOperations(), all -> all == null ? "none" : new TreeSet<>(all));
        var fenced = admin.describeCluster(new DescribeClusterOptions().includeFencedBrokers(true));
        to.answer("nodes, fenced too", fenced.nodes());
        to.call("describeMetadataQuorum");
        to.answer("quorum", admin.describeMetadataQuorum().quorumInfo(), quorum -> {
            Map<String, Object> fields = new TreeMap<>();
            fields.put("leader", quorum.leaderId() == to.node ? "NODE" : quorum.leaderId());
            fields.put("epoch", quorum.leaderEpoch() > 0 ? "positive" : quorum.leaderEpoch());
            fields.put("voters", quorum.voters().stream().map(this::replica).toList());
            fields.put("observers", quorum.observers().stream().map(this::replica).toList());
            return fields;
        });
        to.call("unregisterBroker");
        to.answer("an unknown one", admin.unregisterBroker(4711).all(), done -> "done");
    }

    private String replica(QuorumInfo.ReplicaState state) {
        return (state.replicaId() == to.node ? "NODE" : state.replicaId()) + (state.logEndOffset() >= 0 ? " with an end" : "")
                + (state.lastFetchTimestamp().isPresent() ? ", fetched" : "")
                + (state.lastCaughtUpTimestamp().isPresent() ? ", caught up" : "");
    }

    private void features() {
        to.call("describeFeatures");
        to.answer("finalized", admin.describeFeatures().featureMetadata(), found -> {
            Map<String, Object> fields = new TreeMap<>();
            found.finalizedFeatures().forEach((name, range) -> fields.put(name, range));
            return fields;
        });
        to.answer("supported", admin.describeFeatures().featureMetadata(), found -> {
            Map<String, Object> fields = new TreeMap<>();
            found.supportedFeatures().forEach((name, range) -> fields.put(name, range));
            return fields;
        });
        to.answer("epoch", admin.describeFeatures().featureMetadata(),
                (FeatureMetadata found) -> found.finalizedFeaturesEpoch().isPresent() ? "some" : "none");
        to.call("updateFeatures");
        update("an unknown feature", "no.such.version", (short) 1);
        update("a level too high", "metadata.version", (short) 999);
    }

    private void update(String field, String feature, short level) {
        to.ask(field, () -> admin.updateFeatures(Map.of(feature, new FeatureUpdate(level, FeatureUpdate.UpgradeType.UPGRADE)),
                new UpdateFeaturesOptions().validateOnly(true)).all(), done -> "done");
    }

    private void disks() {
        to.call("describeLogDirs");
        to.answer("this broker", admin.describeLogDirs(List.of(to.node)).descriptions().get(to.node), dirs -> {
            Map<String, Object> fields = new TreeMap<>();
            fields.put("folders", dirs.size());
            for (LogDirDescription dir : dirs.values()) {
                fields.put("error", dir.error() == null ? "none" : dir.error().getClass().getSimpleName());
                fields.put("sizes", to.plain(dir.totalBytes()) + " " + to.plain(dir.usableBytes()));
                dir.replicaInfos().forEach((partition, info) -> {
                    if (partition.topic().startsWith(to.tag)) {
                        fields.put(partition.toString(), (info.size() > 0 ? "some bytes" : "empty") + ", lag " + info.offsetLag()
                                + (info.isFuture() ? ", future" : ""));
                    }
                });
            }
            return fields;
        });
        to.answer("an unknown broker", admin.describeLogDirs(List.of(4711),
                new org.apache.kafka.clients.admin.DescribeLogDirsOptions().timeoutMs(3000)).descriptions().get(4711), all -> all.size());
        to.call("alterReplicaLogDirs");
        var replica = new TopicPartitionReplica(to.topic("full"), 0, to.node);
        to.answer("to an unknown folder", admin.alterReplicaLogDirs(Map.of(replica, "/no/such/folder")).values().get(replica),
                done -> "done");
    }

    private void producers() {
        to.call("describeProducers");
        List<TopicPartition> all = List.of(to.partition("full", 0), to.partition("settings", 0), to.partition("unknown", 0));
        var asked = admin.describeProducers(all, new org.apache.kafka.clients.admin.DescribeProducersOptions().timeoutMs(5000));
        for (TopicPartition one : all) {
            to.answer(to.plain(one), asked.partitionResult(one), found -> found.activeProducers().stream().map(producer ->
                    (producer.producerId() >= 0 ? "an id" : "no id") + ", epoch " + producer.producerEpoch() + ", last "
                            + producer.lastSequence() + ", coordinator " + producer.coordinatorEpoch() + ", open "
                            + producer.currentTransactionStartOffset().isPresent()).toList());
        }
    }

    private void transactions() {
        to.call("transactions");
        to.answer("listed", admin.listTransactions().all(), all -> all.size());
        to.answer("described", admin.describeTransactions(List.of(to.topic("transaction"))).description(to.topic("transaction")));
    }

    private void security() {
        to.call("acls without an authorizer");
        AclBinding binding = new AclBinding(new ResourcePattern(ResourceType.TOPIC, to.topic("full"), PatternType.LITERAL),
                new AccessControlEntry("User:alice", "*", AclOperation.READ, AclPermissionType.ALLOW));
        to.answer("describe", admin.describeAcls(AclBindingFilter.ANY).values());
        to.answer("create", admin.createAcls(Set.of(binding)).all(), done -> "done");
        to.answer("delete", admin.deleteAcls(Set.of(AclBindingFilter.ANY)).all());
        to.call("quotas and credentials");
        to.answer("quotas", admin.describeClientQuotas(ClientQuotaFilter.all()).entities(), all -> all.size());
        to.answer("quotas of clients", admin.describeClientQuotas(ClientQuotaFilter.contains(List.of())).entities(), all -> all.size());
        to.answer("credentials", admin.describeUserScramCredentials().all(), all -> all.size());
        to.answer("credentials of a user", admin.describeUserScramCredentials(List.of("alice")).description("alice"));
        to.call("delegation tokens");
        to.answer("described", admin.describeDelegationToken().delegationTokens(), all -> all.size());
        to.answer("created", admin.createDelegationToken().delegationToken(), token -> "a token");
    }
}
