/*
 * Subscribes with node-q and prints each event as one line of JSON.
 *
 *   node subscribe.js PORT sync|async TABLE COUNT [SYMBOL]...
 *
 * TABLE "" means all, and so does no SYMBOL.  Ends after COUNT updates and one .u.end.
 */
"use strict";

const nodeq = require("node-q");

const [port, how, table, count, ...symbols] = process.argv.slice(2);
let updates = 0;
let ends = 0;

function say(event) {
	process.stdout.write(JSON.stringify(event) + "\n");
}

function finishWhenDone(con) {
	if (updates >= Number(count) && ends >= 1)
		con.close(() => say({ event: "closed" }));
}

/* node-q hands an asynchronous message that is no upd to who listens next. */
function listenForEnd(con) {
	con.k((err, message) => {
		if (err)
			throw err;
		ends++;
		say({ event: "end", message });
		finishWhenDone(con);
	});
}

nodeq.connect({ host: "127.0.0.1", port: Number(port), user: "node",
		password: "secret", nanos2date: false,
		useTLS: "RINGTICK_NODE_TLS" in process.env }, (err, con) => {
	if (err)
		throw err;
	con.on("error", (e) => { throw e; });
	con.on("upd", (name, rows) => {
		updates++;
		say({ event: "upd", table: name, rows });
		finishWhenDone(con);
	});
	const text = ".u.sub[`" + table + ";`" + symbols.join("`") + "]";
	const subscribed = (e, reply) => {
		if (e)
			throw e;
		say({ event: "subscribed", reply });
		listenForEnd(con);
	};
	if (how === "async") {
		con.ks(text, (e) => { if (e) throw e; });
		/* The answer to a request behind it says that it is done. */
		con.k("", subscribed);
	} else {
		con.k(text, subscribed);
	}
});
