# A group goes with its offsets, those that are being committed, too.

commit g - -1 t:0=1 t:1=2
hold
commit g - -1 t:2=3
delete-groups g nope g
list
----
| Offset g t:0 1 epoch 7 "" topic 1
| Offset g t:1 2 epoch 7 "" topic 1
> 1 commit: t:0 ok; t:1 ok
| Offset g t:2 3 epoch 7 "" topic 1
| Offset g t:0 gone
| Offset g t:1 gone
| Offset g t:2 gone
| Group g gone
g Empty classic ""

# What is asked of it meanwhile waits.

join g - v=3
commit g - -1 u:0=9
delete-groups g
delete-offsets g t:0
heartbeat g x 1
release
wait 0
list
fetch g
----
> 6 delete-groups: g refused: Group g not found.
> 7 delete-offsets refused: Group g not found.
> 8 heartbeat refused: the group has no member "x"
> 2 commit: t:2 ok
> 3 delete-groups: g: ok; nope refused: Group nope not found.
* g leaves generation 0: member c#01 is new
| Group g generation 0 /- leader -
> 5 commit refused: the group has no member ""
after 0 ms
> 4 join c#01: generation 1 consumer/range leader c#01 [c#01]
g CompletingRebalance classic "consumer"
> 9 fetch: 

# A group with members stays.

delete-groups g
----
> 10 delete-groups: g refused: the group is not empty

# Not written: it is there as before, and who waited is told.

settings
commit g - -1 t:0=1
hold
delete-groups g
join g - v=3
commit g - -1 t:0=5
fail elsewhere
fetch g
delete-groups g
release
list
----
| Offset g t:0 1 epoch 7 "" topic 1
> 1 commit: t:0 ok
| Offset g t:0 gone
| Group g gone
> 2 delete-groups: g refused: not written: the partition is not led here any more
> 3 join - refused: not written: the partition is not led here any more
> 4 commit refused: not written: the partition is not led here any more
> 5 fetch: t:0 1 ""
| Offset g t:0 gone
| Group g gone
> 6 delete-groups: g: ok

# Offsets one by one, unless members subscribe to the topic.

settings
join g - v=3 with=range:t
wait 0
sync g c#01 1 c#01=x
commit g c#01 1 t:0=1 u:0=2 u:1=3
delete-offsets g t:0 u:0 u:7 v:0
fetch g
hold
commit g c#01 1 u:2=4
delete-offsets g u:2
release
fetch g
----
* g leaves generation 0: member c#01 is new
| Group g generation 0 /- leader -
after 0 ms
> 1 join c#01: generation 1 consumer/range leader c#01 [c#01]
| Group g generation 1 consumer/range leader c#01 [c#01 "x"]
> 2 sync: consumer/range "x"
* g is stable at 1 with 1
| Offset g t:0 1 epoch 7 "" topic 1
| Offset g u:0 2 epoch 7 "" topic 1
| Offset g u:1 3 epoch 7 "" topic 1
> 3 commit: t:0 ok; u:0 ok; u:1 ok
| Offset g u:0 gone
> 4 delete-offsets: t:0 the group is subscribed to the topic; u:0 ok; u:7 ok; v:0 ok
> 5 fetch: t:0 1 ""; u:1 3 ""
| Offset g u:2 4 epoch 7 "" topic 1
| Offset g u:2 gone
> 6 commit: u:2 ok
> 7 delete-offsets: u:2 ok
> 8 fetch: t:0 1 ""; u:1 3 ""

delete-offsets nope t:0
delete-offsets "" t:0
leave g c#01
delete-offsets g t:0 u:1
fetch g
----
> 9 delete-offsets refused: Group nope not found.
> 10 delete-offsets refused: the group id is empty
* g leaves generation 1: left: member c#01
* g is empty at 2
| Group g generation 2 consumer/- leader -
> 11 leave: c#01: ok
| Offset g t:0 gone
| Offset g u:1 gone
> 12 delete-offsets: t:0 ok; u:1 ok
> 13 fetch: 

# Members of another type: not while they are there.

join k - v=3 type=connect
wait 0
delete-offsets k t:0
----
* k leaves generation 0: member c#02 is new
| Group k generation 0 /- leader -
after 0 ms
> 14 join c#02: generation 1 connect/range leader c#02 [c#02]
> 15 delete-offsets refused: the group is not empty

# A topic is no more: nor are its offsets, but for those of another topic of its name.

settings
commit g - -1 t@1:0=1 t@1:1=1 u:0=1
commit h - -1 t@2:0=2
commit i - -1 t@0:0=3
hold
commit j - -1 t@1:0=4
delete-topic t@1
release
fetch g
fetch h
fetch i
fetch j
----
| Offset g t:0 1 epoch 7 "" topic 1
| Offset g t:1 1 epoch 7 "" topic 1
| Offset g u:0 1 epoch 7 "" topic 1
> 1 commit: t:0 ok; t:1 ok; u:0 ok
| Offset h t:0 2 epoch 7 "" topic 2
> 2 commit: t:0 ok
| Offset i t:0 3 epoch 7 "" topic 0
> 3 commit: t:0 ok
| Offset j t:0 4 epoch 7 "" topic 1
| Offset g t:0 gone
| Offset g t:1 gone
| Offset i t:0 gone
| Offset j t:0 gone
> 4 commit: t:0 ok
> 5 fetch: u:0 1 ""
> 6 fetch: t:0 2 ""
> 7 fetch: 
> 8 fetch:
