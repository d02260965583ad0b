# OffsetFetch for an unknown group answers "no offset", not an error.

fetch unknown t:0 t:1
fetch unknown
fetch unknown stable t:0
list
----
> 1 fetch: t:0 none; t:1 none
> 2 fetch: 
> 3 fetch: t:0 none

# Three chained groups, each reading what the one before writes, in one coordinator: none disturbs
# another.

join first - v=3 with=range:t0
join second - v=3 with=range:t1
join third - v=3 with=range:t2
wait 0
sync first c#01 1 c#01=0
sync second c#02 1 c#02=1
sync third c#03 1 c#03=2
commit first c#01 1 t0:0=10
commit second c#02 1 t1:0=9
commit third c#03 1 t2:0=8
leave second c#02
heartbeat first c#01 1
heartbeat third c#03 1
join second - v=3 with=range:t1
wait 0
sync second c#04 3 c#04=1
fetch first
fetch second
fetch third
----
* first leaves generation 0: member c#01 is new
| Group first generation 0 /- leader -
* second leaves generation 0: member c#02 is new
| Group second generation 0 /- leader -
* third leaves generation 0: member c#03 is new
| Group third generation 0 /- leader -
after 0 ms
> 4 join c#01: generation 1 consumer/range leader c#01 [c#01]
> 5 join c#02: generation 1 consumer/range leader c#02 [c#02]
> 6 join c#03: generation 1 consumer/range leader c#03 [c#03]
| Group first generation 1 consumer/range leader c#01 [c#01 "0"]
> 7 sync: consumer/range "0"
* first is stable at 1 with 1
| Group second generation 1 consumer/range leader c#02 [c#02 "1"]
> 8 sync: consumer/range "1"
* second is stable at 1 with 1
| Group third generation 1 consumer/range leader c#03 [c#03 "2"]
> 9 sync: consumer/range "2"
* third is stable at 1 with 1
| Offset first t0:0 10 epoch 7 "" topic 1
> 10 commit: t0:0 ok
| Offset second t1:0 9 epoch 7 "" topic 1
> 11 commit: t1:0 ok
| Offset third t2:0 8 epoch 7 "" topic 1
> 12 commit: t2:0 ok
* second leaves generation 1: left: member c#02
* second is empty at 2
| Group second generation 2 consumer/- leader -
> 13 leave: c#02: ok
> 14 heartbeat: ok
> 15 heartbeat: ok
* second leaves generation 2: member c#04 is new
after 0 ms
> 16 join c#04: generation 3 consumer/range leader c#04 [c#04]
| Group second generation 3 consumer/range leader c#04 [c#04 "1"]
> 17 sync: consumer/range "1"
* second is stable at 3 with 1
> 18 fetch: t0:0 10 ""
> 19 fetch: t1:0 9 ""
> 20 fetch: t2:0 8 ""

# A second member joins while the first commits: the commit stands, and so does the next one, until
# the new generation begins.

settings
join g - v=3
wait 0
sync g c#01 1 c#01=all
hold
commit g c#01 1 t:0=1
join g - v=3 client=d
commit g c#01 1 t:0=2
release
commit g c#01 1 t:0=3
heartbeat g c#01 1
join g c#01
commit g c#01 1 t:0=4
commit g c#01 2 t:0=4
sync g d#02 2
sync g c#01 2 c#01=p0 d#02=p1
commit g c#01 2 t:0=4
fetch g
----
* g leaves generation 0: member c#01 is new
| Group g generation 0 /- leader -
after 0 ms
> 1 join c#01: generation 1 consumer/range leader c#01 [c#01]
| Group g generation 1 consumer/range leader c#01 [c#01 "all"]
> 2 sync: consumer/range "all"
* g is stable at 1 with 1
| Offset g t:0 1 epoch 7 "" topic 1
* g leaves generation 1: member d#02 is new
| Offset g t:0 2 epoch 7 "" topic 1
> 3 commit: t:0 ok
> 5 commit: t:0 ok
| Offset g t:0 3 epoch 7 "" topic 1
> 6 commit: t:0 ok
> 7 heartbeat refused: the group is rebalancing
> 8 join c#01: generation 2 consumer/range leader c#01 [c#01] [d#02]
> 4 join d#02: generation 2 consumer/range leader c#01
> 9 commit refused: generation 1 was named, the group is at 2
> 10 commit refused: the group is rebalancing
| Group g generation 2 consumer/range leader c#01 [c#01 "p0"] [d#02 "p1"]
> 12 sync: consumer/range "p0"
> 11 sync: consumer/range "p1"
* g is stable at 2 with 2
| Offset g t:0 4 epoch 7 "" topic 1
> 13 commit: t:0 ok
> 14 fetch: t:0 4 ""

# More members than partitions: one has nothing to do and is as good a member as the others.

settings
join g - v=3
join g - v=3 client=d
wait 0
sync g d#02 1
sync g c#01 1 c#01=p0
heartbeat g d#02 1
commit g d#02 1
describe g
restart
heartbeat g d#02 1
sync g d#02 1
----
* g leaves generation 0: member c#01 is new
| Group g generation 0 /- leader -
after 0 ms
> 1 join c#01: generation 1 consumer/range leader c#01 [c#01] [d#02]
> 2 join d#02: generation 1 consumer/range leader c#01
| Group g generation 1 consumer/range leader c#01 [c#01 "p0"] [d#02 ""]
> 4 sync: consumer/range "p0"
> 3 sync: consumer/range ""
* g is stable at 1 with 2
> 5 heartbeat: ok
> 6 commit: 
g Stable consumer/range
  c#01 c /127.0.0.1 metadata of 13 bytes "p0"
  d#02 d /127.0.0.1 metadata of 13 bytes ""
> 7 heartbeat: ok
> 8 sync: consumer/range ""
