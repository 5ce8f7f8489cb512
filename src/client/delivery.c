#include "config.h"

#include "client/delivery.h"

/* A write that takes longer waits for the peer, not for the kernel's work. */
#define PARKED_NS (1 * NS_PER_MS)

/* No further write of the past is submitted while this many of its bytes are in
 * flight: live messages queue after them in the kernel (512 KiB were measured
 * as 1 ms more for all). */
enum { PAST_BYTES_MAX = 128 << 10 };

static struct connection *
connection_of(struct list *queue_node)
{
	return container_of(queue_node, struct connection,
			    consumer.queue_node);
}

static struct ticket
write_ticket(const struct connection *c)
{
	return (struct ticket){ .generation = c->generation,
				.slot = (uint16_t)c->slot,
				.kind = ENGINE_WRITE };
}

void
delivery_init(struct delivery *d, struct engine *engine,
	      struct streams *streams, struct pool *pool, size_t span_max,
	      uint64_t in_flight_max, const struct journal_state *journal)
{
	*d = (struct delivery){ .engine = engine,
				.streams = streams,
				.pool = pool,
				.span_max = span_max,
				.in_flight_max = in_flight_max,
				.gates = { &journal->written_pos,
					   &journal->synced_pos } };
	list_init(&d->idle);
	list_init(&d->ready);
	list_init(&d->ready_past);
	list_init(&d->flight);
}

/*
 * With --enable-span-check the bytes of a write are summed up before and after:
 * they must not change while the kernel may still read them.
 */
static uint64_t
sum_of(const uint8_t *at, size_t len)
{
	uint64_t sum = len;

	if (!SPAN_CHECK)
		return 0;
	for (size_t i = 0; i < len; i++)
		sum = hash_add(sum, at[i]);
	return sum;
}

static bool
has_work(struct connection *c, size_t span_max)
{
	struct span span;

	return c->consumer.writing == PART_NONE &&
	       consumer_next(&c->consumer, span_max, &span);
}

static struct list *
ready_list(struct delivery *d, const struct connection *c)
{
	enum consumer_state state = c->consumer.state;

	return state == CONSUMER_JOURNAL || state == CONSUMER_REST
		       ? &d->ready_past
		       : &d->ready;
}

void
delivery_wake(struct delivery *d, struct connection *c)
{
	struct consumer *consumer = &c->consumer;

	if (consumer->writing != PART_NONE)
		return;
	list_remove(&consumer->queue_node);
	if (has_work(c, d->span_max))
		list_append(ready_list(d, c), &consumer->queue_node);
	else if (consumer_is_subscribed(consumer) || consumer_is_busy(consumer))
		list_append(&d->idle, &consumer->queue_node);
}

/* Takes a write out of the count, so that others can use its share. */
static void
uncount_write(struct delivery *d, struct consumer *c)
{
	if (!c->is_counted)
		return;
	c->is_counted = false;
	list_remove(&c->flight_node);
	if (c->writing == PART_JOURNAL)
		d->past_bytes -= c->writing_len;
	else
		d->in_flight_bytes -= c->writing_len;
}

static void
uncount_parked(struct delivery *d, int64_t now_ns)
{
	while (!list_is_empty(&d->flight)) {
		struct consumer *oldest = container_of(
			d->flight.next, struct consumer, flight_node);

		if (now_ns - oldest->writing_since_ns < PARKED_NS)
			return;
		uncount_write(d, oldest);
	}
}

/* Makes idle consumers ready if a stream or a gate has moved. */
static void
wake_idle(struct delivery *d)
{
	uint64_t heads = d->streams->main.visible_pos + *d->gates[0] +
			 *d->gates[1] + d->streams->feeds;
	struct list *n, *next;

	if (heads == d->heads_seen)
		return;
	d->heads_seen = heads;
	for (n = d->idle.next; n != &d->idle; n = next) {
		struct connection *c = connection_of(n);

		next = n->next;
		if (!has_work(c, d->span_max))
			continue;
		list_remove(n);
		list_append(ready_list(d, c), n);
	}
}

static void
submit_write(struct delivery *d, struct connection *c, int64_t now_ns)
{
	struct consumer *consumer = &c->consumer;
	struct span span;
	bool is_any = consumer_next(consumer, d->span_max, &span);

	CHECK(is_any);
	if (span.is_in_main_ring)
		engine_write(d->engine, span.at, span.len, write_ticket(c));
	else
		engine_send(d->engine, span.at, span.len, write_ticket(c));
	c->ops_cnt++;
	consumer->writing = span.part;
	consumer->writing_len = span.len;
	consumer->writing_at = span.at;
	consumer->writing_sum = sum_of(span.at, span.len);
	consumer->writing_since_ns = now_ns;
	consumer->is_counted = true;
	if (span.part == PART_JOURNAL)
		d->past_bytes += span.len;
	else
		d->in_flight_bytes += span.len;
	list_append(&d->flight, &consumer->flight_node);
}

static void
submit_first(struct delivery *d, struct list *ready, int64_t now_ns)
{
	struct list *first = ready->next;

	list_remove(first);
	submit_write(d, connection_of(first), now_ns);
}

void
delivery_run(struct delivery *d, int64_t now_ns)
{
	uncount_parked(d, now_ns);
	wake_idle(d);
	while (!list_is_empty(&d->ready) &&
	       d->in_flight_bytes < d->in_flight_max)
		submit_first(d, &d->ready, now_ns);
	while (!list_is_empty(&d->ready_past) &&
	       d->past_bytes < PAST_BYTES_MAX &&
	       d->in_flight_bytes < d->in_flight_max)
		submit_first(d, &d->ready_past, now_ns);
}

int64_t
delivery_completed(struct delivery *d, struct connection *c, int32_t result)
{
	size_t accepted = result > 0 ? (size_t)result : 0;

	CHECK(sum_of(c->consumer.writing_at, c->consumer.writing_len) ==
	      c->consumer.writing_sum);
	uncount_write(d, &c->consumer);
	pool_give(d->pool, consumer_written(&c->consumer, accepted));
	/* No byte was sent, and no error occurred: the write is tried again. */
	if (engine_is_again(result))
		result = 0;
	return result;
}

bool
delivery_cancel(struct delivery *d, struct connection *c)
{
	struct ticket cancel = write_ticket(c);

	if (!consumer_cancel(&c->consumer))
		return false;
	cancel.kind = ENGINE_CANCEL;
	engine_cancel(d->engine, write_ticket(c), cancel);
	c->ops_cnt++;
	return true;
}

void
delivery_stop(struct connection *c)
{
	list_remove(&c->consumer.queue_node);
}

void
delivery_forget(struct delivery *d, struct connection *c)
{
	delivery_stop(c);
	pool_give(d->pool, c->consumer.long_reply);
	c->consumer.long_reply = NULL;
	pool_give(d->pool, consumer_fini(&c->consumer));
}
