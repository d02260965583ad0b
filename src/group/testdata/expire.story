# Offsets of an empty group are kept as long as it has not been empty for offsets.retention.minutes,
# however old they are. Then the group goes with them.

settings retention=100000 check=10000
join g - v=3 session=1800000 with=range:t+u
wait 0
sync g c#01 1 c#01=x
commit g c#01 1 t:0=1 u:0=2
wait 200000
leave g c#01
wait 99999
wait 10000
list
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
> 3 commit: t:0 ok; u:0 ok
* g leaves generation 1: left: member c#01
* g is empty at 2
| Group g generation 2 consumer/- leader -
> 4 leave: c#01: ok
after 1 ms
| Offset g t:0 gone
| Offset g u:0 gone
| Group g gone
* g lost 2 old offsets and itself
> 5 fetch: 

# Those of a group that is alive go by topic, when nobody subscribes to it any more.

settings retention=100000 check=10000
join g - v=3 session=1800000 with=range:t+u
wait 0
sync g c#01 1 c#01=x
commit g c#01 1 t:0=1 u:0=2
wait 100000
join g c#01 session=1800000 with=range:t
wait 10000
sync g c#01 2 c#01=x
wait 10000
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
> 3 commit: t:0 ok; u:0 ok
* g leaves generation 1: member c#01 changed in Stable
> 4 join c#01: generation 2 consumer/range leader c#01 [c#01]
| Group g generation 2 consumer/range leader c#01 [c#01 "x"]
> 5 sync: consumer/range "x"
* g is stable at 2 with 1
after 10000 ms
| Offset g u:0 gone
* g lost 1 old offsets
> 6 fetch: t:0 1 ""

# A group of another type, or whose members cannot be understood, keeps all.

settings retention=100000 check=10000
join g - v=3 type=connect session=1800000
wait 0
sync g c#01 1 c#01=x
commit g c#01 1 t:0=1
wait 300000
fetch g
----
* g leaves generation 0: member c#01 is new
| Group g generation 0 /- leader -
after 0 ms
> 1 join c#01: generation 1 connect/range leader c#01 [c#01]
| Group g generation 1 connect/range leader c#01 [c#01 "x"]
> 2 sync: connect/range "x"
* g is stable at 1 with 1
| Offset g t:0 1 epoch 7 "" topic 1
> 3 commit: t:0 ok
> 4 fetch: t:0 1 ""

# Standalone commits go one by one.

settings retention=100000 check=10000
commit g - -1 t:0=1
wait 50000
commit g - -1 t:1=2
wait 60000
fetch g
wait 50000
list
----
| Offset g t:0 1 epoch 7 "" topic 1
> 1 commit: t:0 ok
| Offset g t:1 2 epoch 7 "" topic 1
> 2 commit: t:1 ok
after 50000 ms
| Offset g t:0 gone
* g lost 1 old offsets
> 3 fetch: t:1 2 ""
after 40000 ms
| Offset g t:1 gone
| Group g gone
* g lost 1 old offsets and itself

# One that was committed with a time of its own goes at that time.

settings retention=100000 check=10000
commit g - -1 t:0=1 retention=15000
commit g - -1 t:1=1
wait 20000
fetch g
----
| Offset g t:0 1 epoch -1 "" topic 0 until 1015000
> 1 commit: t:0 ok
| Offset g t:1 1 epoch 7 "" topic 1
> 2 commit: t:1 ok
after 20000 ms
| Offset g t:0 gone
* g lost 1 old offsets
> 3 fetch: t:1 1 ""

# A group that never was more than an id given out, and one that has no offsets.

settings retention=100000 check=10000
join a - session=6000
join b - v=3
leave b c#02
wait 10000
list
----
> 1 join c#01 refused: a member joins with the id that it was given
| Group a generation 0 /- leader -
* b leaves generation 0: member c#02 is new
| Group b generation 0 /- leader -
> 2 join - refused: the group has no member "c#02"
> 3 leave: c#02: ok
after 0 ms
* b is empty at 1
| Group b generation 1 consumer/- leader -
after 10000 ms
| Group a gone
* a lost 0 old offsets and itself
| Group b gone
* b lost 0 old offsets and itself

# What is being committed is not old: the look after the next finds the group.

settings retention=100000 check=10000
commit g - -1 t:0=1
wait 99999
hold
commit g - -1 t:0=2
wait 1
release
fetch g
----
| Offset g t:0 1 epoch 7 "" topic 1
> 1 commit: t:0 ok
| Offset g t:0 2 epoch 7 "" topic 1
> 2 commit: t:0 ok
> 3 fetch: t:0 2 ""
