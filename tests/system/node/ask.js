/*
 * Asks with node-q and prints the answer as one line of JSON.
 *
 *   node ask.js PORT TEXT
 */
"use strict";

const nodeq = require("node-q");

const [port, text] = process.argv.slice(2);

nodeq.connect({ host: "127.0.0.1", port: Number(port), user: "node",
		password: "" }, (err, con) => {
	if (err)
		throw err;
	con.k(text, (e, reply) => {
		if (e)
			throw e;
		process.stdout.write(JSON.stringify(reply) + "\n");
		con.close(() => {});
	});
});
