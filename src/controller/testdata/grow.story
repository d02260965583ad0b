# Topics grow, and never shrink. The refusals were recorded from Kafka 4.3.1.

start
----
epoch 0
| FeatureLevel metadata.version 30
| RegisterBroker 1 epoch 0 ["PLAINTEXT://localhost:9092"]
| BrokerRegistrationChange 1 fenced -1
> features
> brokers

create
t p=2
u p=1
----
t: ok 2 x 1
u: ok 1 x 1
| Topic t 1w0yWeThS2OcZjz01zxMBA
| Partition 0 replicas [1] isr [1] leader 1 epochs 0 0 directories [AQEBAQEBAQEBAQEBAQEBAQ]
| Partition 1 replicas [1] isr [1] leader 1 epochs 0 0 directories [AQEBAQEBAQEBAQEBAQEBAQ]
| Topic u AiqxuoBASOaLKT5ncOs6lQ
| Partition 0 replicas [1] isr [1] leader 1 epochs 0 0 directories [AQEBAQEBAQEBAQEBAQEBAQ]
> created t
> created u

grow
t 2
----
t: Topic already has 2 partition(s).

grow
t 1
----
t: The topic t currently has 2 partition(s); 1 would not be an increase.

grow
t 0
----
t: The topic t currently has 2 partition(s); 0 would not be an increase.

grow
t -1
----
t: The topic t currently has 2 partition(s); -1 would not be an increase.

grow
nobody 3
no/pe 3
----
nobody: This server does not host this topic-partition.
no/pe: This server does not host this topic-partition.

# Twice in one request is neither.

grow
t 3
u 2
t 4
----
t: Duplicate topic name.
u: ok
| Partition 1 replicas [1] isr [1] leader 1 epochs 0 0 directories [AQEBAQEBAQEBAQEBAQEBAQ]
> changed u

grow
t 4 @1
----
t: Attempted to add 2 additional partition(s), but only 1 assignment(s) were specified.

grow
t 3 @7
----
t: The manual partition assignment includes broker 7, but no such broker is registered.

grow
t 3 @
----
t: The manual partition assignment includes an empty replica list.

grow
t 3 @1,1
----
t: The manual partition assignment includes the broker 1 more than once.

grow validate
t 3
----
t: ok

grow
t 20003
----
t: Unable to perform excessively large batch operation.

grow
t 4 @1 @1
u 2
----
t: ok
u: Topic already has 2 partition(s).
| Partition 2 replicas [1] isr [1] leader 1 epochs 0 0 directories [AQEBAQEBAQEBAQEBAQEBAQ]
| Partition 3 replicas [1] isr [1] leader 1 epochs 0 0 directories [AQEBAQEBAQEBAQEBAQEBAQ]
> changed t

show
----
broker 1 epoch 0 active
feature metadata.version 30
topic t 1w0yWeThS2OcZjz01zxMBA retention Some(604800000) [1 at 0] [1 at 0] [1 at 0] [1 at 0]
topic u AiqxuoBASOaLKT5ncOs6lQ retention Some(604800000) [1 at 0] [1 at 0]
