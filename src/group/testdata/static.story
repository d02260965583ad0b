# Static members (KIP-345) need no second join.

join g - as=a
join g - as=b client=d
wait 0
sync g b#02 1 as=b
sync g a#01 1 as=a a#01=x b#02=y
----
* g leaves generation 0: member a#01 is new
| Group g generation 0 /- leader -
after 0 ms
> 1 join a#01: generation 1 consumer/range leader a#01 [a#01 as a] [b#02 as b]
> 2 join b#02: generation 1 consumer/range leader a#01
| Group g generation 1 consumer/range leader a#01 [a#01 as a "x"] [b#02 as b "y"]
> 4 sync: consumer/range "x"
> 3 sync: consumer/range "y"
* g is stable at 1 with 2

# Another process takes the place of b: nobody else learns of it, and its answer waits for the log.

hold
join g - as=b client=d
describe g
----
* g: b#03 is for b#02
| Group g generation 1 consumer/range leader a#01 [a#01 as a "x"] [b#03 as b "y"]
g Stable consumer/range
  a#01 as a c /127.0.0.1 metadata of 13 bytes "x"
  b#03 as b d /127.0.0.1 metadata of 13 bytes "y"

release
sync g b#03 1 as=b
----
> 5 join b#03: generation 1 consumer/range leader a#01
> 6 sync: consumer/range "y"

# Who had the place is told, whatever it asks.

heartbeat g b#02 1 as=b
sync g b#02 1 as=b
join g b#02 as=b
commit g b#02 1 t:0=5 as=b
leave g b#02=b
----
> 7 heartbeat refused: instance b belongs to member b#03 now
> 8 sync refused: instance b belongs to member b#03 now
> 9 join b#02 refused: instance b belongs to member b#03 now
> 10 commit refused: instance b belongs to member b#03 now
> 11 leave: b#02 refused: instance b belongs to member b#03 now

# The leader's place: it is told not to assign (KIP-814), or, where it would not understand, that
# another leads.

join g - as=a
sync g a#05 1 as=a
join g - as=a v=8
----
* g: a#05 is for a#01
| Group g generation 1 consumer/range leader a#05 [a#05 as a "x"] [b#03 as b "y"]
> 12 join a#05: generation 1 consumer/range leader a#05 skip [a#05 as a] [b#03 as b]
> 13 sync: consumer/range "x"
* g: a#06 is for a#05
| Group g generation 1 consumer/range leader a#06 [a#06 as a "x"] [b#03 as b "y"]
> 14 join a#06: generation 1 consumer/range leader a#05

# With another subscription that changes the protocol everyone joins again.

settings
join g - as=a with=x:t,y:t
join g - as=b client=d with=x:t,y:t
wait 0
sync g b#02 1
sync g a#01 1 a#01=x b#02=y
join g - as=b client=d with=y:t
join g a#01 as=a with=x:t,y:t
----
* g leaves generation 0: member a#01 is new
| Group g generation 0 /- leader -
after 0 ms
> 1 join a#01: generation 1 consumer/x leader a#01 [a#01 as a] [b#02 as b]
> 2 join b#02: generation 1 consumer/x leader a#01
| Group g generation 1 consumer/x leader a#01 [a#01 as a "x"] [b#02 as b "y"]
> 4 sync: consumer/x "x"
> 3 sync: consumer/x "y"
* g is stable at 1 with 2
* g: b#03 is for b#02
* g leaves generation 1: static member b#03 took its place
> 6 join a#01: generation 2 consumer/y leader a#01 [a#01 as a] [b#03 as b]
> 5 join b#03: generation 2 consumer/y leader a#01

# Taken over while it waits: the one that waited is fenced. And while the leader assigns: everyone
# joins again, since the assignment would be for the old id.

sync g b#03 2
join g - as=b client=d with=y:t
join g - as=b client=d with=y:t
join g a#01 as=a with=x:t,y:t
----
> 7 sync refused: instance b belongs to member b#05 now
* g: b#05 is for b#03
* g leaves generation 2: static member b#05 took its place
> 8 join b#05 refused: instance b belongs to member b#06 now
* g: b#06 is for b#05
> 10 join a#01: generation 3 consumer/y leader a#01 [a#01 as a] [b#06 as b]
> 9 join b#06: generation 3 consumer/y leader a#01

# A static member that is late keeps its place; the others go on without it.

settings
join g - as=a rebalance=5000 session=30000
join g - v=3 client=d rebalance=5000 session=30000
wait 0
sync g d#02 1
sync g a#01 1 a#01=x d#02=y
join g - v=3 client=e rebalance=5000 session=30000
join g d#02
wait 5000
----
* g leaves generation 0: member a#01 is new
| Group g generation 0 /- leader -
after 0 ms
> 1 join a#01: generation 1 consumer/range leader a#01 [a#01 as a] [d#02]
> 2 join d#02: generation 1 consumer/range leader a#01
| Group g generation 1 consumer/range leader a#01 [a#01 as a "x"] [d#02 "y"]
> 4 sync: consumer/range "x"
> 3 sync: consumer/range "y"
* g is stable at 1 with 2
* g leaves generation 1: member e#03 is new
after 5000 ms
> 6 join d#02: generation 2 consumer/range leader d#02 [a#01 as a] [d#02] [e#03]
> 5 join e#03: generation 2 consumer/range leader d#02

# An instance that nobody has, or an id of another's.

heartbeat g a#01 2 as=z
heartbeat g d#02 2 as=a
join g nobody as=z
----
> 7 heartbeat refused: the group has no member "a#01"
> 8 heartbeat refused: instance a belongs to member a#01 now
> 9 join nobody refused: the group has no member "nobody"

# Not written: the old id has its place back.

settings
join g - as=a
wait 0
sync g a#01 1 a#01=x
hold
join g - as=a
fail unavailable
heartbeat g a#01 1 as=a
heartbeat g a#02 1 as=a
----
* g leaves generation 0: member a#01 is new
| Group g generation 0 /- leader -
after 0 ms
> 1 join a#01: generation 1 consumer/range leader a#01 [a#01 as a]
| Group g generation 1 consumer/range leader a#01 [a#01 as a "x"]
> 2 sync: consumer/range "x"
* g is stable at 1 with 1
* g: a#02 is for a#01
| Group g generation 1 consumer/range leader a#02 [a#02 as a "x"]
> 3 join - refused: not written: the partition does not take records now
> 4 heartbeat: ok
> 5 heartbeat refused: instance a belongs to member a#01 now

# Written, but a rebalance has begun: it counts as joined.

join g - as=a
join g - v=3 client=d
release
join g - v=3 client=e
wait 60000
----
* g: a#03 is for a#01
| Group g generation 1 consumer/range leader a#03 [a#03 as a "x"]
* g leaves generation 1: member d#04 is new
> 6 join a#03: generation 2 consumer/range leader a#03 [a#03 as a] [d#04]
> 7 join d#04: generation 2 consumer/range leader a#03
* g leaves generation 2: member e#05 is new
after 10000 ms
* g lost a#03: Session { timeout: 10s }
* g lost d#04: Session { timeout: 10s }
> 8 join e#05: generation 3 consumer/range leader e#05 [e#05]
after 20000 ms
* g lost e#05: Session { timeout: 10s }
* g leaves generation 3: member e#05 was silent for 10000 ms
* g is empty at 4
| Group g generation 4 consumer/- leader -
