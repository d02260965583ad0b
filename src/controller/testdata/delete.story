start
----
epoch 0
| FeatureLevel metadata.version 30
| RegisterBroker 1 epoch 0 ["PLAINTEXT://localhost:9092"]
| BrokerRegistrationChange 1 fenced -1
> features
> brokers

create
a p=1
b p=1
c p=1
d p=1 retention.ms=1
e.f p=1
----
a: ok 1 x 1
b: ok 1 x 1
c: ok 1 x 1
d: ok 1 x 1
e.f: ok 1 x 1
| Topic a 1w0yWeThS2OcZjz01zxMBA
| Partition 0 replicas [1] isr [1] leader 1 epochs 0 0 directories [AQEBAQEBAQEBAQEBAQEBAQ]
| Topic b AiqxuoBASOaLKT5ncOs6lQ
| Partition 0 replicas [1] isr [1] leader 1 epochs 0 0 directories [AQEBAQEBAQEBAQEBAQEBAQ]
| Topic c 2iEeamY7Q3ORqr7Lhr7aPw
| Partition 0 replicas [1] isr [1] leader 1 epochs 0 0 directories [AQEBAQEBAQEBAQEBAQEBAQ]
| Topic d 9tDCM6HES3e-vgI9Udb8Uw
| Config 2 d retention.ms=Some("1")
| Partition 0 replicas [1] isr [1] leader 1 epochs 0 0 directories [AQEBAQEBAQEBAQEBAQEBAQ]
| Topic e.f YWdQmXrATiKpU3mIdqLDaQ
| Partition 0 replicas [1] isr [1] leader 1 epochs 0 0 directories [AQEBAQEBAQEBAQEBAQEBAQ]
> created a
> created b
> created c
> created d
> created e.f

delete
a
nope
?
-
b#
----
a 1w0yWeThS2OcZjz01zxMBA: ok
nope AAAAAAAAAAAAAAAAAAAAAA: This server does not host this topic-partition.
- CAgICAgICAgICAgICAgICA: This server does not host this topic ID.
- AAAAAAAAAAAAAAAAAAAAAA: Neither topic name nor id were specified.
b AiqxuoBASOaLKT5ncOs6lQ: You may not specify both topic name and topic id.
| RemoveTopic 1w0yWeThS2OcZjz01zxMBA
> removed a

delete
b
b
#c
#c
d
#d
----
b AAAAAAAAAAAAAAAAAAAAAA: Duplicate topic name.
- 2iEeamY7Q3ORqr7Lhr7aPw: Duplicate topic id.
d 9tDCM6HES3e-vgI9Udb8Uw: The provided topic name maps to an ID that was already supplied.

delete
#c
b
----
c 2iEeamY7Q3ORqr7Lhr7aPw: ok
b AiqxuoBASOaLKT5ncOs6lQ: ok
| RemoveTopic 2iEeamY7Q3ORqr7Lhr7aPw
| RemoveTopic AiqxuoBASOaLKT5ncOs6lQ
> removed c
> removed b

delete
e.f
----
e.f YWdQmXrATiKpU3mIdqLDaQ: ok
| RemoveTopic YWdQmXrATiKpU3mIdqLDaQ
> removed e.f

# The name is free again, also for what would have collided, and old settings are gone.

create
e_f p=1
a p=1
----
e_f: ok 1 x 1
a: ok 1 x 1
| Topic e_f 6_q1BZvnQhqsY90ot0669Q
| Partition 0 replicas [1] isr [1] leader 1 epochs 0 0 directories [AQEBAQEBAQEBAQEBAQEBAQ]
| Topic a TrNFSt9UQ-uwZAGjJJkP3w
| Partition 0 replicas [1] isr [1] leader 1 epochs 0 0 directories [AQEBAQEBAQEBAQEBAQEBAQ]
> created e_f
> created a

delete
d
----
d 9tDCM6HES3e-vgI9Udb8Uw: ok
| RemoveTopic 9tDCM6HES3e-vgI9Udb8Uw
> removed d

create
d p=1
----
d: ok 1 x 1
| Topic d 5hVfCy2bT924hesaa5BcjA
| Partition 0 replicas [1] isr [1] leader 1 epochs 0 0 directories [AQEBAQEBAQEBAQEBAQEBAQ]
> created d

show
----
broker 1 epoch 0 active
feature metadata.version 30
topic a TrNFSt9UQ-uwZAGjJJkP3w retention Some(604800000) [1 at 0]
topic d 5hVfCy2bT924hesaa5BcjA retention Some(604800000) [1 at 0]
topic e_f 6_q1BZvnQhqsY90ot0669Q retention Some(604800000) [1 at 0]

config
delete.topic.enable=false
----

start
----
epoch 0
| FeatureLevel metadata.version 30
| RegisterBroker 1 epoch 0 ["PLAINTEXT://localhost:9092"]
| BrokerRegistrationChange 1 fenced -1
> features
> brokers

create
a p=1
----
a: ok 1 x 1
| Topic a 1w0yWeThS2OcZjz01zxMBA
| Partition 0 replicas [1] isr [1] leader 1 epochs 0 0 directories [AQEBAQEBAQEBAQEBAQEBAQ]
> created a

delete
a
#a
----
a AAAAAAAAAAAAAAAAAAAAAA: Topic deletion is disabled.
- 1w0yWeThS2OcZjz01zxMBA: Topic deletion is disabled.
