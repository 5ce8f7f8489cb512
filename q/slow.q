/ slow.q: a subscriber that is too slow, to watch what the tickerplant does
/ q slow.q [host:port] [seconds for each update]   (localhost:5010 0.2)

a:.z.x,(count .z.x)_("localhost:5010";"0.2")
h:hopen`$":",a 0
n:0                              / updates so far

/ while q sleeps here it reads nothing: the rest waits in the tickerplant
upd:{[t;x]n::n+1;system"sleep ",a 1;-1 string[.z.t],", updates so far: ",string n;}
.u.end:{[d] -1"end of day ",string d;}
.z.pc:{[x] -1"slow.q: the tickerplant closed the connection";exit 1}

h(".u.sub";`;`)
