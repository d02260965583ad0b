# Nothing can be placed before the broker is registered.

create
a
----
a: Unable to replicate the partition 1 time(s): The target replication factor of 1 cannot be reached because only 0 broker(s) are registered or some brokers have all their log directories cordoned.

start
----
epoch 0
| FeatureLevel metadata.version 30
| RegisterBroker 1 epoch 0 ["PLAINTEXT://localhost:9092"]
| BrokerRegistrationChange 1 fenced -1
> features
> brokers

# Numbers that are not given come from the broker's settings (num.partitions=2).

create
d
x p=3 rf=1
----
d: ok 2 x 1
x: ok 3 x 1
| Topic d 1w0yWeThS2OcZjz01zxMBA
| Partition 0 replicas [1] isr [1] leader 1 epochs 0 0 directories [AQEBAQEBAQEBAQEBAQEBAQ]
| Partition 1 replicas [1] isr [1] leader 1 epochs 0 0 directories [AQEBAQEBAQEBAQEBAQEBAQ]
| Topic x AiqxuoBASOaLKT5ncOs6lQ
| Partition 0 replicas [1] isr [1] leader 1 epochs 0 0 directories [AQEBAQEBAQEBAQEBAQEBAQ]
| Partition 1 replicas [1] isr [1] leader 1 epochs 0 0 directories [AQEBAQEBAQEBAQEBAQEBAQ]
| Partition 2 replicas [1] isr [1] leader 1 epochs 0 0 directories [AQEBAQEBAQEBAQEBAQEBAQ]
> created d
> created x

auto e f d
----
e: ok 2 x 1
f: ok 2 x 1
d: Topic 'd' already exists.
| Topic e 2iEeamY7Q3ORqr7Lhr7aPw
| Partition 0 replicas [1] isr [1] leader 1 epochs 0 0 directories [AQEBAQEBAQEBAQEBAQEBAQ]
| Partition 1 replicas [1] isr [1] leader 1 epochs 0 0 directories [AQEBAQEBAQEBAQEBAQEBAQ]
| Topic f 9tDCM6HES3e-vgI9Udb8Uw
| Partition 0 replicas [1] isr [1] leader 1 epochs 0 0 directories [AQEBAQEBAQEBAQEBAQEBAQ]
| Partition 1 replicas [1] isr [1] leader 1 epochs 0 0 directories [AQEBAQEBAQEBAQEBAQEBAQ]
> created e
> created f

# Names. The words are Kafka's.

create
a/b
..
d
__cluster_metadata
a.b
same
same
----
a/b: Topic name is invalid: 'a/b' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'
..: Topic name is invalid: '..' is not allowed
d: Topic 'd' already exists.
__cluster_metadata: Creation of internal topic __cluster_metadata is prohibited.
a.b: ok 2 x 1
same: Duplicate topic name.
| Topic a.b YWdQmXrATiKpU3mIdqLDaQ
| Partition 0 replicas [1] isr [1] leader 1 epochs 0 0 directories [AQEBAQEBAQEBAQEBAQEBAQ]
| Partition 1 replicas [1] isr [1] leader 1 epochs 0 0 directories [AQEBAQEBAQEBAQEBAQEBAQ]
> created a.b

create
a_b
----
a_b: Topic 'a_b' collides with existing topic: a.b

# Partitions and replicas.

create
p0 p=0
p-2 p=-2
rf0 rf=0
rf-2 rf=-2
rf2 rf=2
rf0p0 rf=0 p=0
----
p0: Number of partitions was set to an invalid non-positive value.
p-2: Number of partitions was set to an invalid non-positive value.
rf0: Replication factor must be larger than 0, or -1 to use the default value.
rf-2: Replication factor must be larger than 0, or -1 to use the default value.
rf2: Unable to replicate the partition 2 time(s): The target replication factor of 2 cannot be reached because only 1 broker(s) are registered or some brokers have all their log directories cordoned.
rf0p0: Replication factor must be larger than 0, or -1 to use the default value.

# Assignments.

create
as @0:1 @1:1
gap @0:1 @2:1
one @1:1
unknown @0:2
negative @0:-1
twice @0:1,1
nobody @0:
double @0:1 @0:1
uneven @0:1 @1:1,1
both @0:1 p=1
bothrf @0:1 rf=1
----
as: ok 2 x 1
gap: partitions should be a consecutive 0-based integer sequence
one: partitions should be a consecutive 0-based integer sequence
unknown: The manual partition assignment includes broker 2, but no such broker is registered.
negative: The manual partition assignment includes broker -1, but no such broker is registered.
twice: The manual partition assignment includes the broker 1 more than once.
nobody: The manual partition assignment includes an empty replica list.
double: Found multiple manual partition assignments for partition 0
uneven: The manual partition assignment includes the broker 1 more than once.
both: A manual partition assignment was specified, but numPartitions was not set to -1.
bothrf: A manual partition assignment was specified, but replication factor was not set to -1.
| Topic as 6_q1BZvnQhqsY90ot0669Q
| Partition 0 replicas [1] isr [1] leader 1 epochs 0 0 directories [AQEBAQEBAQEBAQEBAQEBAQ]
| Partition 1 replicas [1] isr [1] leader 1 epochs 0 0 directories [AQEBAQEBAQEBAQEBAQEBAQ]
> created as

# Settings are checked before partitions.

create
bad segment.bytes=1 p=0
unknownkey foo=1
null retention.ms
lag min.compaction.lag.ms=10 max.compaction.lag.ms=5
tier remote.storage.enable=true
good retention.ms=7 segment.bytes=2000000
----
bad: Invalid value 1 for configuration segment.bytes: Value must be at least 1048576
unknownkey: Unknown topic config name: foo
null: Null value not supported for topic configs: retention.ms
lag: conflict topic config setting min.compaction.lag.ms (10) > max.compaction.lag.ms (5)
tier: Tiered Storage functionality is disabled in the broker. Topic cannot be configured with remote log storage.
good: ok 2 x 1
| Topic good TrNFSt9UQ-uwZAGjJJkP3w
| Config 2 good retention.ms=Some("7")
| Config 2 good segment.bytes=Some("2000000")
| Partition 0 replicas [1] isr [1] leader 1 epochs 0 0 directories [AQEBAQEBAQEBAQEBAQEBAQ]
| Partition 1 replicas [1] isr [1] leader 1 epochs 0 0 directories [AQEBAQEBAQEBAQEBAQEBAQ]
> created good

# Checked and not done.

create validate
v p=3
d
----
v: ok 3 x 1
d: Topic 'd' already exists.

show
----
broker 1 epoch 0 active
feature metadata.version 30
topic a.b YWdQmXrATiKpU3mIdqLDaQ retention Some(604800000) [1 at 0] [1 at 0]
topic as 6_q1BZvnQhqsY90ot0669Q retention Some(604800000) [1 at 0] [1 at 0]
topic d 1w0yWeThS2OcZjz01zxMBA retention Some(604800000) [1 at 0] [1 at 0]
topic e 2iEeamY7Q3ORqr7Lhr7aPw retention Some(604800000) [1 at 0] [1 at 0]
topic f 9tDCM6HES3e-vgI9Udb8Uw retention Some(604800000) [1 at 0] [1 at 0]
topic good TrNFSt9UQ-uwZAGjJJkP3w retention Some(7) [1 at 0] [1 at 0]
topic x AiqxuoBASOaLKT5ncOs6lQ retention Some(604800000) [1 at 0] [1 at 0] [1 at 0]
