# Settings change while the broker runs. The refusals were recorded from Kafka 4.3.1, but for those
# that are said to be ours.

start
----
epoch 0
| FeatureLevel metadata.version 30
| RegisterBroker 1 epoch 0 ["PLAINTEXT://localhost:9092"]
| BrokerRegistrationChange 1 fenced -1
> features
> brokers

create
t p=1 retention.ms=5
u p=1
----
t: ok 1 x 1
u: ok 1 x 1
| Topic t 1w0yWeThS2OcZjz01zxMBA
| Config 2 t retention.ms=Some("5")
| Partition 0 replicas [1] isr [1] leader 1 epochs 0 0 directories [AQEBAQEBAQEBAQEBAQEBAQ]
| Topic u AiqxuoBASOaLKT5ncOs6lQ
| Partition 0 replicas [1] isr [1] leader 1 epochs 0 0 directories [AQEBAQEBAQEBAQEBAQEBAQ]
> created t
> created u

alter
2 "t" retention.ms=100000
----
2 "t": ok
| Config 2 t retention.ms=Some("100000")
> changed t

# What is the same needs no record, and what is not there is not deleted.

alter
2 "t" retention.ms=100000 -segment.ms -foo.bar
----
2 "t": ok

alter
2 "t" foo.bar=1
----
2 "t": Unknown topic config name: foo.bar

alter
2 "t" retention.ms=x
----
2 "t": Invalid value x for configuration retention.ms: Not a number of type LONG

alter
2 "t" retention.ms segment.ms
----
2 "t": Null value not supported for : retention.ms, segment.ms

# Ours: Kafka fails with an error of its own.

alter
2 "t" retention.ms%9
----
2 "t": Unknown operations type 9

alter
2 "t" retention.ms+=1
----
2 "t": Can't APPEND to key retention.ms because its type is not LIST.

alter
2 "t" foo.bar+=1
----
2 "t": Can't APPEND to key foo.bar because its type is not LIST.

alter
2 "t" cleanup.policy+=compact
----
2 "t": ok
| Config 2 t cleanup.policy=Some("delete,compact")
> changed t

alter
2 "t" cleanup.policy+=compact,delete
----
2 "t": ok

alter
2 "t" cleanup.policy+=burn
----
2 "t": Invalid value burn for configuration cleanup.policy: String must be one of: compact, delete

alter
2 "t" cleanup.policy-=compact
----
2 "t": ok
| Config 2 t cleanup.policy=Some("delete")
> changed t

alter
2 "t" -cleanup.policy
----
2 "t": ok
| Config 2 t cleanup.policy=None
> changed t

alter
2 "t" retention.ms=1 -retention.ms
----
2 "t": Error due to duplicate config keys

alter
2 "t" retention.ms=1
2 "t" segment.ms=1
2 "u" segment.ms=1000
----
2 "t": Each resource must appear at most once.
2 "t": Each resource must appear at most once.
2 "u": ok
| Config 2 u segment.ms=Some("1000")
> changed u

alter
2 "nobody" retention.ms=1
----
2 "nobody": The topic 'nobody' does not exist.

alter
2 "no/pe" retention.ms=1
----
2 "no/pe": Topic name is invalid: 'no/pe' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'

alter
2 "" retention.ms=1
----
2 "": Default topic resources are not allowed.

alter
2 "t" min.compaction.lag.ms=10 max.compaction.lag.ms=5
----
2 "t": conflict topic config setting min.compaction.lag.ms (10) > max.compaction.lag.ms (5)

alter
2 "t" remote.storage.enable=true
----
2 "t": Tiered Storage functionality is disabled in the broker. Topic cannot be configured with remote log storage.

alter
0 "t" retention.ms=1
----
0 "t": Unknown resource type 0

alter validate
2 "t" retention.ms=77
----
2 "t": ok

# What AlterConfigs does not name goes.

replace
2 "t" segment.ms=1000000
----
2 "t": ok
| Config 2 t retention.ms=None
| Config 2 t segment.ms=Some("1000000")
> changed t

replace
2 "t"
----
2 "t": ok
| Config 2 t segment.ms=None
> changed t

# A broker's own settings, and those of all brokers. Records are written although nothing changes.

alter
4 "" log.retention.ms=300000000
4 "1" log.retention.ms=200000000
----
4 "": ok
4 "1": ok
| Config 4  log.retention.ms=Some("300000000")
| Config 4 1 log.retention.ms=Some("200000000")
> config
> changed t
> changed u

show
----
broker 1 epoch 0 active
feature metadata.version 30
topic t 1w0yWeThS2OcZjz01zxMBA retention Some(200000000) [1 at 0]
topic u AiqxuoBASOaLKT5ncOs6lQ retention Some(200000000) [1 at 0]

alter
4 "1" log.retention.ms=200000000
----
4 "1": ok
| Config 4 1 log.retention.ms=Some("200000000")
> config

alter
4 "1" -log.retention.ms -log.roll.ms
4 "" -log.retention.ms
----
4 "1": ok
4 "": ok
| Config 4 1 log.retention.ms=None
| Config 4 1 log.roll.ms=None
| Config 4  log.retention.ms=None
> config
> changed t
> changed u

alter
4 "1" node.id=5 num.partitions=3
----
4 "1": Cannot update these configs dynamically: [node.id, num.partitions]

alter
4 "" listeners=PLAINTEXT://:1
----
4 "": Cannot update these configs at default cluster level, broker id must be specified: [listeners]

# Ours: Kafka would open it.

alter
4 "1" listeners=PLAINTEXT://:1
----
4 "1": These configs take effect with a restart only, set them in the broker's file: [listeners]

alter
4 "1" ssl.keystore.location=/x
----
4 "1": These security configs can be dynamically updated only per-listener using the listener prefix: [ssl.keystore.location]

# Ours: Kafka keeps what nobody knows, for plugins.

alter
4 "1" foo.bar=5
----
4 "1": Unknown broker config name: foo.bar

alter
4 "1" foo.bar+=5
----
4 "1": Unknown config name: foo.bar

alter
4 "1" log.retention.ms+=5
----
4 "1": Config value append is not allowed for config key: log.retention.ms

alter
4 "1" log.cleanup.policy+=compact
----
4 "1": ok
| Config 4 1 log.cleanup.policy=Some("delete,compact")
> config
> changed t
> changed u

alter
4 "1" -log.cleanup.policy
----
4 "1": ok
| Config 4 1 log.cleanup.policy=None
> config
> changed t
> changed u

alter
4 "1" log.retention.ms=x
----
4 "1": Invalid value x for configuration log.retention.ms: Not a number of type LONG

alter
4 "2" log.retention.ms=1
----
4 "2": Unexpected broker id, expected 1, but received 2

alter
4 "x" log.retention.ms=1
----
4 "x": Node id must be an integer, but it is: x

# Ours: a broker's setting that a topic's own contradicts.

alter
2 "t" min.compaction.lag.ms=10
----
2 "t": ok
| Config 2 t min.compaction.lag.ms=Some("10")
> changed t

alter
4 "" log.cleaner.max.compaction.lag.ms=5
----
4 "": the settings cannot be together: the settings of topic t are refused: conflict topic config setting min.compaction.lag.ms (10) > max.compaction.lag.ms (5). If this follows from a line of the broker's file, change it back; the topic's own settings were checked when it was made

alter
32 "g" consumer.session.timeout.ms=50000
----
32 "g": ok
| Config 32 g consumer.session.timeout.ms=Some("50000")
> group g sets 1

alter
32 "g" consumer.session.timeout.ms=1
----
32 "g": consumer.session.timeout.ms must be greater than or equal to group.consumer.min.session.timeout.ms

alter
32 "g" foo=1
----
32 "g": Unknown group config name: foo

alter
32 "" consumer.session.timeout.ms=50000
----
32 "": Default group resources are not allowed.

show
----
broker 1 epoch 0 active
feature metadata.version 30
group g {"consumer.session.timeout.ms": "50000"}
topic t 1w0yWeThS2OcZjz01zxMBA retention Some(604800000) [1 at 0]
topic u AiqxuoBASOaLKT5ncOs6lQ retention Some(604800000) [1 at 0]

alter
32 "g" -consumer.session.timeout.ms
----
32 "g": ok
| Config 32 g consumer.session.timeout.ms=None
> group g sets 0

alter
16 "m" interval.ms=5000
----
16 "m": Client metrics are not served yet.

alter
8 "1" root=INFO
----
8 "1": Unknown resource type 8
