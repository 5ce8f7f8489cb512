/ sub.q: subscribes to a tickerplant, prints what comes and counts it
/ q sub.q [host:port] [table]                  (localhost:5010, all tables)

a:.z.x,(count .z.x)_("localhost:5010";"")
h:hopen`$":",a 0
n:0                              / rows so far

upd:{[t;x]n::n+count x;-1 string[t],", ",string[n]," rows so far";show x;}
.u.end:{[d] -1"end of day ",string d;}
.z.pc:{[x] -1"sub.q: the tickerplant closed the connection";exit 1}

/ one table: (name;schema); all of them: a list of these
h(".u.sub";`$a 1;`)
