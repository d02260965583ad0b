package main

import (
	"github.com/IBM/sarama"

	"highwater.ci/clients/facts"
)

func topics(broker string) {
	adm := admin(broker)
	defer adm.Close()
	topic := create(broker, "sarama-topics", partitions)
	listed, err := adm.ListTopics()
	facts.Must("listing", err)
	facts.Same("partitions", int32(partitions), listed[topic].NumPartitions)
	described, err := adm.DescribeTopics([]string{topic})
	facts.Must("describing", err)
	facts.Same("partitions", partitions, len(described[0].Partitions))
	for _, partition := range described[0].Partitions {
		facts.Same("replicas", 1, len(partition.Replicas))
		facts.Same("leader", partition.Replicas[0], partition.Leader)
		facts.Same("in sync", partition.Replicas[0], partition.Isr[0])
	}
	err = adm.CreateTopic(topic, &sarama.TopicDetail{NumPartitions: 1, ReplicationFactor: 1}, false)
	facts.Refused("the same name again", sarama.ErrTopicAlreadyExists, err)
	facts.Must("growing", adm.CreatePartitions(topic, 6, nil, false))
	facts.Refused("fewer partitions", sarama.ErrInvalidPartitions, adm.CreatePartitions(topic, 2, nil, false))
	facts.Must("deleting", adm.DeleteTopic(topic))
	facts.Await("it is gone", func() bool {
		listed, err := adm.ListTopics()
		_, there := listed[topic]
		return err == nil && !there
	})
}

func configs(broker string) {
	adm := admin(broker)
	defer adm.Close()
	topic := create(broker, "sarama-configs", 1)
	is := func(name, value string) {
		facts.Await(name+" is "+value, func() bool {
			entries, err := adm.DescribeConfig(sarama.ConfigResource{Type: sarama.TopicResource, Name: topic, ConfigNames: []string{name}})
			facts.Must("describing", err)
			facts.Same("entries", 1, len(entries))
			return entries[0].Value == value
		})
	}
	is("retention.ms", "604800000")
	hour, day := "3600000", "86400000"
	change := map[string]sarama.IncrementalAlterConfigsEntry{"retention.ms": {Operation: sarama.IncrementalAlterConfigsOperationSet, Value: &hour}}
	facts.Must("altering", adm.IncrementalAlterConfig(sarama.TopicResource, topic, change, false))
	is("retention.ms", hour)
	// The older request replaces all settings of the topic.
	facts.Must("altering all", adm.AlterConfig(sarama.TopicResource, topic, map[string]*string{"segment.ms": &day}, false))
	is("segment.ms", day)
	is("retention.ms", "604800000")
	word := "soon"
	err := adm.AlterConfig(sarama.TopicResource, topic, map[string]*string{"retention.ms": &word}, false)
	facts.Refused("a word for a number", sarama.ErrInvalidConfig, err)
}

func deleteRecords(broker string) {
	adm := admin(broker)
	defer adm.Close()
	topic := create(broker, "sarama-delete", 1)
	produce(broker, topic, 1, 0, 100)
	facts.Must("deleting", adm.DeleteRecords(topic, map[int32]int64{0: 60}))
	facts.Same("the first record", int64(60), take(broker, topic, sarama.OffsetOldest, 1)[0].Offset)
	if err := adm.DeleteRecords(topic, map[int32]int64{0: 101}); err == nil {
		facts.Fail("records beyond the end were deleted")
	}
}

func groups(broker string) {
	adm := admin(broker)
	defer adm.Close()
	topic, group := create(broker, "sarama-groups", partitions), facts.Fresh("sarama-groups")
	produce(broker, topic, partitions, 0, 100)
	one := join(broker, group, topic)
	facts.Await("it gets all", func() bool { return one.owns() == partitions && len(together(one)) == 100 })
	listed, err := adm.ListConsumerGroups()
	facts.Must("listing", err)
	facts.Same("protocol type", "consumer", listed[group])
	described, err := adm.DescribeConsumerGroups([]string{group})
	facts.Must("describing", err)
	facts.Same("state", "Stable", described[0].State)
	facts.Same("protocol", "range", described[0].Protocol)
	facts.Same("members", 1, len(described[0].Members))
	for _, member := range described[0].Members {
		assigned, err := member.GetMemberAssignment()
		facts.Must("an assignment", err)
		facts.Same("assigned", partitions, len(assigned.Topics[topic]))
	}
	facts.Refused("a group with members", sarama.ErrNonEmptyGroup, adm.DeleteConsumerGroup(group))
	one.close()
	offsets, err := adm.ListConsumerGroupOffsets(group, map[string][]int32{topic: {0, 1, 2, 3}})
	facts.Must("offsets", err)
	for partition := range int32(partitions) {
		facts.Same("committed", int64(25), offsets.GetBlock(topic, partition).Offset)
	}
	facts.Must("deleting an offset", adm.DeleteConsumerGroupOffset(group, topic, 3))
	offsets, err = adm.ListConsumerGroupOffsets(group, map[string][]int32{topic: {3}})
	facts.Must("offsets", err)
	facts.Same("the deleted one", int64(-1), offsets.GetBlock(topic, 3).Offset)
	facts.Must("deleting the group", adm.DeleteConsumerGroup(group))
	facts.Refused("deleting it again", sarama.ErrGroupIDNotFound, adm.DeleteConsumerGroup(group))
}

func cluster(broker string) {
	adm := admin(broker)
	defer adm.Close()
	topic := create(broker, "sarama-disk", 2)
	brokers, controller, err := adm.DescribeCluster()
	facts.Must("the cluster", err)
	facts.Same("brokers", 1, len(brokers))
	facts.Same("its address", broker, brokers[0].Addr())
	facts.Same("the controller", brokers[0].ID(), controller)
	facts.Await("two partitions on disk", func() bool { return partitionsOnDisk(adm, controller, topic) == 2 })
	users, err := adm.DescribeUserScramCredentials(nil)
	facts.Must("credentials", err)
	facts.Same("credentials", 0, len(users))
}

func partitionsOnDisk(adm sarama.ClusterAdmin, broker int32, topic string) int {
	dirs, err := adm.DescribeLogDirs([]int32{broker})
	facts.Must("log directories", err)
	count := 0
	for _, dir := range dirs[broker] {
		facts.Same("error", sarama.ErrNoError, dir.ErrorCode)
		for _, one := range dir.Topics {
			if one.Topic == topic {
				count += len(one.Partitions)
			}
		}
	}
	return count
}
