start
----
epoch 0
| FeatureLevel metadata.version 30
| RegisterBroker 1 epoch 0 ["PLAINTEXT://localhost:9092"]
| BrokerRegistrationChange 1 fenced -1
> features
> brokers

ids
----
1000 ids from 0
| ProducerIds up to 1000
> producer ids from 1000

ids
----
1000 ids from 1000
| ProducerIds up to 2000
> producer ids from 2000

ids 7
----
Expected broker epoch 0, but got broker epoch 7

create
a p=2
----
a: ok 2 x 1
| Topic a 1w0yWeThS2OcZjz01zxMBA
| Partition 0 replicas [1] isr [1] leader 1 epochs 0 0 directories [AQEBAQEBAQEBAQEBAQEBAQ]
| Partition 1 replicas [1] isr [1] leader 1 epochs 0 0 directories [AQEBAQEBAQEBAQEBAQEBAQ]
> created a

# A second process gets a greater epoch, and the first one no more ids.

start
----
epoch 8
| RegisterBroker 1 epoch 8 ["PLAINTEXT://localhost:9092"]
| BrokerRegistrationChange 1 fenced -1
> brokers

ids 1
----
Expected broker epoch 8, but got broker epoch 1

ids
----
1000 ids from 2000
| ProducerIds up to 3000
> producer ids from 3000

unclean
----
| PartitionChange 1w0yWeThS2OcZjz01zxMBA 0 leader 1
| PartitionChange 1w0yWeThS2OcZjz01zxMBA 1 leader 1
> changed a

show
----
broker 1 epoch 8 active
feature metadata.version 30
topic a 1w0yWeThS2OcZjz01zxMBA retention Some(604800000) [1 at 1] [1 at 1]

# With two directories the broker chooses.

start 2
----
epoch 13
| RegisterBroker 1 epoch 13 ["PLAINTEXT://localhost:9092"]
| BrokerRegistrationChange 1 fenced -1
> brokers

create
b p=1
----
b: ok 1 x 1
| Topic b AiqxuoBASOaLKT5ncOs6lQ
| Partition 0 replicas [1] isr [1] leader 1 epochs 0 0 directories [AAAAAAAAAAAAAAAAAAAAAA]
> created b

# What is wrong with the defaults shows where they are used.

config
default.replication.factor=3
----

start
----
epoch 0
| FeatureLevel metadata.version 30
| RegisterBroker 1 epoch 0 ["PLAINTEXT://localhost:9092"]
| BrokerRegistrationChange 1 fenced -1
> features
> brokers

auto a
----
a: Unable to replicate the partition 3 time(s): The target replication factor of 3 cannot be reached because only 1 broker(s) are registered or some brokers have all their log directories cordoned.
