/*
 * libFuzzer: a request.  Input that is no object is taken as text.  A value is
 * one good object; an error has a text and leaves nothing written; a value that
 * does not fit is 'limit and never cut short.  The state of functions is as
 * before after an error that was trapped, and errors that end a request are
 * never trapped.
 */
#include "config.h"

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "q/eval.h"
#include "base/util.h"

enum { OUT_BYTES = 1 << 16, WORK_BYTES = 1 << 16, CALLS_MAX = 1 << 16 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

struct state {
	unsigned calls_cnt;
	bool is_over; /* no function may be called now */
	bool is_torn; /* a function failed, and was not taken back */
	bool was_torn[8]; /* at the beginning of each trap */
	unsigned traps_cnt;
};

static const uint8_t empty_table[] = {
	98, 0, 99, 11, 0, 1, 0, 0, 0, 'a', 0, 0, 0, 1, 0, 0, 0, 7, 0, 0, 0, 0, 0
};

static const char *
call_function(void *context, const struct request_arg *args, unsigned args_cnt,
	      struct wire_writer *out)
{
	struct state *s = context;

	CHECK(++s->calls_cnt < CALLS_MAX && !s->is_over);
	CHECK(args_cnt <= 2);
	wire_put_list(out, KT_LIST, KA_NONE, args_cnt);
	for (unsigned i = 0; i < args_cnt; i++) {
		struct wire_reader r =
			wire_reader(args[i].at, args[i].len, false);
		size_t text_len;

		wire_skip(&r);
		CHECK(r.bad == NULL && r.at == r.end);
		if (request_arg_text(&args[i], &text_len) != NULL)
			CHECK(text_len < args[i].len);
		wire_put_bytes(out, args[i].at, args[i].len);
	}
	return NULL;
}

static const char *
call_variable(void *context, const struct request_arg *args, unsigned args_cnt,
	      struct wire_writer *out)
{
	struct state *s = context;

	(void)args;
	CHECK(args_cnt == 0 && !s->is_over);
	if (++s->calls_cnt % 2 == 0)
		wire_put_long(out, 1);
	else
		wire_put_symbol(out, "x");
	return NULL;
}

static const char *
call_failing(void *context, const struct request_arg *args, unsigned args_cnt,
	     struct wire_writer *out)
{
	struct state *s = context;

	(void)args;
	CHECK(args_cnt <= 1 && !s->is_over);
	s->is_torn = true;
	wire_put_null(out);
	return "failed";
}

static const char *
call_waiting(void *context, const struct request_arg *args, unsigned args_cnt,
	     struct wire_writer *out)
{
	struct state *s = context;

	(void)args;
	(void)args_cnt;
	(void)out;
	s->is_over = true;
	return request_must_wait;
}

static bool
begin_trap(void *context)
{
	struct state *s = context;

	if (s->traps_cnt == ARRAY_LEN(s->was_torn))
		return false;
	s->was_torn[s->traps_cnt++] = s->is_torn;
	return true;
}

static void
end_trap(void *context, bool has_failed)
{
	struct state *s = context;

	CHECK(s->traps_cnt-- > 0);
	if (has_failed)
		s->is_torn = s->was_torn[s->traps_cnt];
}

static void
put_other(void *context, const char *name, size_t len, struct wire_writer *out)
{
	(void)context;
	if (len == 5 && memcmp(name, "trade", 5) == 0)
		wire_put_bytes(out, empty_table, sizeof(empty_table));
}

static const struct request_name names[] = {
	{ ".u.sub", call_function, 2 }, { "upd", call_function, 2 },
	{ ".u.i", call_variable, -1 },	{ ".u.L", call_variable, -1 },
	{ ".u.e", call_failing, 1 },	{ "t", call_function, 0 },
	{ ".u.w", call_waiting, -1 },
};

/* Returns the bytes of the value, 0 for an error. */
static size_t
check_evaluate(const uint8_t *body, size_t len, size_t out_bytes)
{
	uint8_t *bytes = malloc(out_bytes);
	struct wire_writer out = wire_writer(bytes, out_bytes);
	struct state state = { 0 };
	char error[REQUEST_ERROR_MAX];
	unsigned steps = REQUEST_STEPS_MAX;
	uint8_t *work = malloc(WORK_BYTES);
	const struct request_world world = {
		.names = names,
		.names_cnt = ARRAY_LEN(names),
		.put_other = put_other,
		.context = &state,
		.begin_trap = begin_trap,
		.end_trap = end_trap,
		.work = work,
		.work_len = WORK_BYTES,
		.error = error,
		.steps = &steps,
	};
	bool has_long_counts;
	const char *bad;
	size_t value_len;

	CHECK(bytes != NULL && work != NULL);
	bad = request_evaluate(&world, body, len, &out);
	CHECK(state.is_over == (bad == request_must_wait));
	CHECK(state.traps_cnt == 0 && (bad != NULL || !state.is_torn));
	value_len = wire_written(&out);
	CHECK(!out.is_full);
	if (bad != NULL)
		CHECK(value_len == 0 && strlen(bad) > 0 &&
		      strlen(bad) < REQUEST_ERROR_MAX);
	else
		CHECK(wire_check_body(bytes, value_len, false,
				      &has_long_counts) == NULL);
	free(work);
	free(bytes);
	return value_len;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct wire_writer w;
	uint8_t *text = NULL;
	bool has_long_counts;
	size_t value_len;

	if (len > OUT_BYTES / 4)
		return 0;
	if (wire_check_body(data, len, false, &has_long_counts) != NULL) {
		text = malloc(6 + len);
		CHECK(text != NULL);
		w = wire_writer(text, 6 + len);
		wire_put_list(&w, KT_CHAR, KA_NONE, (uint32_t)len);
		wire_put_bytes(&w, data, len);
		data = text;
		len += 6;
	}
	value_len = check_evaluate(data, len, OUT_BYTES);
	if (value_len > 0)
		CHECK(check_evaluate(data, len, value_len - 1) == 0);
	free(text);
	return 0;
}
