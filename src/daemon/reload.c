#include "config.h"

#include "daemon/reload.h"

#include <stdlib.h>
#include <string.h>

#include "base/notify.h"
#include "config/settings_change.h"
#include "config/settings_load.h"
#include "daemon/hello.h"
#include "daemon/session.h"
#include "q/parse.h"

enum {
	/* Connections that get their new rights in one turn. */
	CONNECTIONS_A_TURN = 256,
};

/* ---- on the other thread ---- */

static void
read_files(struct file_job *job)
{
	struct reload *r = container_of(job, struct reload, job);

	r->result = settings_load(&r->loaded, r->path, r->err, sizeof(r->err));
}

static void
free_old(struct file_job *job)
{
	struct reload *r = container_of(job, struct reload, job);

	settings_fini(&r->loaded);
}

/* ---- the change ---- */

static void
log_kept(const struct reload *r)
{
	char text[256];
	unsigned at = 0;

	while (settings_next_kept(r->settings, &r->loaded, &at, text,
				  sizeof(text)))
		log_line(LOG_WARN, "reload_kept",
			 "running=%s hint=\"needs a restart\"",
			 LOG_QUOTED(text));
}

/* Whether the subscription is one that these rights allow.  A restricted table
 * whose symbols have changed is not compared symbol by symbol. */
static bool
covers(const struct rights *now, const struct rights *before,
       const struct selection *selection)
{
	for (unsigned i = 0; i < SCHEMA_TABLES_MAX; i++) {
		if (!selection_has(selection, i))
			continue;
		if (!rights_may_subscribe(now, i))
			return false;
		if (rights_is_restricted(now, i) &&
		    !rights_have_same_symbols(now, before, i))
			return false;
	}
	return true;
}

static void
give_rights(struct server *s, struct connection *c)
{
	const struct rights *before = c->rights;
	const struct rights *now = settings_rights_of(s->settings, c->name);

	hello_give_rights(s, c, now);
	if (consumer_is_subscribed(&c->consumer) &&
	    !covers(now, before, &c->selection))
		session_close(s, c, CLOSE_rights, NULL);
}

bool
reload_run(struct server *s)
{
	struct reload *r = &s->reload;
	unsigned end = r->slot + CONNECTIONS_A_TURN;

	if (!r->is_giving)
		return false;
	for (; r->slot < s->clients.max && r->slot < end; r->slot++) {
		struct connection *c = &s->clients.slots[r->slot];

		if (c->rights != NULL && c->state != CONNECTION_FREE)
			give_rights(s, c);
	}
	if (r->slot < s->clients.max)
		return true;
	/* Nobody has the old rights any more. */
	r->is_giving = false;
	r->job.run = free_old;
	file_job_start(&r->jobs, &r->job);
	return false;
}

static void
adopt(struct server *s)
{
	struct reload *r = &s->reload;

	log_kept(r);
	settings_adopt(r->settings, &r->loaded);
	s->lag_limits = (struct lag_limits){
		(unsigned)r->settings->slow.leave_percent,
		(unsigned)r->settings->slow.return_percent,
		r->settings->slow.block_limit,
	};
	s->next_report_ns = min_i64(s->next_report_ns,
				    s->now_ns + r->settings->log.report);
	r->is_giving = true;
	r->slot = 0;
	log_line(LOG_NOTE, "reload", "result=ok config=%s users=%u roles=%u",
		 LOG_QUOTED(r->path), r->settings->auth.user_rows_cnt,
		 r->settings->auth.role_rows_cnt);
}

/* The files are read, or the old settings freed. */
static void
job_done(struct file_job *job, int64_t now_ns)
{
	struct reload *r = container_of(job, struct reload, job);
	bool was_read = job->run == read_files;

	(void)now_ns;
	if (was_read) {
		r->is_good = r->result == 0 &&
			     settings_can_adopt(r->settings, &r->loaded,
						r->err, sizeof(r->err));
		r->done_cnt = r->begun_cnt;
		if (r->is_good) {
			adopt(r->server);
		} else {
			log_line(LOG_ERROR, "reload",
				 "result=failed error=%s hint=\"the running "
				 "settings are kept\"",
				 LOG_QUOTED(r->err));
			if (r->result == 0)
				settings_fini(&r->loaded);
		}
		notify_reloaded();
	}
	if (r->is_wanted && !r->is_giving && !job->is_busy)
		reload_begin(r->server);
}

void
reload_begin(struct server *s)
{
	struct reload *r = &s->reload;

	r->is_wanted = r->job.is_busy || r->is_giving;
	if (r->is_wanted)
		return;
	notify_reloading();
	r->begun_cnt++;
	r->job.run = read_files;
	file_job_start(&r->jobs, &r->job);
}

/* ---- .ringtick.reload[] ---- */

bool
reload_is_over(const struct server *s, const struct connection *c)
{
	return (int32_t)(s->reload.done_cnt - c->reload_no) >= 0;
}

/* The request is handled once more when the reload is over. */
const char *
reload_ask(void *context, const struct tick_client *client)
{
	struct server *s = context;
	struct connection *c = s->clients.slots + client->slot;

	if (!c->is_reloading) {
		c->is_reloading = true;
		/* One that runs may have read the files already. */
		c->reload_no = s->reload.begun_cnt + 1;
		reload_begin(s);
		return request_must_wait;
	}
	if (!reload_is_over(s, c))
		return request_must_wait;
	c->is_reloading = false;
	return s->reload.is_good ? NULL : s->reload.err;
}

/* ---- opening and closing ---- */

int
reload_open(struct server *s, struct settings *settings, const char *path)
{
	struct reload *r = &s->reload;

	*r = (struct reload){ .server = s, .settings = settings, .path = path };
	r->job.done = job_done;
	r->job.what = "reload";
	return file_jobs_open(&r->jobs);
}

void
reload_arm(struct server *s)
{
	file_jobs_arm(&s->reload.jobs, s->engine, ENGINE_RELOAD);
}

void
reload_completed(struct server *s)
{
	file_jobs_completed(&s->reload.jobs, s->now_ns);
}

bool
reload_close(struct server *s)
{
	struct reload *r = &s->reload;

	if (r->jobs.event_fd < 0)
		return true;
	r->is_wanted = false;
	if (!file_jobs_finish(&r->jobs, s->now_ns + NS_PER_S))
		return false;
	if (r->is_giving)
		settings_fini(&r->loaded);
	file_jobs_close(&r->jobs);
	return true;
}
