package main

import (
	"errors"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"highwater.ci/clients/facts"
)

func topics(broker string) {
	adm, done := admin(broker)
	defer done()
	topic := create(broker, "franz-topics", partitions)
	listed, err := adm.ListTopics(within())
	facts.Must("listing", err)
	facts.Same("it is listed", true, listed.Has(topic))
	facts.Same("partitions", partitions, len(listed[topic].Partitions))
	for _, partition := range listed[topic].Partitions {
		facts.Same("replicas", 1, len(partition.Replicas))
		facts.Same("in sync", partition.Replicas[0], partition.ISR[0])
		facts.Same("leader", partition.Replicas[0], partition.Leader)
	}
	_, err = adm.CreateTopic(within(), 1, 1, nil, topic)
	facts.Refused("the same name again", kerr.TopicAlreadyExists, err)
	grown, err := adm.UpdatePartitions(within(), 6, topic)
	facts.Must("growing", errors.Join(err, grown[topic].Err))
	shrunk, err := adm.UpdatePartitions(within(), 2, topic)
	facts.Must("asking for fewer", err)
	facts.Refused("fewer partitions", kerr.InvalidPartitions, shrunk[topic].Err)
	cluster, err := adm.BrokerMetadata(within())
	facts.Must("the cluster", err)
	facts.Same("brokers", 1, len(cluster.Brokers))
	facts.Await("six partitions on disk", func() bool {
		logs, err := adm.DescribeAllLogDirs(within(), nil)
		facts.Must("log directories", err)
		return countPartitions(logs, topic) == 6
	})
	deleted, err := adm.DeleteTopic(within(), topic)
	facts.Must("deleting", errors.Join(err, deleted.Err))
	facts.Await("it is gone", func() bool {
		listed, err := adm.ListTopics(within())
		return err == nil && !listed.Has(topic)
	})
}

func countPartitions(logs kadm.DescribedAllLogDirs, topic string) int {
	count := 0
	logs.Each(func(dir kadm.DescribedLogDir) {
		facts.Must("a log directory", dir.Err)
		count += len(dir.Topics[topic])
	})
	return count
}

// The value of a topic's setting, and where it comes from.
func setting(adm *kadm.Client, topic, name string) (string, string) {
	described, err := adm.DescribeTopicConfigs(within(), topic)
	facts.Must("describing settings", err)
	resource, err := described.On(topic, nil)
	facts.Must("describing settings", errors.Join(err, resource.Err))
	for _, config := range resource.Configs {
		if config.Key == name {
			return config.MaybeValue(), config.Source.String()
		}
	}
	facts.Fail("there is no setting %s", name)
	return "", ""
}

func configs(broker string) {
	adm, done := admin(broker)
	defer done()
	topic := create(broker, "franz-configs", 1)
	alter := func(op kadm.IncrementalOp, name string, value *string) error {
		altered, err := adm.AlterTopicConfigs(within(), []kadm.AlterConfig{{Op: op, Name: name, Value: value}}, topic)
		facts.Must("altering", err)
		answer, err := altered.On(topic, nil)
		return errors.Join(err, answer.Err)
	}
	is := func(name, value, source string) {
		facts.Await(name+" is "+value+" ("+source+")", func() bool {
			found, from := setting(adm, topic, name)
			return found == value && from == source
		})
	}
	is("retention.ms", "604800000", "DEFAULT_CONFIG")
	facts.Must("set", alter(kadm.SetConfig, "retention.ms", kadm.StringPtr("3600000")))
	is("retention.ms", "3600000", "DYNAMIC_TOPIC_CONFIG")
	facts.Must("append", alter(kadm.AppendConfig, "cleanup.policy", kadm.StringPtr("compact")))
	is("cleanup.policy", "delete,compact", "DYNAMIC_TOPIC_CONFIG")
	facts.Must("subtract", alter(kadm.SubtractConfig, "cleanup.policy", kadm.StringPtr("delete")))
	is("cleanup.policy", "compact", "DYNAMIC_TOPIC_CONFIG")
	facts.Must("delete", alter(kadm.DeleteConfig, "retention.ms", nil))
	is("retention.ms", "604800000", "DEFAULT_CONFIG")
	facts.Refused("a word for a number", kerr.InvalidConfig, alter(kadm.SetConfig, "retention.ms", kadm.StringPtr("soon")))
	facts.Refused("an unknown setting", kerr.InvalidConfig, alter(kadm.SetConfig, "no.such", kadm.StringPtr("1")))
}

func deleteRecords(broker string) {
	adm, done := admin(broker)
	defer done()
	topic := create(broker, "franz-delete", 1)
	produce(broker, topic, 1, 0, 100)
	upTo := func(offset int64) kadm.DeleteRecordsResponse {
		answers, err := adm.DeleteRecords(within(), kadm.Offsets{topic: {0: {Topic: topic, Partition: 0, At: offset}}})
		facts.Must("deleting records", err)
		answer, _ := answers.Lookup(topic, 0)
		return answer
	}
	answer := upTo(60)
	facts.Must("deleting records", answer.Err)
	facts.Same("low watermark", int64(60), answer.LowWatermark)
	facts.Refused("beyond the end", kerr.OffsetOutOfRange, upTo(101).Err)
	start, err := adm.ListStartOffsets(within(), topic)
	facts.Must("the start", err)
	first, _ := start.Lookup(topic, 0)
	facts.Same("the start", int64(60), first.Offset)
	consumer := client(broker, from(topic, 0, kgo.NewOffset().AtStart()))
	defer consumer.Close()
	facts.Same("the first record", facts.Value(60), string(take(consumer, 1)[0].Value))
}

func groups(broker string) {
	adm, done := admin(broker)
	defer done()
	topic, group := create(broker, "franz-groups", partitions), facts.Fresh("franz-groups")
	one := join(broker, group, topic)
	facts.Await("it owns all", func() bool { return one.owns() == partitions })
	listed, err := adm.ListGroups(within())
	facts.Must("listing", err)
	facts.Same("state", "Stable", listed[group].State)
	facts.Same("protocol type", "consumer", listed[group].ProtocolType)
	described, err := adm.DescribeGroups(within(), group)
	facts.Must("describing", errors.Join(err, described[group].Err))
	facts.Same("state", "Stable", described[group].State)
	facts.Same("protocol", "cooperative-sticky", described[group].Protocol)
	facts.Same("members", 1, len(described[group].Members))
	id, _ := one.client.GroupMetadata()
	facts.Same("member", id, described[group].Members[0].MemberID)
	assigned, ok := described[group].Members[0].Assigned.AsConsumer()
	facts.Same("an assignment", true, ok && len(assigned.Topics) == 1 && len(assigned.Topics[0].Partitions) == partitions)
	_, err = adm.DeleteGroup(within(), group)
	facts.Refused("a group with members", kerr.NonEmptyGroup, err)
	produce(broker, topic, partitions, 0, 100)
	facts.Await("all came", func() bool { return len(together(one)) == 100 })
	one.close()
	facts.Await("the group is empty", func() bool {
		described, err := adm.DescribeGroups(within(), group)
		return err == nil && described[group].State == "Empty"
	})
	facts.Same("lag after the last commit", int64(0), lag(adm, group))
	produce(broker, topic, partitions, 100, 140)
	facts.Same("lag", int64(40), lag(adm, group))
}

func lag(adm *kadm.Client, group string) int64 {
	lags, err := adm.Lag(within(), group)
	facts.Must("lag", err)
	one := lags[group]
	facts.Must("lag", one.Error())
	return one.Lag.Total()
}

func groupOffsets(broker string) {
	adm, done := admin(broker)
	defer done()
	topic, group := create(broker, "franz-offsets", 2), facts.Fresh("franz-offsets")
	offsets := kadm.Offsets{}
	offsets.Add(kadm.Offset{Topic: topic, Partition: 0, At: 11, LeaderEpoch: -1, Metadata: "eleven"})
	offsets.Add(kadm.Offset{Topic: topic, Partition: 1, At: 22, LeaderEpoch: -1})
	facts.Must("committing", adm.CommitAllOffsets(within(), group, offsets))
	fetched, err := adm.FetchOffsets(within(), group)
	facts.Must("fetching", err)
	zero, _ := fetched.Lookup(topic, 0)
	facts.Same("offset", int64(11), zero.At)
	facts.Same("metadata", "eleven", zero.Metadata)
	gone := kadm.TopicsSet{}
	gone.Add(topic, 0)
	deleted, err := adm.DeleteOffsets(within(), group, gone)
	facts.Must("deleting offsets", errors.Join(err, deleted.Error()))
	fetched, err = adm.FetchOffsets(within(), group)
	facts.Must("fetching", err)
	_, there := fetched.Lookup(topic, 0)
	facts.Same("the deleted one is there", false, there)
	one, _ := fetched.Lookup(topic, 1)
	facts.Same("the other offset", int64(22), one.At)
	_, err = adm.DeleteGroup(within(), group)
	facts.Must("deleting the group", err)
	listed, err := adm.ListGroups(within())
	facts.Must("listing", err)
	_, there = listed[group]
	facts.Same("the group is listed", false, there)
}

func missing(broker string) {
	adm, done := admin(broker)
	defer done()
	group, topic := facts.Fresh("franz-missing"), facts.Fresh("franz-missing")
	_, err := adm.DeleteGroup(within(), group)
	facts.Refused("deleting a group", kerr.GroupIDNotFound, err)
	fetched, err := adm.FetchOffsets(within(), group)
	facts.Must("the offsets of an unknown group", err)
	facts.Same("are none", 0, len(fetched))
	_, err = adm.DeleteTopic(within(), topic)
	facts.Refused("deleting a topic", kerr.UnknownTopicOrPartition, err)
	described, err := adm.DescribeTopicConfigs(within(), topic)
	facts.Must("describing settings", err)
	_, err = described.On(topic, func(resource *kadm.ResourceConfig) error { return resource.Err })
	facts.Refused("settings of a topic", kerr.UnknownTopicOrPartition, err)
}
