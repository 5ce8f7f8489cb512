/ feed.q: publishes random trades and quotes to a tickerplant, on a timer
/ q feed.q [host:port] [milliseconds]          (localhost:5010 100)

a:.z.x,(count .z.x)_("localhost:5010";"100")
h:hopen`$":",a 0
syms:`AAPL`GOOG`IBM`MSFT
n:0                              / trades so far; also their column size

/ no column time: the tickerplant stamps the updates
trades:{[k]r:(k?syms;k?100f;n+til k);n::n+k;r}
quotes:{[k]b:k?100f;(k?syms;b;b+0.01;100*1+k?10;100*1+k?10)}

/ the first one sync: its error, if any, is seen here
h(".u.upd";`trade;trades 1)

/ the others async: fast, and errors are only in the tickerplant's log
.z.ts:{neg[h](".u.upd";`trade;trades 2);neg[h](".u.upd";`quote;quotes 3);}

/ before leaving: the answer to "" means that all was taken
.z.exit:{[x]@[h;"";{x}];}
.z.pc:{[x] -1"feed.q: the tickerplant closed the connection";exit 1}

system"t ",a 1
