/*
 * Publishes with node-q: COUNT single rows asynchronously, as many in bulk
 * synchronously, and one that is wrong; prints the answers as JSON.
 *
 *   node publish.js PORT COUNT
 */
"use strict";

const nodeq = require("node-q");
const Long = require("long");

const [port, count] = process.argv.slice(2);
const n = Number(count);

function say(event) {
	process.stdout.write(JSON.stringify(event) + "\n");
}

nodeq.connect({ host: "127.0.0.1", port: Number(port), user: "feed",
		password: "secret",
		useTLS: "RINGTICK_NODE_TLS" in process.env }, (err, con) => {
	if (err)
		throw err;
	con.on("error", (e) => { throw e; });
	for (let i = 0; i < n; i++)
		con.ks(".u.upd", nodeq.symbol("trade"), [nodeq.symbol("ROW"),
			nodeq.float(i + 0.5), nodeq.long(Long.fromNumber(i))],
		       (e) => { if (e) throw e; });
	const numbers = [...Array(n).keys()];
	con.k(".u.upd", nodeq.symbol("trade"), [
		nodeq.symbols(numbers.map(() => "BULK")),
		nodeq.floats(numbers.map((i) => i + 0.25)),
		nodeq.longs(numbers.map((i) => Long.fromNumber(i))),
	], (e, reply) => {
		say({ event: "bulk", error: e ? e.message : null, reply });
		con.k(".u.upd", nodeq.symbol("nowhere"), [nodeq.long(Long.fromNumber(1))],
		      (wrong) => {
			say({ event: "wrong", error: wrong ? wrong.message : null });
			con.close(() => say({ event: "closed" }));
		});
	});
});
