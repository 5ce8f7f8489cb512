#include "config.h"

#include "tick/publish_by_template.h"

#include "schema/template.h"

/* Writes one message after the pending ones.  Returns the length of its frame;
 * 0: the frame is to be handled by dispatch_frame. */
static size_t
publish_one(struct tick *t, const struct rights *rights, const uint8_t *frame,
	    size_t avail, uint64_t *pending)
{
	struct stream *s = &t->streams->main;
	uint64_t len, room, rows;
	const struct template *template =
		template_find(&t->templates, frame, avail, &len);
	size_t written;

	if (template == NULL ||
	    (!rights->publishes_all &&
	     !rights_may_publish(rights, template->table->idx)))
		return 0;
	room = template_room(template, len);
	/* A long one may have to wait, for its turn or for the streams. */
	if (room > t->settings->message.max ||
	    streams_is_long(t->streams, room))
		return 0;
	if (!stream_has_room(s, *pending + room)) {
		/* `room` is an upper bound: no writer waits for that much. */
		s->wanted_bytes = 0;
		return 0;
	}
	written = template_write(template, frame, len, avail, t->local_ns,
				 stream_head(s) + *pending, &rows);
	if (written == 0)
		return 0;
	streams_count(t->streams, template->table->idx, written);
	t->counters->in_rows += rows;
	t->counters->in_bytes += written;
	*pending += written;
	return len;
}

size_t
publish_by_template(struct tick *t, const struct rights *rights,
		    const uint8_t *at, size_t avail, uint64_t *out_records)
{
	struct stream *s = &t->streams->main;
	uint64_t records = 0;
	size_t taken = 0;
	bool has_more = !t->is_held && !t->is_day_pending;

	while (has_more) {
		uint64_t pending = 0, first = records;

		while (has_more && pending < s->index.gap_bytes) {
			size_t len = publish_one(t, rights, at + taken,
						 avail - taken, &pending);

			taken += len;
			records += len > 0;
			has_more = len > 0;
		}
		if (pending > 0)
			stream_commit(s, pending, (unsigned)(records - first),
				      t->now_ns);
	}
	t->counters->in_records += records;
	*out_records = records;
	return taken;
}
