#include "config.h"

#include "schema/mark.h"

#include "base/util.h"
#include "wire/wire.h"

void
mark_write(uint8_t *at, int32_t day)
{
	struct wire_writer w = wire_writer(at, MARK_BYTES);
	size_t header = wire_begin_frame(&w, WIRE_ASYNC);

	wire_put_list(&w, KT_LIST, KA_NONE, 2);
	wire_put_symbol(&w, ".u.end");
	wire_put_date(&w, day);
	wire_end_frame(&w, header);
	CHECK(!w.is_full && wire_written(&w) == MARK_BYTES);
}

int32_t
mark_day(const uint8_t *frame)
{
	return (int32_t)wire_load_u32(frame + MARK_BYTES - 4);
}
