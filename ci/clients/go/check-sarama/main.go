// check-sarama HOST:PORT: sarama, its producers, consumer groups and cluster admin, against a broker.
package main

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"github.com/IBM/sarama"

	"highwater.ci/clients/facts"
)

const partitions = 4

func main() {
	checks := []facts.Check{}
	for _, codec := range []sarama.CompressionCodec{
		sarama.CompressionNone, sarama.CompressionGZIP, sarama.CompressionSnappy, sarama.CompressionLZ4, sarama.CompressionZSTD,
	} {
		for _, idempotent := range []bool{false, true} {
			checks = append(checks, facts.Check{
				Fact: fmt.Sprintf("sarama writes and reads back keys, headers and values with codec %v, idempotent: %v", codec, idempotent),
				Body: func(broker string) { roundTrip(broker, codec, idempotent) },
			})
		}
	}
	for _, strategy := range []sarama.BalanceStrategy{
		sarama.NewBalanceStrategyRange(), sarama.NewBalanceStrategyRoundRobin(), sarama.NewBalanceStrategySticky(),
	} {
		checks = append(checks, facts.Check{
			Fact: "sarama shares a topic between two members by " + strategy.Name() + ", each record once",
			Body: func(broker string) { share(broker, strategy) },
		})
	}
	checks = append(checks,
		facts.Check{Fact: "sarama commits and resumes", Body: resume},
		facts.Check{Fact: "a log agent on sarama ships the lines of a growing file", Body: logAgent},
		facts.Check{Fact: "sarama finds offsets by time and reads from them", Body: seek},
		facts.Check{Fact: "sarama lists and describes topics, and grows them", Body: topics},
		facts.Check{Fact: "sarama alters settings of a topic", Body: configs},
		facts.Check{Fact: "sarama deletes records", Body: deleteRecords},
		facts.Check{Fact: "sarama lists, describes and deletes groups and their offsets", Body: groups},
		facts.Check{Fact: "sarama describes log directories and the cluster", Body: cluster},
	)
	facts.Main("sarama "+version(), checks)
}

func version() string {
	info, _ := debug.ReadBuildInfo()
	for _, module := range info.Deps {
		if module.Path == "github.com/IBM/sarama" {
			return module.Version
		}
	}
	return "of an unknown version"
}

func config() *sarama.Config {
	config := sarama.NewConfig()
	config.Version = sarama.V4_0_0_0
	config.Producer.Return.Successes = true
	config.Producer.RequiredAcks = sarama.WaitForAll
	config.Producer.Partitioner = sarama.NewManualPartitioner
	config.Consumer.Offsets.Initial = sarama.OffsetOldest
	config.Consumer.MaxWaitTime = 100 * time.Millisecond
	config.Consumer.Group.Heartbeat.Interval = 300 * time.Millisecond
	return config
}

func admin(broker string) sarama.ClusterAdmin {
	made, err := sarama.NewClusterAdmin([]string{broker}, config())
	facts.Must("an admin", err)
	return made
}

func create(broker, name string, count int32) string {
	adm := admin(broker)
	defer adm.Close()
	topic := facts.Fresh(name)
	facts.Must("creating a topic", adm.CreateTopic(topic, &sarama.TopicDetail{NumPartitions: count, ReplicationFactor: 1}, false))
	// A broker may hear of it a moment after the controller has made it.
	facts.Await("the topic is known", func() bool {
		described, err := adm.DescribeTopics([]string{topic})
		return err == nil && described[0].Err == sarama.ErrNoError && len(described[0].Partitions) == int(count)
	})
	return topic
}

func message(topic string, count, number int) *sarama.ProducerMessage {
	return &sarama.ProducerMessage{
		Topic:     topic,
		Partition: int32(number % count),
		Key:       sarama.StringEncoder(fmt.Sprintf("key-%d", number)),
		Value:     sarama.StringEncoder(facts.Value(number)),
		Headers:   []sarama.RecordHeader{{Key: []byte("a"), Value: []byte("1")}, {Key: []byte("a"), Value: []byte{0, 255}}},
	}
}

// Writes the records from up to to, spread over the partitions in turn.
func produce(broker, topic string, count, from, to int, more ...func(*sarama.Config)) {
	settings := config()
	for _, set := range more {
		set(settings)
	}
	producer, err := sarama.NewSyncProducer([]string{broker}, settings)
	facts.Must("a producer", err)
	defer producer.Close()
	var messages []*sarama.ProducerMessage
	for number := from; number < to; number++ {
		messages = append(messages, message(topic, count, number))
	}
	facts.Must("producing", producer.SendMessages(messages))
}

// Exactly count records from the offset on, or a failure.
func take(broker, topic string, offset int64, count int) []*sarama.ConsumerMessage {
	consumer, err := sarama.NewConsumer([]string{broker}, config())
	facts.Must("a consumer", err)
	defer consumer.Close()
	reader, err := consumer.ConsumePartition(topic, 0, offset)
	facts.Must("reading", err)
	defer reader.AsyncClose()
	var taken []*sarama.ConsumerMessage
	limit := time.After(facts.Limit)
	for len(taken) < count {
		select {
		case record := <-reader.Messages():
			taken = append(taken, record)
		case <-limit:
			facts.Fail("%d of %d records came", len(taken), count)
		}
	}
	return taken
}

func roundTrip(broker string, codec sarama.CompressionCodec, idempotent bool) {
	topic := create(broker, "sarama-codec", 1)
	produce(broker, topic, 1, 0, 2000, func(settings *sarama.Config) {
		settings.Producer.Compression = codec
		settings.Producer.Idempotent = idempotent
		// One request at a time, as the idempotent producer of sarama asks; without it, that nothing is overtaken.
		settings.Net.MaxOpenRequests = 1
	})
	for number, record := range take(broker, topic, sarama.OffsetOldest, 2000) {
		facts.Same("offset", int64(number), record.Offset)
		facts.Same("key", fmt.Sprintf("key-%d", number), string(record.Key))
		facts.Same("value", facts.Value(number), string(record.Value))
		facts.Same("headers", 2, len(record.Headers))
		facts.Same("a binary header", "\x00\xff", string(record.Headers[1].Value))
	}
}

// member is a consumer of a group that counts and commits what comes until it is told to leave.
type member struct {
	group  sarama.ConsumerGroup
	mutex  sync.Mutex
	tally  facts.Tally
	owned  int
	rounds int
	failed error
	leave  context.CancelFunc
	left   chan struct{}
}

func join(broker, group, topic string, more ...func(*sarama.Config)) *member {
	settings := config()
	settings.Consumer.Offsets.AutoCommit.Enable = false
	for _, set := range more {
		set(settings)
	}
	client, err := sarama.NewConsumerGroup([]string{broker}, group, settings)
	facts.Must("a member", err)
	ctx, cancel := context.WithCancel(context.Background())
	one := &member{group: client, tally: facts.Tally{}, leave: cancel, left: make(chan struct{})}
	go func() {
		defer close(one.left)
		for ctx.Err() == nil {
			if err := client.Consume(ctx, []string{topic}, one); err != nil && ctx.Err() == nil {
				one.mutex.Lock()
				one.failed = err
				one.mutex.Unlock()
				return
			}
		}
	}()
	return one
}

// Setup is called when a generation begins.
func (one *member) Setup(session sarama.ConsumerGroupSession) error {
	one.mutex.Lock()
	defer one.mutex.Unlock()
	one.rounds++
	one.owned = 0
	for _, claimed := range session.Claims() {
		one.owned += len(claimed)
	}
	return nil
}

// Cleanup is called when it ends, before the next owners start.
func (one *member) Cleanup(session sarama.ConsumerGroupSession) error {
	session.Commit()
	return nil
}

// ConsumeClaim runs once for each partition.
func (one *member) ConsumeClaim(session sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	for {
		// The session's end comes before a record that waits.
		if session.Context().Err() != nil {
			return nil
		}
		select {
		case <-session.Context().Done():
			return nil
		case record, more := <-claim.Messages():
			if !more {
				return nil
			}
			one.mutex.Lock()
			one.tally[string(record.Value)]++
			one.mutex.Unlock()
			session.MarkMessage(record, "")
		}
	}
}

func (one *member) owns() int {
	one.mutex.Lock()
	defer one.mutex.Unlock()
	facts.Must("a member", one.failed)
	return one.owned
}

func (one *member) close() {
	one.leave()
	<-one.left
	facts.Must("leaving", one.group.Close())
}

// What all the members got together.
func together(members ...*member) facts.Tally {
	sum := facts.Tally{}
	for _, one := range members {
		one.mutex.Lock()
		for value, count := range one.tally {
			sum[value] += count
		}
		one.mutex.Unlock()
	}
	return sum
}

func share(broker string, strategy sarama.BalanceStrategy) {
	topic, group := create(broker, "sarama-share", partitions), facts.Fresh("sarama-share")
	by := func(settings *sarama.Config) {
		settings.Consumer.Group.Rebalance.GroupStrategies = []sarama.BalanceStrategy{strategy}
	}
	produce(broker, topic, partitions, 0, 1000)
	first := join(broker, group, topic, by)
	defer first.close()
	facts.Await("alone it owns all", func() bool { return first.owns() == partitions })
	facts.Await("alone it gets all", func() bool { return len(together(first)) == 1000 })
	second := join(broker, group, topic, by)
	facts.Await("two each", func() bool { return first.owns() == 2 && second.owns() == 2 })
	produce(broker, topic, partitions, 1000, 2000)
	facts.Await("all came", func() bool { return len(together(first, second)) == 2000 })
	second.close()
	facts.Await("alone again", func() bool { return first.owns() == partitions })
	produce(broker, topic, partitions, 2000, 2500)
	facts.Await("all came", func() bool { return len(together(first, second)) == 2500 })
	together(first, second).OnceEach("within the group", 0, 2500)
}

func resume(broker string) {
	topic, group := create(broker, "sarama-resume", 1), facts.Fresh("sarama-resume")
	produce(broker, topic, 1, 0, 100)
	client, err := sarama.NewClient([]string{broker}, config())
	facts.Must("a client", err)
	defer client.Close()
	offsets, err := sarama.NewOffsetManagerFromClient(group, client)
	facts.Must("offsets", err)
	partition, err := offsets.ManagePartition(topic, 0)
	facts.Must("offsets", err)
	partition.MarkOffset(42, "half way")
	offsets.Commit()
	facts.Must("committing", errors.Join(partition.Close(), offsets.Close()))
	one := join(broker, group, topic)
	facts.Await("the rest", func() bool { return one.owns() == 1 && len(together(one)) == 58 })
	one.close()
	for number := 42; number < 100; number++ {
		facts.Same("count", 1, one.tally[facts.Value(number)])
	}
	adm := admin(broker)
	defer adm.Close()
	fetched, err := adm.ListConsumerGroupOffsets(group, map[string][]int32{topic: {0}})
	facts.Must("the offsets", err)
	facts.Same("next to read", int64(100), fetched.GetBlock(topic, 0).Offset)
}

func seek(broker string) {
	topic := create(broker, "sarama-seek", 1)
	base := time.UnixMilli(time.Now().Add(-time.Hour).UnixMilli())
	settings := config()
	producer, err := sarama.NewSyncProducer([]string{broker}, settings)
	facts.Must("a producer", err)
	defer producer.Close()
	var messages []*sarama.ProducerMessage
	for number := range 100 {
		one := message(topic, 1, number)
		one.Timestamp = base.Add(time.Duration(number) * 10 * time.Millisecond)
		messages = append(messages, one)
	}
	facts.Must("producing", producer.SendMessages(messages))
	client, err := sarama.NewClient([]string{broker}, settings)
	facts.Must("a client", err)
	defer client.Close()
	offset, err := client.GetOffset(topic, 0, base.UnixMilli()+331)
	facts.Must("an offset by time", err)
	facts.Same("by time", int64(34), offset)
	facts.Same("read from there", facts.Value(34), string(take(broker, topic, offset, 1)[0].Value))
	facts.Same("by offset", facts.Value(57), string(take(broker, topic, 57, 1)[0].Value))
	end, err := client.GetOffset(topic, 0, sarama.OffsetNewest)
	facts.Must("the end", err)
	facts.Same("the end", int64(100), end)
}
