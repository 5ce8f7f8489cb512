/*
 * The figures of consumers, as they are written in a table and in the log.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "messages.h"

enum { TABLE_BYTES = 3, NAMED = 8 };

/* The figures in the order of the columns, as these and as the log call them.
 */
static const struct {
	const char *column, *field;
	size_t off;
} names[] = {
	{ "lagBytes", " lag_bytes=", offsetof(struct figures, lag_bytes) },
	{ "lagRecords", " lag_records=",
	  offsetof(struct figures, lag_records) },
	{ "lagMs", " lag_ms=", offsetof(struct figures, lag_ms) },
	{ "ringPct", " ring_pct=", offsetof(struct figures, ring_pct) },
	{ "kernelBytes", " kernel_bytes=",
	  offsetof(struct figures, kernel_bytes) },
	{ "sentBytes", " sent_bytes=", offsetof(struct figures, sent_bytes) },
	{ "highBytes", " high_bytes=", offsetof(struct figures, high_bytes) },
	{ "skips", " skips=", offsetof(struct figures, skips) },
	{ "skipped", " skipped=", offsetof(struct figures, skipped) },
	{ "spills", " spills=", offsetof(struct figures, spills) },
	{ "journalRecords", " journal_records=",
	  offsetof(struct figures, journal_records) },
	{ "journalMs", " journal_ms=", offsetof(struct figures, journal_ms) },
};

static int64_t *
figure(struct figures *f, size_t i)
{
	return (int64_t *)(void *)((char *)f + names[i].off);
}

static unsigned
port_of(const char *peer)
{
	const char *colon = strrchr(peer, ':');

	return colon == NULL ? 0 : (unsigned)strtoul(colon + 1, NULL, 10);
}

/* ---- the table ---- */

static uint32_t
get_list(struct in *i, unsigned type)
{
	unsigned found = (unsigned)in_get(i, 1);

	SIM_CHECK(found == type, "a column of consumers has type %u, not %u",
		  found, type);
	(void)in_get(i, 1);
	return (uint32_t)in_get(i, 4);
}

static void
skip_names(struct in *i)
{
	char name[64];

	for (uint32_t n = get_list(i, 11); n > 0; n--)
		in_get_name(i, name, sizeof(name));
}

static void
get_tls(struct in *i, struct figures *rows, uint32_t cnt)
{
	(void)get_list(i, 11);
	for (uint32_t n = 0; n < cnt; n++)
		in_get_name(i, rows[n].tls, sizeof(rows[n].tls));
	(void)get_list(i, 11);
	for (uint32_t n = 0; n < cnt; n++)
		in_get_name(i, rows[n].certificate,
			    sizeof(rows[n].certificate));
}

static void
check_names(struct in *i)
{
	static const char *const first[NAMED] = {
		"consumer",    "user",	 "peer",  "tls",
		"certificate", "tables", "state", "policy"
	};
	uint32_t cnt = get_list(i, 11);
	char name[64];

	SIM_CHECK(cnt == NAMED + ARRAY_LEN(names),
		  "the table of consumers has %u columns", cnt);
	for (uint32_t n = 0; n < cnt; n++) {
		in_get_name(i, name, sizeof(name));
		SIM_CHECK(strcmp(name, n < NAMED ? first[n]
						 : names[n - NAMED].column) ==
				  0,
			  "the table of consumers has a column %s", name);
	}
}

void
read_figures(const uint8_t *at, size_t len, struct bytes *out)
{
	struct in i = { at + HEADER_BYTES + TABLE_BYTES, at + len, false };
	struct figures *rows;
	char peer[64];
	uint32_t cnt;

	check_names(&i);
	(void)get_list(&i, 0);
	cnt = get_list(&i, 6);
	bytes_resize(out, cnt * sizeof(*rows));
	rows = (void *)out->at;
	for (uint32_t n = 0; n < cnt; n++)
		(void)in_get(&i, 4);
	(void)get_list(&i, 11);
	for (uint32_t n = 0; n < cnt; n++)
		in_get_name(&i, rows[n].user, sizeof(rows[n].user));
	(void)get_list(&i, 11);
	for (uint32_t n = 0; n < cnt; n++) {
		in_get_name(&i, peer, sizeof(peer));
		rows[n].port = port_of(peer);
	}
	get_tls(&i, rows, cnt);
	(void)get_list(&i, 0);
	for (uint32_t n = 0; n < cnt; n++)
		skip_names(&i);
	(void)get_list(&i, 11);
	for (uint32_t n = 0; n < cnt; n++)
		in_get_name(&i, rows[n].state, sizeof(rows[n].state));
	(void)get_list(&i, 11);
	for (uint32_t n = 0; n < cnt; n++)
		in_get_name(&i, rows[n].policy, sizeof(rows[n].policy));
	for (size_t column = 0; column < ARRAY_LEN(names); column++) {
		(void)get_list(&i, 7);
		for (uint32_t n = 0; n < cnt; n++)
			*figure(&rows[n], column) = (int64_t)in_get(&i, 8);
	}
	SIM_CHECK(!i.is_short, "the table of consumers is cut off");
	SIM_CHECK(i.at == i.end,
		  "the table of consumers goes on after its end");
}

/* ---- the log ---- */

static const char *
find(const char *line, const char *name, char *out, size_t room)
{
	const char *at = strstr(line, name);
	size_t len;

	if (at == NULL)
		return NULL;
	at += strlen(name);
	len = strcspn(at, " ");
	if (len > room - 1)
		len = room - 1;
	memcpy(out, at, len);
	out[len] = '\0';
	return out;
}

bool
read_figures_line(const char *from, size_t len, struct figures *out)
{
	char line[2048], value[64];

	*out = (struct figures){ .port = 0 };
	if (len >= sizeof(line))
		return false;
	memcpy(line, from, len);
	line[len] = '\0';
	if (strstr(line, "event=consumer ") == NULL)
		return false;
	(void)find(line, " user=", out->user, sizeof(out->user));
	(void)find(line, " state=", out->state, sizeof(out->state));
	(void)find(line, " policy=", out->policy, sizeof(out->policy));
	out->port = port_of(find(line, " peer=", value, sizeof(value)));
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		SIM_CHECK(find(line, names[i].field, value, sizeof(value)) !=
				  NULL,
			  "a line of a consumer has no%s", names[i].field);
		*figure(out, i) = strtoll(value, NULL, 10);
	}
	return true;
}
