// check-franz-go HOST:PORT: franz-go, with its admin package kadm, against a broker.
package main

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"highwater.ci/clients/facts"
)

const partitions = 4

var codecs = []struct {
	name  string
	codec kgo.CompressionCodec
}{
	{"none", kgo.NoCompression()},
	{"gzip", kgo.GzipCompression()},
	{"snappy", kgo.SnappyCompression()},
	{"lz4", kgo.Lz4Compression()},
	{"zstd", kgo.ZstdCompression()},
}

func main() {
	checks := []facts.Check{}
	for _, codec := range codecs {
		checks = append(checks, facts.Check{
			Fact: "franz-go writes and reads back keys, headers and values with codec " + codec.name,
			Body: func(broker string) { roundTrip(broker, codec.codec) },
		})
	}
	for _, balancer := range []kgo.GroupBalancer{
		kgo.RangeBalancer(), kgo.RoundRobinBalancer(), kgo.StickyBalancer(), kgo.CooperativeStickyBalancer(),
	} {
		checks = append(checks, facts.Check{
			Fact: "franz-go shares a topic between two members by " + balancer.ProtocolName() + ", each record once",
			Body: func(broker string) { share(broker, balancer) },
		})
	}
	checks = append(checks,
		facts.Check{Fact: "franz-go commits and resumes", Body: resume},
		facts.Check{Fact: "franz-go restarts a static member without a rebalance", Body: static},
		facts.Check{Fact: "franz-go seeks by offset and by time", Body: seek},
		facts.Check{Fact: "franz-go lists and describes topics and their partitions", Body: topics},
		facts.Check{Fact: "franz-go alters, appends to and resets settings of a topic", Body: configs},
		facts.Check{Fact: "franz-go deletes records", Body: deleteRecords},
		facts.Check{Fact: "franz-go lists and describes groups, and their lag", Body: groups},
		facts.Check{Fact: "franz-go commits for a group, deletes offsets and the group", Body: groupOffsets},
		facts.Check{Fact: "franz-go is told of what does not exist", Body: missing},
	)
	facts.Main("franz-go "+version(), checks)
}

func version() string {
	info, _ := debug.ReadBuildInfo()
	for _, module := range info.Deps {
		if module.Path == "github.com/twmb/franz-go" {
			return module.Version
		}
	}
	return "of an unknown version"
}

func within() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), facts.Limit)
	context.AfterFunc(ctx, cancel)
	return ctx
}

func client(broker string, options ...kgo.Opt) *kgo.Client {
	made, err := kgo.NewClient(append([]kgo.Opt{
		kgo.SeedBrokers(broker),
		kgo.FetchMaxWait(100 * time.Millisecond),
		kgo.MetadataMinAge(50 * time.Millisecond),
	}, options...)...)
	facts.Must("a client", err)
	return made
}

func admin(broker string) (*kadm.Client, func()) {
	underlying := client(broker)
	return kadm.NewClient(underlying), underlying.Close
}

// A topic with a fresh name.
func create(broker, name string, count int32) string {
	adm, done := admin(broker)
	defer done()
	topic := facts.Fresh(name)
	_, err := adm.CreateTopic(within(), count, 1, nil, topic)
	facts.Must("creating a topic", err)
	// A broker may hear of it a moment after the controller has made it, and an idempotent producer that came
	// between would lose its order.
	facts.Await("the topic has leaders", func() bool {
		ends, err := adm.ListEndOffsets(within(), topic)
		return err == nil && ends.Error() == nil && len(ends[topic]) == int(count)
	})
	return topic
}

// Writes the records from up to to, spread over the partitions in turn.
func produce(broker, topic string, count, from, to int, options ...kgo.Opt) {
	options = append(options, kgo.RecordPartitioner(kgo.ManualPartitioner()))
	producer := client(broker, options...)
	defer producer.Close()
	records := make([]*kgo.Record, 0, to-from)
	for number := from; number < to; number++ {
		records = append(records, &kgo.Record{
			Topic:     topic,
			Partition: int32(number % count),
			Key:       fmt.Appendf(nil, "key-%d", number),
			Value:     []byte(facts.Value(number)),
			Headers:   []kgo.RecordHeader{{Key: "a", Value: []byte("1")}, {Key: "a", Value: nil}, {Key: "", Value: []byte{0, 255}}},
		})
	}
	facts.Must("producing", producer.ProduceSync(within(), records...).FirstErr())
}

// Exactly count records, or a failure.
func take(consumer *kgo.Client, count int) []*kgo.Record {
	var taken []*kgo.Record
	ctx := within()
	for len(taken) < count {
		fetches := consumer.PollRecords(ctx, count-len(taken))
		facts.Must(fmt.Sprintf("after %d of %d records", len(taken), count), fetches.Err())
		taken = append(taken, fetches.Records()...)
	}
	return taken
}

func from(topic string, partition int32, offset kgo.Offset) kgo.Opt {
	return kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: {partition: offset}})
}

func roundTrip(broker string, codec kgo.CompressionCodec) {
	topic := create(broker, "franz-codec", 1)
	produce(broker, topic, 1, 0, 2000, kgo.ProducerBatchCompression(codec))
	consumer := client(broker, from(topic, 0, kgo.NewOffset().AtStart()))
	defer consumer.Close()
	for number, record := range take(consumer, 2000) {
		facts.Same("offset", int64(number), record.Offset)
		facts.Same("key", fmt.Sprintf("key-%d", number), string(record.Key))
		facts.Same("value", facts.Value(number), string(record.Value))
		facts.Same("headers", 3, len(record.Headers))
		facts.Same("a null header", true, record.Headers[1].Value == nil)
		facts.Same("a binary header", "\x00\xff", string(record.Headers[2].Value))
	}
}

// member is a consumer in a group that polls, counts and commits until it is told to leave.
type member struct {
	client  *kgo.Client
	mutex   sync.Mutex
	tally   facts.Tally
	owned   int
	changes int
	failed  error
	leave   context.CancelFunc
	left    chan struct{}
}

func join(broker, group, topic string, options ...kgo.Opt) *member {
	ctx, cancel := context.WithCancel(context.Background())
	one := &member{tally: facts.Tally{}, leave: cancel, left: make(chan struct{})}
	change := func(sign int) func(context.Context, *kgo.Client, map[string][]int32) {
		return func(ctx context.Context, consumer *kgo.Client, changed map[string][]int32) {
			if sign < 0 {
				// What was polled was counted: it must not come to the next owner again.
				if err := consumer.CommitUncommittedOffsets(ctx); err != nil {
					one.note(err)
				}
			}
			one.mutex.Lock()
			defer one.mutex.Unlock()
			one.owned += sign * len(changed[topic])
			one.changes++
		}
	}
	one.client = client(broker, append([]kgo.Opt{
		kgo.ConsumerGroup(group),
		kgo.ConsumeTopics(topic),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.DisableAutoCommit(),
		kgo.BlockRebalanceOnPoll(),
		kgo.HeartbeatInterval(300 * time.Millisecond),
		kgo.OnPartitionsAssigned(change(1)),
		kgo.OnPartitionsRevoked(change(-1)),
		kgo.OnPartitionsLost(func(_ context.Context, _ *kgo.Client, lost map[string][]int32) {
			one.note(fmt.Errorf("lost %v", lost))
		}),
	}, options...)...)
	go one.live(ctx)
	return one
}

func (one *member) live(ctx context.Context) {
	defer close(one.left)
	for ctx.Err() == nil {
		fetches := one.client.PollFetches(ctx)
		for _, problem := range fetches.Errors() {
			if ctx.Err() == nil {
				one.note(problem.Err)
			}
		}
		one.mutex.Lock()
		fetches.EachRecord(func(record *kgo.Record) { one.tally[string(record.Value)]++ })
		one.mutex.Unlock()
		one.client.AllowRebalance()
	}
}

func (one *member) note(err error) {
	one.mutex.Lock()
	defer one.mutex.Unlock()
	if one.failed == nil {
		one.failed = err
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
	one.client.CloseAllowingRebalance()
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

func share(broker string, balancer kgo.GroupBalancer) {
	topic, group := create(broker, "franz-share", partitions), facts.Fresh("franz-share")
	produce(broker, topic, partitions, 0, 1000)
	first := join(broker, group, topic, kgo.Balancers(balancer))
	defer first.close()
	facts.Await("alone it owns all", func() bool { return first.owns() == partitions })
	facts.Await("alone it gets all", func() bool { return len(together(first)) == 1000 })
	second := join(broker, group, topic, kgo.Balancers(balancer))
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
	topic, group := create(broker, "franz-resume", 1), facts.Fresh("franz-resume")
	produce(broker, topic, 1, 0, 100)
	options := []kgo.Opt{
		kgo.ConsumerGroup(group), kgo.ConsumeTopics(topic), kgo.DisableAutoCommit(),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
	}
	consumer := client(broker, options...)
	taken := take(consumer, 42)
	facts.Must("committing", consumer.CommitRecords(within(), taken...))
	consumer.Close()
	consumer = client(broker, options...)
	defer consumer.Close()
	rest := take(consumer, 58)
	facts.Same("resumed at", int64(42), rest[0].Offset)
	facts.Must("committing", consumer.CommitUncommittedOffsets(within()))
	facts.Same("next to read", int64(100), consumer.CommittedOffsets()[topic][0].Offset)
}

func static(broker string) {
	topic, group := create(broker, "franz-static", partitions), facts.Fresh("franz-static")
	first := join(broker, group, topic, kgo.InstanceID("one"))
	defer first.close()
	second := join(broker, group, topic, kgo.InstanceID("two"))
	facts.Await("two each", func() bool { return first.owns() == 2 && second.owns() == 2 })
	_, generation := first.client.GroupMetadata()
	second.close()
	again := join(broker, group, topic, kgo.InstanceID("two"))
	defer again.close()
	facts.Await("it is back", func() bool { return again.owns() == 2 })
	_, after := again.client.GroupMetadata()
	facts.Same("generation", generation, after)
	produce(broker, topic, partitions, 0, 400)
	facts.Await("all came", func() bool { return len(together(first, again)) == 400 })
}

func seek(broker string) {
	topic := create(broker, "franz-seek", 1)
	base := time.UnixMilli(time.Now().Add(-time.Hour).UnixMilli())
	producer := client(broker)
	defer producer.Close()
	var records []*kgo.Record
	for number := range 100 {
		records = append(records, &kgo.Record{
			Topic: topic, Value: []byte(facts.Value(number)), Timestamp: base.Add(time.Duration(number) * 10 * time.Millisecond),
		})
	}
	facts.Must("producing", producer.ProduceSync(within(), records...).FirstErr())
	for what, offset := range map[string]struct {
		from kgo.Offset
		want int64
	}{
		"by offset":    {kgo.NewOffset().At(57), 57},
		"by time":      {kgo.NewOffset().AfterMilli(base.UnixMilli() + 331), 34},
		"from the end": {kgo.NewOffset().AtEnd().Relative(-3), 97},
		"the start":    {kgo.NewOffset().AtStart(), 0},
	} {
		consumer := client(broker, from(topic, 0, offset.from))
		got := take(consumer, 1)[0]
		facts.Same(what, offset.want, got.Offset)
		facts.Same("timestamp", base.UnixMilli()+10*offset.want, got.Timestamp.UnixMilli())
		consumer.SetOffsets(map[string]map[int32]kgo.EpochOffset{topic: {0: {Epoch: -1, Offset: 12}}})
		consumer.Close()
	}
}
