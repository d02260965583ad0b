# An id that nobody joins with ends with its session.

join g - session=6000
wait 5999
wait 1
join g c#01
list
----
> 1 join c#01 refused: a member joins with the id that it was given
| Group g generation 0 /- leader -
> 2 join c#01 refused: the group has no member "c#01"
g Empty classic ""

# A silent member is gone after its session timeout; one that is heard is not.

join g - v=3 session=6000
join g - v=3 client=d session=9000
wait 0
sync g d#04 1
sync g c#03 1 c#03=x d#04=y
wait 5000
heartbeat g c#03 1
wait 4000
heartbeat g c#03 1
----
* g leaves generation 0: member c#03 is new
after 0 ms
> 3 join c#03: generation 1 consumer/range leader c#03 [c#03] [d#04]
> 4 join d#04: generation 1 consumer/range leader c#03
| Group g generation 1 consumer/range leader c#03 [c#03 "x"] [d#04 "y"]
> 6 sync: consumer/range "x"
> 5 sync: consumer/range "y"
* g is stable at 1 with 2
> 7 heartbeat: ok
after 4000 ms
* g lost d#04: Session { timeout: 9s }
* g leaves generation 1: member d#04 was silent for 9000 ms
> 8 heartbeat refused: the group is rebalancing

# What is left joins again. Who does not within the rebalance timeout is out.

join g - v=3 client=e rebalance=7000
wait 60000
heartbeat g c#03 2
heartbeat g e#05 2
----
after 6000 ms
* g lost c#03: Session { timeout: 6s }
> 9 join e#05: generation 2 consumer/range leader e#05 [e#05]
after 13000 ms
* g lost e#05: Sync
* g leaves generation 2: members did not send their SyncGroup in time
* g is empty at 3
| Group g generation 3 consumer/- leader -
> 10 heartbeat refused: the group has no member "c#03"
> 11 heartbeat refused: the group has no member "e#05"

# A member that took the generation and never sent a SyncGroup is out after the rebalance timeout,
# though its heart beats.

settings
join g - v=3 rebalance=8000 session=6000
join g - v=3 client=d rebalance=8000 session=6000
wait 0
sync g c#01 1 c#01=x d#02=y
wait 5000
heartbeat g d#02 1
heartbeat g c#01 1
wait 3000
heartbeat g d#02 1
heartbeat g c#01 1
join g c#01
----
* g leaves generation 0: member c#01 is new
| Group g generation 0 /- leader -
after 0 ms
> 1 join c#01: generation 1 consumer/range leader c#01 [c#01] [d#02]
> 2 join d#02: generation 1 consumer/range leader c#01
| Group g generation 1 consumer/range leader c#01 [c#01 "x"] [d#02 "y"]
> 3 sync: consumer/range "x"
* g is stable at 1 with 2
> 4 heartbeat: ok
> 5 heartbeat: ok
after 3000 ms
* g lost d#02: Sync
* g leaves generation 1: members did not send their SyncGroup in time
> 6 heartbeat refused: the group has no member "d#02"
> 7 heartbeat refused: the group is rebalancing
> 8 join c#01: generation 2 consumer/range leader c#01 [c#01]

# A leader that never sends its assignment leaves nobody waiting.

settings
join g - v=3 rebalance=8000
join g - v=3 client=d rebalance=8000
wait 0
sync g d#02 1
wait 7999
wait 1
join g d#02
----
* g leaves generation 0: member c#01 is new
| Group g generation 0 /- leader -
after 0 ms
> 1 join c#01: generation 1 consumer/range leader c#01 [c#01] [d#02]
> 2 join d#02: generation 1 consumer/range leader c#01
after 1 ms
* g lost c#01: Sync
> 3 sync refused: the group is rebalancing
* g leaves generation 1: members did not send their SyncGroup in time
> 4 join d#02: generation 2 consumer/range leader d#02 [d#02]

# A new member's JoinGroup waits five minutes at most.

settings delay=3000
join g - v=3 rebalance=1800000 session=1800000
wait 3000
sync g c#01 1 c#01=x
join g - v=3 client=d rebalance=1800000
wait 299999
wait 1
join g c#01 rebalance=1800000 session=1800000
----
* g leaves generation 0: member c#01 is new
| Group g generation 0 /- leader -
after 3000 ms
> 1 join c#01: generation 1 consumer/range leader c#01 [c#01]
| Group g generation 1 consumer/range leader c#01 [c#01 "x"]
> 2 sync: consumer/range "x"
* g is stable at 1 with 1
* g leaves generation 1: member d#02 is new
after 1 ms
> 3 join - refused: the group has no member "d#02"
* g lost d#02: Session { timeout: 300s }
> 4 join c#01: generation 2 consumer/range leader c#01 [c#01]

# The last one's session ends while others are asked for: nobody is left.

settings
join g - v=3
wait 0
sync g c#01 1 c#01=x
wait 10000
list
----
* g leaves generation 0: member c#01 is new
| Group g generation 0 /- leader -
after 0 ms
> 1 join c#01: generation 1 consumer/range leader c#01 [c#01]
| Group g generation 1 consumer/range leader c#01 [c#01 "x"]
> 2 sync: consumer/range "x"
* g is stable at 1 with 1
after 10000 ms
* g lost c#01: Session { timeout: 10s }
* g leaves generation 1: member c#01 was silent for 10000 ms
* g is empty at 2
| Group g generation 2 consumer/- leader -
g Empty classic "consumer"
