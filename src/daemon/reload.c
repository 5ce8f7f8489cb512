#include "config.h"

#include "daemon/reload.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/exits.h"
#include "base/notify.h"
#include "config/settings_change.h"
#include "config/settings_load.h"
#include "daemon/hello.h"
#include "daemon/login.h"
#include "daemon/login_start.h"
#include "daemon/session.h"
#include "q/parse.h"

/* Between two starts of ringtick-login. */
#define LOGIN_PAUSE_NS (1 * NS_PER_S)

enum {
	/* Connections that get their new rights in one turn. */
	CONNECTIONS_A_TURN = 256,
};

/* ---- on the other thread ---- */

static int
start_login(struct reload *r, const struct settings *settings)
{
	r->login_fd = -1;
	if (!settings_want_password(settings))
		return 0;
	r->login_fd = login_start(settings, &r->login_kb, r->err,
				  sizeof(r->err));
	return r->login_fd < 0 ? r->login_fd : 0;
}

static void
read_files(struct file_job *job)
{
	struct reload *r = container_of(job, struct reload, job);

	r->login_fd = -1;
	r->result = settings_load(&r->loaded, r->path, r->err, sizeof(r->err));
	if (r->result == 0 && !settings_can_adopt(r->settings, &r->loaded,
						  r->err, sizeof(r->err)))
		r->result = -EINVAL;
	else if (r->result == 0)
		r->result = start_login(r, &r->loaded);
	else
		return;
	if (r->result != 0)
		settings_fini(&r->loaded);
}

/* Once more with the running settings, which nothing changes meanwhile. */
static void
restart_login(struct file_job *job)
{
	struct reload *r = container_of(job, struct reload, job);

	r->result = start_login(r, r->settings);
}

static void
free_old(struct file_job *job)
{
	struct reload *r = container_of(job, struct reload, job);

	settings_fini(&r->loaded);
}

static void
begin(struct reload *r, void (*run)(struct file_job *job))
{
	r->job.run = run;
	file_job_start(&r->jobs, &r->job);
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

/* Whether the client may have what it has subscribed to, also if that begins
 * only when its reply finds a place. */
static bool
may_stay(const struct connection *c, const struct rights *before)
{
	const struct answer *a = &c->answer;

	return (!consumer_is_subscribed(&c->consumer) ||
		covers(c->rights, before, &c->selection)) &&
	       (!a->is_kept || !a->is_subscribing ||
		covers(c->rights, before, &a->selection));
}

static void
give_rights(struct server *s, struct connection *c)
{
	const struct rights *before = c->rights;
	const struct rights *now = settings_rights_of(s->settings, c->name);

	hello_give_rights(s, c, now);
	if (!hello_has_shown_enough(s, c)) {
		session_close(s, c, CLOSE_not_shown, NULL);
		return;
	}
	if (hello_wants_password(s, c))
		login_ask(s, c);
	if (!may_stay(c, before))
		session_close(s, c, CLOSE_rights, NULL);
}

/* Starts it again, at most once in a while. */
static void
mind_login(struct server *s)
{
	struct reload *r = &s->reload;

	if (!r->is_login_gone || s->is_stopping || r->job.is_busy ||
	    r->is_giving || s->now_ns < r->next_login_ns)
		return;
	r->is_login_gone = false;
	begin(r, restart_login);
}

bool
reload_run(struct server *s)
{
	struct reload *r = &s->reload;
	unsigned end = r->slot + CONNECTIONS_A_TURN;

	mind_login(s);
	if (!r->is_giving)
		return false;
	for (; r->slot < s->clients.max && r->slot < end; r->slot++) {
		struct connection *c = &s->clients.slots[r->slot];

		if (c->state == CONNECTION_OPEN)
			give_rights(s, c);
		else if (c->state == CONNECTION_CHECKING &&
			 !hello_wants_password(s, c))
			session_login(s, c, true, CLOSE_login);
	}
	if (r->slot < s->clients.max)
		return true;
	/* Nobody has the old rights any more. */
	r->is_giving = false;
	r->done_cnt = r->begun_cnt;
	begin(r, free_old);
	return false;
}

static void
adopt(struct server *s)
{
	struct reload *r = &s->reload;

	log_kept(r);
	settings_adopt(r->settings, &r->loaded);
	login_use(s, r->login_fd);
	r->is_login_gone = false;
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

/* Whether strangers stay out; if not, what was loaded goes, and the
 * ringtick-login that was started for it: it ends without its socket. */
static bool
keeps_strangers_out(struct reload *r)
{
	if (listeners_may_adopt(&r->server->listeners, r->settings, &r->loaded,
				r->err, sizeof(r->err)))
		return true;
	if (r->login_fd >= 0)
		(void)close(r->login_fd);
	begin(r, free_old);
	return false;
}

static void
files_read(struct reload *r)
{
	r->is_good = r->result == 0 && keeps_strangers_out(r);
	if (r->is_good) {
		adopt(r->server);
	} else {
		r->done_cnt = r->begun_cnt;
		log_line(LOG_ERROR, "reload",
			 "result=failed error=%s hint=\"the running settings "
			 "are kept\"",
			 LOG_QUOTED(r->err));
	}
	notify_reloaded();
}

static void
login_restarted(struct reload *r)
{
	r->is_login_gone = r->result != 0;
	if (r->is_login_gone)
		log_line(LOG_ERROR, "login_failed", "error=%s",
			 LOG_QUOTED(r->err));
	else
		login_use(r->server, r->login_fd);
}

static void
job_done(struct file_job *job, int64_t now_ns)
{
	struct reload *r = container_of(job, struct reload, job);

	r->next_login_ns = now_ns + LOGIN_PAUSE_NS;
	if (job->run == read_files)
		files_read(r);
	else if (job->run == restart_login)
		login_restarted(r);
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
	begin(r, read_files);
}

/* ---- ringtick-login ---- */

void
reload_start_login(struct server *s)
{
	struct reload *r = &s->reload;

	if (!settings_want_password(r->settings))
		return;
	begin(r, restart_login);
	(void)file_jobs_finish(&r->jobs, INT64_MAX);
	if (r->is_login_gone)
		die(EXIT_MEND, "%s", r->err);
}

void
reload_login_completed(struct server *s, const struct completion *done)
{
	struct reload *r = &s->reload;
	struct connection *c;

	switch (login_completed(s, done->ticket, done->result, &c)) {
	case VERDICT_NONE:
		break;
	case VERDICT_YES:
		session_login(s, c, true, CLOSE_login);
		break;
	case VERDICT_NO:
		session_login(s, c, false, CLOSE_login);
		break;
	case VERDICT_UNKNOWN:
		session_login(s, c, false, CLOSE_login_unknown);
		break;
	case VERDICT_GONE:
		r->is_login_gone = true;
		if (!s->is_stopping)
			log_line(LOG_ERROR, "login_gone",
				 "hint=\"ringtick-login has ended; it is "
				 "started again, until then nobody can log "
				 "in\"");
		break;
	}
	login_run(s);
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
	return s->reload.is_good ? NULL : s->reload.err;
}

/* ---- opening and closing ---- */

int
reload_open(struct server *s, struct settings *settings, const char *path)
{
	struct reload *r = &s->reload;

	*r = (struct reload){
		.server = s, .settings = settings, .path = path, .login_fd = -1
	};
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
