# One leaves: the others join again. The last one leaves: its answer waits for the log.

join g - v=3
join g - v=3 client=d
wait 0
sync g d#02 1
sync g c#01 1 c#01=x d#02=y
leave g c#01
join g d#02
sync g d#02 2 d#02=xy
hold
leave g d#02
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
* g leaves generation 1: left: member c#01
> 5 leave: c#01: ok
> 6 join d#02: generation 2 consumer/range leader d#02 [d#02]
| Group g generation 2 consumer/range leader d#02 [d#02 "xy"]
> 7 sync: consumer/range "xy"
* g is stable at 2 with 1
* g leaves generation 2: left: member d#02
* g is empty at 3
| Group g generation 3 consumer/- leader -

release
list
----
> 8 leave: d#02: ok
g Empty classic "consumer"

# Several at once, each with a result of its own: by id, by instance, one that waits to join, one
# that nobody knows, one that another took the place of.

settings
join g - as=a
join g - as=b client=d
join g - client=e
join g - v=3 client=f
wait 0
leave g a#01 =b e#03 nobody a#01=b =z
leave g e#03
wait 60000
----
* g leaves generation 0: member a#01 is new
| Group g generation 0 /- leader -
> 3 join e#03 refused: a member joins with the id that it was given
after 0 ms
> 1 join a#01: generation 1 consumer/range leader a#01 [a#01 as a] [b#02 as b] [f#04]
> 2 join b#02: generation 1 consumer/range leader a#01
> 4 join f#04: generation 1 consumer/range leader a#01
* g leaves generation 1: left: member a#01, instance b, member e#03
> 5 leave: a#01: ok; : ok; e#03: ok; nobody refused: the group has no member "nobody"; a#01 refused: the group has no member "a#01";  refused: the group has no member ""
> 6 leave: e#03 refused: the group has no member "e#03"
after 10000 ms
* g lost f#04: Session { timeout: 10s }
* g is empty at 2
| Group g generation 2 consumer/- leader -

# While members join: nobody waits for one that left, and a JoinGroup of its own is answered.

settings
join g - v=3
join g - v=3 client=d
wait 0
sync g d#02 1
sync g c#01 1
join g c#01
leave g d#02
join g - v=3 client=e
leave g e#03
join g c#01
----
* g leaves generation 0: member c#01 is new
| Group g generation 0 /- leader -
after 0 ms
> 1 join c#01: generation 1 consumer/range leader c#01 [c#01] [d#02]
> 2 join d#02: generation 1 consumer/range leader c#01
| Group g generation 1 consumer/range leader c#01 [c#01 ""] [d#02 ""]
> 4 sync: consumer/range ""
> 3 sync: consumer/range ""
* g is stable at 1 with 2
* g leaves generation 1: member c#01 joins in Stable
> 5 join c#01: generation 2 consumer/range leader c#01 [c#01]
> 6 leave: d#02: ok
* g leaves generation 2: member e#04 is new
> 8 leave: e#03 refused: the group has no member "e#03"
> 9 join c#01: generation 3 consumer/range leader c#01 [c#01] [e#04]
> 7 join e#04: generation 3 consumer/range leader c#01

# While the leader assigns: who waits for it is told to join again.

settings
join g - v=3
join g - v=3 client=d
wait 0
sync g d#02 1
leave g c#01
join g d#02
sync g d#02 2 d#02=x
----
* g leaves generation 0: member c#01 is new
| Group g generation 0 /- leader -
after 0 ms
> 1 join c#01: generation 1 consumer/range leader c#01 [c#01] [d#02]
> 2 join d#02: generation 1 consumer/range leader c#01
> 3 sync refused: the group is rebalancing
* g leaves generation 1: left: member c#01
> 4 leave: c#01: ok
> 5 join d#02: generation 2 consumer/range leader d#02 [d#02]
| Group g generation 2 consumer/range leader d#02 [d#02 "x"]
> 6 sync: consumer/range "x"
* g is stable at 2 with 1

# Not there.

leave nope c#01 =a
leave "" c#01
heartbeat nope c#01 1
heartbeat "" c#01 1
sync nope c#01 1
sync "" c#01 1
heartbeat g d#02 1
----
> 7 leave: c#01 refused: the group has no member "c#01";  refused: the group has no member ""
> 8 leave refused: the group id is empty
> 9 heartbeat refused: the group has no member "c#01"
> 10 heartbeat refused: the group id is empty
> 11 sync refused: the group has no member "c#01"
> 12 sync refused: the group id is empty
> 13 heartbeat refused: generation 1 was named, the group is at 2

# No more than group.max.size. An id beyond it is refused when it is asked for.

settings members=2
join g - v=3
join g - v=3 client=d
join g - v=3 client=e
wait 0
join g - client=f
sync g d#02 1
sync g c#01 1
join g - client=f
join g d#02
----
* g leaves generation 0: member c#01 is new
| Group g generation 0 /- leader -
> 3 join - refused: the group has its 2 members (group.max.size)
after 0 ms
> 1 join c#01: generation 1 consumer/range leader c#01 [c#01] [d#02]
> 2 join d#02: generation 1 consumer/range leader c#01
> 4 join - refused: the group has its 2 members (group.max.size)
| Group g generation 1 consumer/range leader c#01 [c#01 ""] [d#02 ""]
> 6 sync: consumer/range ""
> 5 sync: consumer/range ""
* g is stable at 1 with 2
> 7 join - refused: the group has its 2 members (group.max.size)
> 8 join d#02: generation 1 consumer/range leader c#01
