# A start comes back to the last stable generation. Its members have a session each.

join g - v=3
join g - v=3 client=d session=20000
wait 0
sync g d#02 1
sync g c#01 1 c#01=x d#02=y
commit g c#01 1 t:0=5/note
restart
describe g
heartbeat g c#01 1
sync g d#02 1
wait 10000
----
* g leaves generation 0: member c#01 is new
| Group g generation 0 /- leader -
after 0 ms
> 1 join c#01: generation 1 consumer/range leader c#01 [c#01] [d#02]
> 2 join d#02: generation 1 consumer/range leader c#01
| Group g generation 1 consumer/range leader c#01 [c#01 "x"] [d#02 "y"]
> 4 sync: consumer/range "x"
> 3 sync: consumer/range "y"
* g is stable at 1 with 2
| Offset g t:0 5 epoch 7 "note" topic 1
> 5 commit: t:0 ok
g Stable consumer/range
  c#01 c /127.0.0.1 metadata of 13 bytes "x"
  d#02 d /127.0.0.1 metadata of 13 bytes "y"
> 6 heartbeat: ok
> 7 sync: consumer/range "y"
after 10000 ms
* g lost c#01: Session { timeout: 10s }
* g leaves generation 1: member c#01 was silent for 10000 ms

# A start in the midst of a rebalance, too; who waited is sent to look for the coordinator.

join g d#02
restart
describe g
----
> 8 join d#02: generation 2 consumer/range leader d#02 [d#02]
g Stable consumer/range
  c#01 c /127.0.0.1 metadata of 13 bytes "x"
  d#02 d /127.0.0.1 metadata of 13 bytes "y"

# Smaller: what is needed and no more.

rewrite
restart
describe g
fetch g
----
2 records
g Stable consumer/range
  c#01 c /127.0.0.1 metadata of 13 bytes "x"
  d#02 d /127.0.0.1 metadata of 13 bytes "y"
> 9 fetch: t:0 5 "note"

# An empty group, and one that only holds offsets.

leave g c#01 d#02
commit s - -1 t:0=1
commit s - -1 t:0=2
rewrite
restart
list
fetch s
----
* g leaves generation 1: left: member c#01, member d#02
* g is empty at 2
| Group g generation 2 consumer/- leader -
> 10 leave: c#01: ok; d#02: ok
| Offset s t:0 1 epoch 7 "" topic 1
> 11 commit: t:0 ok
| Offset s t:0 2 epoch 7 "" topic 1
> 12 commit: t:0 ok
3 records
g Empty classic "consumer"
s Empty classic ""
> 13 fetch: t:0 2 ""

# Its assignments were not written: everyone joins again.

settings
join g - v=3
join g - v=3 client=d
wait 0
sync g d#02 1
hold
sync g c#01 1 c#01=x d#02=y
fail unavailable
release
join g d#02
join g c#01
sync g c#01 2 c#01=x d#02=y
----
* g leaves generation 0: member c#01 is new
| Group g generation 0 /- leader -
after 0 ms
> 1 join c#01: generation 1 consumer/range leader c#01 [c#01] [d#02]
> 2 join d#02: generation 1 consumer/range leader c#01
| Group g generation 1 consumer/range leader c#01 [c#01 "x"] [d#02 "y"]
> 4 sync refused: not written: the partition does not take records now
> 3 sync refused: not written: the partition does not take records now
* g leaves generation 1: the assignment was not written: not written: the partition does not take records now
> 6 join c#01: generation 2 consumer/range leader c#01 [c#01] [d#02]
> 5 join d#02: generation 2 consumer/range leader c#01
| Group g generation 2 consumer/range leader c#01 [c#01 "x"] [d#02 "y"]
> 7 sync: consumer/range "x"
* g is stable at 2 with 2

# Commits were not written.

hold
commit g c#01 2 t:0=5
fetch g stable t:0
fail too-large
release
fetch g t:0
----
| Offset g t:0 5 epoch 7 "" topic 1
> 8 commit refused: not written: the records are larger than the offsets topic allows
> 9 fetch refused: not written: the records are larger than the offsets topic allows
> 10 fetch: t:0 none

# A new group was not written: nobody has joined it.

hold
join n - v=3
join n - client=d
fail elsewhere
release
list
join n - v=3
----
* n leaves generation 0: member c#05 is new
| Group n generation 0 /- leader -
> 12 join d#06 refused: a member joins with the id that it was given
> 11 join - refused: not written: the partition is not led here any more
g Stable classic "consumer"
* n leaves generation 0: member c#07 is new
| Group n generation 0 /- leader -

# A member came while the assignment was being written: nobody gets it.

settings
join g - v=3
wait 0
hold
sync g c#01 1 c#01=x
join g - v=3 client=d
release
join g c#01
sync g c#01 2 c#01=x d#02=y
heartbeat g c#01 2
restart
describe g
----
* g leaves generation 0: member c#01 is new
| Group g generation 0 /- leader -
after 0 ms
> 1 join c#01: generation 1 consumer/range leader c#01 [c#01]
| Group g generation 1 consumer/range leader c#01 [c#01 "x"]
> 2 sync refused: the group is rebalancing
* g leaves generation 1: member d#02 is new
> 4 join c#01: generation 2 consumer/range leader c#01 [c#01] [d#02]
> 3 join d#02: generation 2 consumer/range leader c#01
| Group g generation 2 consumer/range leader c#01 [c#01 "x"] [d#02 "y"]
> 5 sync: consumer/range "x"
* g is stable at 2 with 2
> 6 heartbeat: ok
g Stable consumer/range
  c#01 c /127.0.0.1 metadata of 13 bytes "x"
  d#02 d /127.0.0.1 metadata of 13 bytes "y"

# Unload: everyone who waits is answered.

settings
join g - v=3
wait 0
hold
sync g c#01 1 c#01=x
commit h - -1 t:0=1
fetch h stable t:0
delete-groups h
join n - v=3
unload
release
list
----
* g leaves generation 0: member c#01 is new
| Group g generation 0 /- leader -
after 0 ms
> 1 join c#01: generation 1 consumer/range leader c#01 [c#01]
| Group g generation 1 consumer/range leader c#01 [c#01 "x"]
| Offset h t:0 1 epoch 7 "" topic 1
> 5 delete-groups: h refused: Group h not found.
* n leaves generation 0: member c#02 is new
| Group n generation 0 /- leader -
> 2 sync refused: this coordinator was unloaded
> 6 join c#02 refused: this coordinator was unloaded
> 3 commit refused: this coordinator was unloaded
> 4 fetch refused: this coordinator was unloaded
