/*
 * Decodes whole IPC frames with node-q's deserialiser: one in hex per line of
 * standard input, one JSON value per line of standard output.
 */
"use strict";

const c = require("node-q/lib/c");

const lines = require("fs").readFileSync(0, "latin1").split("\n");

for (const line of lines.filter((one) => one !== ""))
	process.stdout.write(JSON.stringify(
		c.deserialize(Buffer.from(line, "hex"), false)) + "\n");
