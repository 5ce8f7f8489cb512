/ rdb.q: the day's data in memory, as kdb+tick's r.q, but saves nothing
/ q rdb.q [host:port] [-p 5011]                (localhost:5010)

a:.z.x,(count .z.x)_enlist"localhost:5010"
h:hopen`$":",a 0

upd:insert

/ at the end of the day the tables are emptied; sym keeps its index
.u.end:{[d]
  t:tables`.;
  {x set 0#value x}each t;
  {@[x;`sym;`g#]}each t;
  -1"end of day ",string d;
  }
.z.pc:{[x] -1"rdb.q: the tickerplant closed the connection";exit 1}

/ schemas, and how many updates are in which journal: one request, so that
/ nothing comes between the two
r:h"(.u.sub[`;`];.u `i`L)"
{(x 0)set x 1}each r 0

/ what came before us; a tickerplant without a journal says (::;::)
if[not null first r 1;-11!r 1]

-1"tables: "," "sv string tables`.;
