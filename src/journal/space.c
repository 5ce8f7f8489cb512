#include "config.h"

#include "journal/space.h"

#include <stdio.h>
#include <sys/statvfs.h>

#include "base/util.h"

static void
run_look(struct file_job *job)
{
	struct journal_space *sp = container_of(job, struct journal_space, job);
	struct statvfs disk;

	sp->found_bytes = statvfs(sp->directory, &disk) == 0
				  ? (int64_t)(disk.f_bavail * disk.f_frsize)
				  : -1;
}

static void
look_done(struct file_job *job, int64_t now_ns)
{
	struct journal_space *sp = container_of(job, struct journal_space, job);

	(void)now_ns;
	sp->free_bytes = sp->found_bytes;
}

void
journal_space_init(struct journal_space *sp, const char *directory)
{
	*sp = (struct journal_space){
		.job = { .run = run_look, .done = look_done,
			 .what = "look for free space" },
		.directory = directory,
		.free_bytes = -1,
	};
}

void
journal_space_look(struct journal_space *sp, struct file_jobs *fj)
{
	if (!sp->job.is_busy)
		file_job_start(fj, &sp->job);
}

const char *
journal_space_text(const struct journal_space *sp, double bytes_per_s,
		   char *buf, size_t buf_len)
{
	double hours = bytes_per_s > 0 ? (double)sp->free_bytes /
						 bytes_per_s / 3600
				       : 0;

	if (sp->free_bytes < 0)
		(void)snprintf(buf, buf_len,
			       " journal_free_mb=- journal_free_hours=-");
	else if (bytes_per_s <= 0)
		(void)snprintf(buf, buf_len,
			       " journal_free_mb=%lld journal_free_hours=-",
			       (long long)(sp->free_bytes / 1000000));
	else
		(void)snprintf(buf, buf_len,
			       " journal_free_mb=%lld journal_free_hours=%.1f",
			       (long long)(sp->free_bytes / 1000000), hours);
	return buf;
}
