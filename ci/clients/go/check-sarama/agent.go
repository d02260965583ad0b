package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/IBM/sarama"

	"highwater.ci/clients/facts"
)

// agent is what log shippers are at heart: it follows a file that grows and sends each line to a topic.
type agent struct {
	file     *os.File
	topic    string
	producer sarama.AsyncProducer
	stop     atomic.Bool
	done     chan error
}

func follow(broker, path, topic string) *agent {
	file, err := os.Open(path)
	facts.Must("opening the log", err)
	settings := config()
	settings.Producer.Partitioner = sarama.NewHashPartitioner
	settings.Producer.Return.Successes = false
	settings.Producer.Compression = sarama.CompressionSnappy
	settings.Producer.Flush.Frequency = 5 * time.Millisecond
	producer, err := sarama.NewAsyncProducer([]string{broker}, settings)
	facts.Must("a producer", err)
	one := &agent{file: file, topic: topic, producer: producer, done: make(chan error, 1)}
	go one.run()
	return one
}

func (one *agent) run() {
	lines := bufio.NewReader(one.file)
	partial := ""
	for {
		text, err := lines.ReadString('\n')
		partial += text
		switch {
		case err == nil:
			line := partial[:len(partial)-1]
			partial = ""
			one.producer.Input() <- &sarama.ProducerMessage{Topic: one.topic, Value: sarama.StringEncoder(line)}
		case !errors.Is(err, io.EOF):
			one.done <- errors.Join(err, one.producer.Close())
			return
		case one.stop.Load():
			// Close sends what waits and returns what failed.
			one.done <- one.producer.Close()
			return
		default:
			// The end of a file that still grows: there is nothing to wait on but time.
			time.Sleep(time.Millisecond)
		}
	}
}

func logAgent(broker string) {
	dir, err := os.MkdirTemp("", "highwater-agent")
	facts.Must("a folder", err)
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "app.log")
	file, err := os.Create(path)
	facts.Must("a log", err)
	topic := create(broker, "sarama-agent", 1)
	one := follow(broker, path, topic)
	for number := range 1000 {
		_, err := fmt.Fprintln(file, facts.Value(number))
		facts.Must("logging", err)
	}
	facts.Must("closing the log", file.Close())
	for number, record := range take(broker, topic, sarama.OffsetOldest, 1000) {
		facts.Same("line", facts.Value(number), string(record.Value))
	}
	one.stop.Store(true)
	facts.Must("the agent", <-one.done)
}
