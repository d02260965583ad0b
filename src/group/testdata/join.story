# A client without an id is given one and joins with it (KIP-394). The first join phase lasts
# group.initial.rebalance.delay.ms.

settings delay=3000
join g -
----
> 1 join c#01 refused: a member joins with the id that it was given
| Group g generation 0 /- leader -

list
join g c#01
list
----
g Empty classic ""
* g leaves generation 0: member c#01 is new
g PreparingRebalance classic "consumer"

wait 2999
wait 1
----
after 1 ms
> 2 join c#01: generation 1 consumer/range leader c#01 [c#01]

# The group is stable when its generation is in the log, and not before.

hold
sync g c#01 1 c#01=all
describe g
----
| Group g generation 1 consumer/range leader c#01 [c#01 "all"]
g CompletingRebalance consumer/
  c#01 c /127.0.0.1 metadata of 0 bytes ""

release
describe g
list
----
> 3 sync: consumer/range "all"
* g is stable at 1 with 1
g Stable consumer/range
  c#01 c /127.0.0.1 metadata of 13 bytes "all"
g Stable classic "consumer"

# A second one: the first learns of it by its heartbeat and joins again. Nobody who joined waits for
# an id that nobody uses: it would end with its session.

join g - client=d
heartbeat g c#01 1
join g d#03 client=d
heartbeat g c#01 1
join g c#01
----
> 4 join d#03 refused: a member joins with the id that it was given
> 5 heartbeat: ok
* g leaves generation 1: member d#03 is new
> 7 heartbeat refused: the group is rebalancing
> 8 join c#01: generation 2 consumer/range leader c#01 [c#01] [d#03]
> 6 join d#03: generation 2 consumer/range leader c#01

# The leader's SyncGroup answers both. A third of its words goes to nobody.

sync g d#03 2
sync g c#01 2 c#01=half d#03=other x=lost
describe g
----
| Group g generation 2 consumer/range leader c#01 [c#01 "half"] [d#03 "other"]
> 10 sync: consumer/range "half"
> 9 sync: consumer/range "other"
* g is stable at 2 with 2
g Stable consumer/range
  c#01 c /127.0.0.1 metadata of 13 bytes "half"
  d#03 d /127.0.0.1 metadata of 13 bytes "other"

# Old clients join at once.

join g - v=3 client=old
join g c#01
join g d#03
----
* g leaves generation 2: member old#06 is new
> 12 join c#01: generation 3 consumer/range leader c#01 [c#01] [d#03] [old#06]
> 13 join d#03: generation 3 consumer/range leader c#01
> 11 join old#06: generation 3 consumer/range leader c#01

# A newcomer within the initial delay gets everyone more time, as long as the rebalance timeout lasts.

settings delay=3000
join h - v=3 rebalance=5000
wait 2000
join h - v=3 rebalance=5000 client=d
wait 1000
wait 1999
wait 1
----
* h leaves generation 0: member c#01 is new
| Group h generation 0 /- leader -
after 1 ms
> 1 join c#01: generation 1 consumer/range leader c#01 [c#01] [d#02]
> 2 join d#02: generation 1 consumer/range leader c#01

# The same join again: the answer was lost, and is given again. A SyncGroup sent twice answers the
# first, too.

join h c#01 rebalance=5000
sync h d#02 1
sync h d#02 1
sync h c#01 1 c#01=x d#02=y
sync h d#02 1
join h d#02
----
> 3 join c#01: generation 1 consumer/range leader c#01 [c#01] [d#02]
> 4 sync refused: the group is rebalancing
| Group h generation 1 consumer/range leader c#01 [c#01 "x"] [d#02 "y"]
> 6 sync: consumer/range "x"
> 5 sync: consumer/range "y"
* h is stable at 1 with 2
> 7 sync: consumer/range "y"
> 8 join d#02: generation 1 consumer/range leader c#01

# A leader that joins forces a rebalance: it has seen new partitions. A JoinGroup sent twice, too.

join h c#01
join h c#01
join h d#02
----
* h leaves generation 1: member c#01 joins in Stable
> 9 join c#01 refused: the group is rebalancing
> 10 join c#01: generation 2 consumer/range leader c#01 [c#01] [d#02]
> 11 join d#02: generation 2 consumer/range leader c#01

# Refused by name.

join h nobody
join i nobody
join h - session=5999
join h - session=1800001
join "" -
----
> 12 join nobody refused: the group has no member "nobody"
> 13 join nobody refused: the group has no member "nobody"
> 14 join - refused: a session timeout of 5999 ms is out of bounds: 6000 (group.min.session.timeout.ms) to 1800000 (group.max.session.timeout.ms) are allowed
> 15 join - refused: a session timeout of 1800001 ms is out of bounds: 6000 (group.min.session.timeout.ms) to 1800000 (group.max.session.timeout.ms) are allowed
> 16 join - refused: the group id is empty
