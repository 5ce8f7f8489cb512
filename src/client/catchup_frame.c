#include "config.h"

#include "client/catchup_private.h"

#include "base/log.h"
#include "schema/record.h"

void
catchup_tell_refused(struct catchup *cu, const struct journal_record *r)
{
	char table[64];

	if (cu->refused_records++ > 0)
		return;
	log_line(LOG_WARN, "journal_records_refused",
		 "table=%s hint=\"records from before this start that the "
		 "schema does not take are not sent; told once\"",
		 log_value(table, sizeof(table), r->table, r->table_len));
}

void
catchup_unreadable(struct catchup *cu, struct connection *c, uint64_t off,
		   const char *why)
{
	uint64_t held;

	if (log_may(&cu->unreadable_log, cu->now_ns, &held))
		log_line(LOG_ERROR, "journal_unreadable",
			 "off=%llu held=%llu why=\"%s\"",
			 (unsigned long long)off, (unsigned long long)held,
			 why);
	catchup_tell(cu, c, OUTCOME_UNREADABLE);
}

/*
 * Records from before this run may have any form that q logs: they are read
 * like an update from a feed.  A record that does not fit the schema any more
 * is not sent.
 */
static void
look_at_foreign(struct catchup *cu, struct catchup_found *f)
{
	const struct journal_record *r = &f->record;
	size_t x_len = r->len - (size_t)(r->x - r->at);
	struct update *u = &f->u;
	const char *why;

	f->message.pos_len = r->len;
	if (f->table != NULL &&
	    (update_parse(f->table, r->x, x_len, cu->settings->schema.check, u,
			  &why) != UPDATE_OK ||
	     u->rows == 0 || u->frame_len > cu->settings->message.max))
		f->table = NULL;
	if (f->table == NULL) {
		catchup_tell_refused(cu, r);
		return;
	}
	f->message.frame_len = u->frame_len;
	f->is_verbatim = u->form == UPDATE_COLUMNS && u->is_verbatim &&
			 u->has_time &&
			 u->frame_len == r->len + record_saves(f->table);
}

struct rows
catchup_rows(const struct catchup_found *f)
{
	size_t start = record_start_len(f->table) + WIRE_LIST_HEADER_BYTES;

	return row_ops_of_columns(f->record.at + start, f->record.len - start);
}

/* Picks the rows of the symbols that the consumer wants. */
static void
pick_rows(struct catchup *cu, const struct consumer *c, struct catchup_found *f)
{
	struct filter *filter = &cu->streams->filter;
	struct rows rows;

	if (f->is_verbatim) {
		rows = catchup_rows(f);
	} else {
		update_write(&f->u, 0, cu->whole);
		rows = row_ops_of_frame(f->table, cu->whole);
	}
	filter_look(filter, f->table, rows);
	f->picked_cnt = filter_pick(filter, c->past.selection.symbols);
	f->is_verbatim = false;
	f->message.is_selected = f->picked_cnt > 0;
	f->message.frame_len =
		f->picked_cnt > 0 ? filter_frame_len(filter, f->picked_cnt) : 0;
}

void
catchup_identify(struct catchup *cu, const struct consumer *c,
		 struct catchup_found *f)
{
	const struct past *p = &c->past;
	const struct journal_record *r = &f->record;

	f->table = schema_find(&cu->settings->tables, r->table, r->table_len);
	f->is_verbatim = p->at.off >= p->at.file->first_off && f->table != NULL;
	f->message = (struct past_message){ .is_record = true,
					    .record_len = r->len };
	if (f->is_verbatim) {
		f->message.frame_len = r->len + record_saves(f->table);
		f->message.pos_len = f->message.frame_len;
	} else {
		look_at_foreign(cu, f);
	}
	f->picked_cnt = 0;
	f->message.is_selected =
		f->table != NULL && selection_has(&p->selection, f->table->idx);
}

void
catchup_look(struct catchup *cu, const struct consumer *c,
	     struct catchup_found *f)
{
	catchup_identify(cu, c, f);
	if (f->message.is_selected &&
	    selection_filters(&c->past.selection, f->table->idx))
		pick_rows(cu, c, f);
}

void
catchup_frame_write(const struct catchup *cu, const struct catchup_found *f,
		    uint8_t *at)
{
	if (f->picked_cnt > 0)
		(void)filter_frame_write(&cu->streams->filter, f->picked_cnt,
					 at);
	else if (f->is_verbatim)
		record_to_frame(f->table, f->record.at, f->record.len, at);
	else
		update_write(&f->u, 0, at);
}

