/*
 * A column of numbers 0, 1, 2, ..., for bench/filter_cost.c and
 * bench/row_ops_cost.c.
 */
#ifndef RINGTICK_BENCH_COLUMN_H
#define RINGTICK_BENCH_COLUMN_H

#include "wire/wire.h"

/* type: one of 8 bytes. */
static inline void
put_numbers(struct wire_writer *w, int type, uint32_t rows)
{
	wire_put_list(w, type, KA_NONE, rows);
	for (uint32_t i = 0; i < rows; i++)
		wire_put_u64(w, i);
}

#endif
