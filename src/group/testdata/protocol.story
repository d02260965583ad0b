# The protocol that all know with most votes wins.

join g - v=3 with=a:t,b:t,c:t
wait 0
sync g c#01 1 c#01=x
join g - v=3 client=d with=b:t,a:t
join g - v=3 client=e with=c:t,b:t,a:t
join g c#01 with=a:t,b:t,c:t
----
* g leaves generation 0: member c#01 is new
| Group g generation 0 /- leader -
after 0 ms
> 1 join c#01: generation 1 consumer/a leader c#01 [c#01]
| Group g generation 1 consumer/a leader c#01 [c#01 "x"]
> 2 sync: consumer/a "x"
* g is stable at 1 with 1
* g leaves generation 1: member d#02 is new
> 5 join c#01: generation 2 consumer/b leader c#01 [c#01] [d#02] [e#03]
> 3 join d#02: generation 2 consumer/b leader c#01
> 4 join e#03: generation 2 consumer/b leader c#01

# Between equals the leader's order decides.

settings
join g - v=3 with=x:t,y:t
join g - v=3 client=d with=y:t,x:t
wait 0
----
* g leaves generation 0: member c#01 is new
| Group g generation 0 /- leader -
after 0 ms
> 1 join c#01: generation 1 consumer/x leader c#01 [c#01] [d#02]
> 2 join d#02: generation 1 consumer/x leader c#01

# A custom protocol of another type, with bytes that are nobody's business.

join k - v=3 type=connect with=sessioned:!!,compatible:!
wait 0
sync k c#03 1 c#03=tasks type=connect protocol=sessioned
list
----
* k leaves generation 0: member c#03 is new
| Group k generation 0 /- leader -
after 0 ms
> 3 join c#03: generation 1 connect/sessioned leader c#03 [c#03]
| Group k generation 1 connect/sessioned leader c#03 [c#03 "tasks"]
> 4 sync: connect/sessioned "tasks"
* k is stable at 1 with 1
g CompletingRebalance classic "consumer"
k Stable classic "connect"

# Nothing in common, another type, none at all.

join g - with=z:t
join g - type=connect with=x:t
join n - with=
join n - type= with=x
list
----
> 5 join - refused: the member's protocol type or protocols are not those of the group
> 6 join - refused: the member's protocol type or protocols are not those of the group
> 7 join - refused: the member's protocol type or protocols are not those of the group
| Group n generation 0 /- leader -
> 8 join - refused: the member's protocol type or protocols are not those of the group
g CompletingRebalance classic "consumer"
k Stable classic "connect"
n Empty classic ""

# SyncGroup names the group's type and protocol, or nothing.

sync g c#01 1 type=connect
sync g c#01 1 protocol=y
sync g c#01 1 type=consumer protocol=x c#01=all
----
> 9 sync refused: the member's protocol type or protocols are not those of the group
> 10 sync refused: the member's protocol type or protocols are not those of the group
| Group g generation 1 consumer/x leader c#01 [c#01 "all"] [d#02 ""]
> 11 sync: consumer/x "all"
* g is stable at 1 with 2

# A follower that knows other protocols now makes everyone join again; with the same, it is told
# what is.

join g d#02 client=d with=y:t,x:t
join g d#02 client=d with=x:t
join g c#01 with=x:t,y:t
----
> 12 join d#02: generation 1 consumer/x leader c#01
* g leaves generation 1: member d#02 changed in Stable
> 14 join c#01: generation 2 consumer/x leader c#01 [c#01] [d#02]
> 13 join d#02: generation 2 consumer/x leader c#01
