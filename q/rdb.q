/ rdb.q: the day's data in memory, as kdb+tick's r.q, but saves nothing
/ q rdb.q [host:port] [wire] [-p 5011]         (localhost:5010)
/ wire, for ringtickd with a journal: the day so far comes over the connection
/ and not out of the journal's file, which may be on another machine; and a
/ broken connection is made again without loss

a:.z.x,(count .z.x)_("localhost:5010";"")
tp:`$":",a 0
h:hopen tp
n:0                              / updates of this day
vain:0                           / connections in a row without an update

upd:{[t;x]n::n+1;vain::0;t insert x}
define:{[x]{(x 0)set x 1}each x}

/ at the end of the day the tables are emptied; sym keeps its index
.u.end:{[x]
  d::x+1;n::0;
  t:tables`.;
  {x set 0#value x}each t;
  {@[x;`sym;`g#]}each t;
  -1"end of day ",string x;
  }

/ schemas, and how many updates are in which journal: one request, so that
/ nothing comes between the two; without a journal there is (::;::)
replay:{[]
  r:h"(.u.sub[`;`];.u `i`L)";
  define r 0;
  if[not null first r 1;-11!r 1];
  }

/ the same over the wire: all of day d, in epoch e
wire:{[]
  r:h"(.ringtick.subfrom[`;`;0];.u.d;.ringtick.epoch)";
  define r 0;
  d::r 1;e::r 2;n::0;vain::0;
  }

/ continues after what is here; where that is refused, begins again: 'epoch (a
/ crash took what is here), 'day, 'schema (what was sent cannot be counted any
/ more), 'nyi (batches); and so where the connection ends twice before an update
rejoin:{[]
  now:h".ringtick.epoch";
  vain::vain+1;
  r:$[vain>2;();@[{h x};(".ringtick.rejoin";`;`;(e;d;0;n));{-1"rdb.q: refused: ",x;()}]];
  $[count r;e::now;wire[]];
  -1"rdb.q: connected again";
  system"t 0";
  }

.z.pc:{[x]
  if[x<>h;:(::)];                / one who asked us
  -1"rdb.q: the tickerplant closed the connection";
  $["wire"~a 1;system"t 1000";exit 1];
  }
.z.ts:{[x]
  c:@[hopen;tp;0];
  if[c>0;h::c;@[rejoin;::;{-1"rdb.q: ",x;hclose h}]];
  }

$["wire"~a 1;wire[];replay[]]
-1"tables: "," "sv string tables`.;
