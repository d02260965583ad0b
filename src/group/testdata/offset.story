# Standalone commits make a group that only holds offsets. The answer waits for the log.

hold
commit g - -1 t:0=5/note t:1=6 u:0=7
fetch g t:0
list
----
| Offset g t:0 5 epoch 7 "note" topic 1
| Offset g t:1 6 epoch 7 "" topic 1
| Offset g u:0 7 epoch 7 "" topic 1
> 2 fetch: t:0 none

release
fetch g t:0 t:1 t:2 u:0 x:0
fetch g
list
describe g
----
> 1 commit: t:0 ok; t:1 ok; u:0 ok
> 3 fetch: t:0 5 "note"; t:1 6 ""; t:2 none; u:0 7 ""; x:0 none
> 4 fetch: t:0 5 "note"; t:1 6 ""; u:0 7 ""
g Empty classic ""
g Empty /

# A stable fetch waits for what is being committed; another sees what the log has.

hold
commit g - -1 t:0=8
fetch g t:0
fetch g stable t:0
fetch h stable t:0
release
----
| Offset g t:0 8 epoch 7 "" topic 1
> 6 fetch: t:0 5 "note"
> 8 fetch: t:0 none
> 5 commit: t:0 ok
> 7 fetch: t:0 8 ""

# A topic that was made again has no offsets of the one before.

fetch g t@2:0
commit g - -1 t@2:0=1
fetch g t@2:0
fetch g t@1:0
fetch g t@0:0
----
> 9 fetch: t:0 none
| Offset g t:0 1 epoch 7 "" topic 2
> 10 commit: t:0 ok
> 11 fetch: t:0 1 ""
> 12 fetch: t:0 none
> 13 fetch: t:0 1 ""

# Members commit in their generation.

settings
join g - v=3
wait 0
commit g c#01 1 t:0=1
sync g c#01 1 c#01=x
commit g c#01 1 t:0=1
commit g c#01 0 t:0=2
commit g c#01 2 t:0=2
commit g nobody 1 t:0=2
commit g - -1 t:0=2
commit g - 1 t:0=2
----
* g leaves generation 0: member c#01 is new
| Group g generation 0 /- leader -
after 0 ms
> 1 join c#01: generation 1 consumer/range leader c#01 [c#01]
> 2 commit refused: the group is rebalancing
| Group g generation 1 consumer/range leader c#01 [c#01 "x"]
> 3 sync: consumer/range "x"
* g is stable at 1 with 1
| Offset g t:0 1 epoch 7 "" topic 1
> 4 commit: t:0 ok
> 5 commit refused: generation 0 was named, the group is at 1
> 6 commit refused: generation 2 was named, the group is at 1
> 7 commit refused: the group has no member "nobody"
> 8 commit refused: the group has no member ""
> 9 commit refused: the group has no member ""

# And while members join, which is when they hand over. A commit keeps the session alive.

join g - v=3 client=d
wait 9000
commit g c#01 1 t:0=3
wait 9000
heartbeat g c#01 1
----
* g leaves generation 1: member d#02 is new
| Offset g t:0 3 epoch 7 "" topic 1
> 11 commit: t:0 ok
> 12 heartbeat refused: the group is rebalancing

# Metadata is bounded; the other partitions of the request are committed. As Java counts: an emoji
# is two.

settings metadata=3
commit g - -1 t:0=1/four t:1=2/two t:2=3/👍x t:3=4/👍👍
fetch g
commit g - -1 t:0=1/four
fetch n
commit n - -1 t:0=1/four
list
----
| Offset g t:1 2 epoch 7 "two" topic 1
| Offset g t:2 3 epoch 7 "👍x" topic 1
> 1 commit: t:0 metadata of 4 characters, 3 are allowed (offset.metadata.max.bytes); t:1 ok; t:2 ok; t:3 metadata of 4 characters, 3 are allowed (offset.metadata.max.bytes)
> 2 fetch: t:1 2 "two"; t:2 3 "👍x"
> 3 commit: t:0 metadata of 4 characters, 3 are allowed (offset.metadata.max.bytes)
> 4 fetch: 
> 5 commit: t:0 metadata of 4 characters, 3 are allowed (offset.metadata.max.bytes)
g Empty classic ""

# With a generation a group has to be there.

commit n - 0 t:0=1
commit n m 3 t:0=1
commit n m -1 t:0=1
list
----
> 6 commit refused: Group n not found.
> 7 commit refused: Group n not found.
| Offset n t:0 1 epoch 7 "" topic 1
> 8 commit: t:0 ok
g Empty classic ""
n Empty classic ""

# Old clients say how long an offset is to be kept.

commit n - -1 t:1=1 retention=1000
commit n - -1 t:2=1 retention=-1000001
----
| Offset n t:1 1 epoch -1 "" topic 0 until 1001000
> 9 commit: t:1 ok
| Offset n t:2 1 epoch -1 "" topic 0 until 0
> 10 commit: t:2 ok

# A member of a group that has become empty, and an administrator.

settings
join g - v=3
wait 0
sync g c#01 1 c#01=x
leave g c#01
commit g c#01 1 t:0=1
commit g - -1 t:0=2
fetch g
----
* g leaves generation 0: member c#01 is new
| Group g generation 0 /- leader -
after 0 ms
> 1 join c#01: generation 1 consumer/range leader c#01 [c#01]
| Group g generation 1 consumer/range leader c#01 [c#01 "x"]
> 2 sync: consumer/range "x"
* g is stable at 1 with 1
* g leaves generation 1: left: member c#01
* g is empty at 2
| Group g generation 2 consumer/- leader -
> 3 leave: c#01: ok
> 4 commit refused: the group has no member "c#01"
| Offset g t:0 2 epoch 7 "" topic 1
> 5 commit: t:0 ok
> 6 fetch: t:0 2 ""
