# Three members and four topics of two partitions each, by roundrobin: the leader deals them in turn, and each member gets
# exactly what the leader said. When one leaves they are dealt anew.

settings
join g - v=3 client=c0 with=roundrobin:t0+t1+t2+t3
join g - v=3 client=c1 with=roundrobin:t0+t1+t2+t3
join g - v=3 client=c2 with=roundrobin:t0+t1+t2+t3
wait 0
sync g c1#02 1
sync g c0#01 1 c0#01=t0p0,t1p1,t3p0 c1#02=t0p1,t2p0,t3p1 c2#03=t1p0,t2p1
sync g c2#03 1
leave g c1#02
join g c0#01 client=c0 with=roundrobin:t0+t1+t2+t3
join g c2#03 client=c2 with=roundrobin:t0+t1+t2+t3
sync g c0#01 2 c0#01=t0p0,t1p0,t2p0,t3p0 c2#03=t0p1,t1p1,t2p1,t3p1
sync g c2#03 2
----
* g leaves generation 0: member c0#01 is new
| Group g generation 0 /- leader -
after 0 ms
> 1 join c0#01: generation 1 consumer/roundrobin leader c0#01 [c0#01] [c1#02] [c2#03]
> 2 join c1#02: generation 1 consumer/roundrobin leader c0#01
> 3 join c2#03: generation 1 consumer/roundrobin leader c0#01
| Group g generation 1 consumer/roundrobin leader c0#01 [c0#01 "t0p0,t1p1,t3p0"] [c1#02 "t0p1,t2p0,t3p1"] [c2#03 "t1p0,t2p1"]
> 5 sync: consumer/roundrobin "t0p0,t1p1,t3p0"
> 4 sync: consumer/roundrobin "t0p1,t2p0,t3p1"
* g is stable at 1 with 3
> 6 sync: consumer/roundrobin "t1p0,t2p1"
* g leaves generation 1: left: member c1#02
> 7 leave: c1#02: ok
> 8 join c0#01: generation 2 consumer/roundrobin leader c0#01 [c0#01] [c2#03]
> 9 join c2#03: generation 2 consumer/roundrobin leader c0#01
| Group g generation 2 consumer/roundrobin leader c0#01 [c0#01 "t0p0,t1p0,t2p0,t3p0"] [c2#03 "t0p1,t1p1,t2p1,t3p1"]
> 10 sync: consumer/roundrobin "t0p0,t1p0,t2p0,t3p0"
* g is stable at 2 with 2
> 11 sync: consumer/roundrobin "t0p1,t1p1,t2p1,t3p1"

# The same by sticky: who stays keeps what it had.

settings
join h - v=3 client=c0 with=sticky:t0+t1+t2+t3
join h - v=3 client=c1 with=sticky:t0+t1+t2+t3
join h - v=3 client=c2 with=sticky:t0+t1+t2+t3
wait 0
sync h c0#01 1 c0#01=t0p0,t1p1,t3p0 c1#02=t0p1,t2p0,t3p1 c2#03=t1p0,t2p1
sync h c1#02 1
sync h c2#03 1
leave h c1#02
join h c0#01 client=c0 with=sticky:t0+t1+t2+t3
join h c2#03 client=c2 with=sticky:t0+t1+t2+t3
sync h c0#01 2 c0#01=t0p0,t1p1,t3p0,t2p0 c2#03=t1p0,t2p1,t0p1,t3p1
sync h c2#03 2
describe h
----
* h leaves generation 0: member c0#01 is new
| Group h generation 0 /- leader -
after 0 ms
> 1 join c0#01: generation 1 consumer/sticky leader c0#01 [c0#01] [c1#02] [c2#03]
> 2 join c1#02: generation 1 consumer/sticky leader c0#01
> 3 join c2#03: generation 1 consumer/sticky leader c0#01
| Group h generation 1 consumer/sticky leader c0#01 [c0#01 "t0p0,t1p1,t3p0"] [c1#02 "t0p1,t2p0,t3p1"] [c2#03 "t1p0,t2p1"]
> 4 sync: consumer/sticky "t0p0,t1p1,t3p0"
* h is stable at 1 with 3
> 5 sync: consumer/sticky "t0p1,t2p0,t3p1"
> 6 sync: consumer/sticky "t1p0,t2p1"
* h leaves generation 1: left: member c1#02
> 7 leave: c1#02: ok
> 8 join c0#01: generation 2 consumer/sticky leader c0#01 [c0#01] [c2#03]
> 9 join c2#03: generation 2 consumer/sticky leader c0#01
| Group h generation 2 consumer/sticky leader c0#01 [c0#01 "t0p0,t1p1,t3p0,t2p0"] [c2#03 "t1p0,t2p1,t0p1,t3p1"]
> 10 sync: consumer/sticky "t0p0,t1p1,t3p0,t2p0"
* h is stable at 2 with 2
> 11 sync: consumer/sticky "t1p0,t2p1,t0p1,t3p1"
h Stable consumer/sticky
  c0#01 c0 /127.0.0.1 metadata of 26 bytes "t0p0,t1p1,t3p0,t2p0"
  c2#03 c2 /127.0.0.1 metadata of 26 bytes "t1p0,t2p1,t0p1,t3p1"

# Members that know several: range is what all of them know.

settings
join k - v=3 client=p with=roundrobin:t0,range:t0
join k - v=3 client=j with=range:t0,roundrobin:t0
join k - v=3 client=s with=range:t0,sticky:t0
wait 0
----
* k leaves generation 0: member p#01 is new
| Group k generation 0 /- leader -
after 0 ms
> 2 join j#02: generation 1 consumer/range leader p#01
> 1 join p#01: generation 1 consumer/range leader p#01 [j#02] [p#01] [s#03]
> 3 join s#03: generation 1 consumer/range leader p#01
