/*
 * libFuzzer: what a server sends to `ringtick sub`, in pieces.  The first byte
 * says how long the pieces are.  However they are cut, the frames are the same,
 * and mean the same.  An update that begins like one before is read without a
 * look at all of it: what is found there lies within its message.
 */
#include "config.h"

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/util.h"
#include "tools/client.h"
#include "tools/sub_rejoin.h"
#include "tools/sub_tables.h"

enum { INPUT_MAX = 1 << 16 }; /* fits the socket at once */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* What came, as a sum over all that was understood. */
struct course {
	enum wire_result last;
	unsigned frames_cnt, updates_cnt;
	uint64_t sum;
};

static void
add(struct course *out, const void *bytes, size_t len)
{
	const uint8_t *at = bytes;

	for (size_t i = 0; i < len; i++)
		out->sum = hash_add(out->sum, at[i]);
}

static void
take_update(struct sub_tables *tables, struct sub_table *t, const uint8_t *body,
	    size_t len, struct course *out)
{
	const uint8_t *end = body + len;
	struct sub_update u;

	if (sub_table_read(t, body, len, true, true, &u) != NULL)
		return;
	CHECK(u.time == NULL || (u.time > body && u.time < end));
	CHECK(u.sequence_cnt == 0 ||
	      (u.sequence > body &&
	       u.sequence_cnt <= (uint64_t)(end - u.sequence) / 8));
	CHECK(sub_tables_find(tables, body, len) == t);
	sub_table_count(t, &u);
	out->updates_cnt++;
	add(out, &u.rows, sizeof(u.rows));
	if (u.sequence_cnt > 0)
		add(out, u.sequence, u.sequence_cnt * 8);
}

static void
take_message(struct sub_tables *tables, const uint8_t *body, size_t len,
	     struct course *out)
{
	struct sub_table *t = sub_tables_find(tables, body, len);
	bool is_long;

	if (t == NULL) {
		if (wire_check_body(body, len, false, &is_long) != NULL)
			return;
		t = sub_tables_learn(tables, body, len);
	}
	if (t != NULL)
		take_update(tables, t, body, len, out);
}

/* The reply that tells the place, and that of the epoch. */
static void
take_response(const uint8_t *body, size_t len, struct course *out)
{
	struct wire_reader r = wire_reader(body, len, false), first = r;
	struct sub_rejoin place;
	int64_t epoch;
	bool is_long;

	if (wire_check_body(body, len, false, &is_long) != NULL)
		return;
	if (sub_rejoin_read_epoch(&r, &epoch)) {
		CHECK(epoch >= 0);
		add(out, &epoch, sizeof(epoch));
	}
	if (!sub_rejoin_read_first(&first, &place))
		return;
	CHECK(place.epoch >= 0 && place.i <= INT64_MAX && place.n == 0);
	/* What `.u.sub` answers is in front. */
	CHECK(first.at > body && first.at < body + len && first.bad == NULL);
	wire_skip(&first);
	CHECK(first.bad == NULL);
	add(out, &place.i, sizeof(place.i));
	add(out, &place.day, sizeof(place.day));
}

static struct course
run(const uint8_t *data, size_t len, size_t piece)
{
	static const char column[] = "n";
	struct course course = { .sum = HASH_BEGIN };
	struct sub_tables tables = { .column = column };
	struct client client = { .fd = -1 };
	struct client_frame frame;
	int fds[2];

	CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
	client.fd = fds[0];
	CHECK(send(fds[1], data, len, 0) == (ssize_t)len);
	CHECK(close(fds[1]) == 0);
	for (;;) {
		course.last = client_next(&client, &frame);
		if (course.last == WIRE_BAD)
			break;
		if (course.last == WIRE_MORE) {
			if (client_receive(&client, piece, 0) <= 0)
				break;
			continue;
		}
		course.frames_cnt++;
		add(&course, &frame.message, sizeof(frame.message));
		add(&course, frame.body, frame.body_len);
		if (frame.message == WIRE_ASYNC)
			take_message(&tables, frame.body, frame.body_len,
				     &course);
		else if (frame.message == WIRE_RESPONSE)
			take_response(frame.body, frame.body_len, &course);
	}
	CHECK(course.last != WIRE_BAD || client.error[0] != '\0');
	sub_tables_fini(&tables);
	client_close(&client);
	return course;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct course whole, pieces;

	if (len < 2 || len > INPUT_MAX)
		return 0;
	whole = run(data + 1, len - 1, SIZE_MAX);
	pieces = run(data + 1, len - 1, 1 + data[0] % 64);
	CHECK(whole.last == pieces.last && whole.sum == pieces.sum);
	CHECK(whole.frames_cnt == pieces.frames_cnt);
	CHECK(whole.updates_cnt == pieces.updates_cnt);
	return 0;
}
