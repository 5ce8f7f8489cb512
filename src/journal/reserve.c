#include "config.h"

#include "journal/reserve.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/log.h"
#include "base/util.h"

enum {
	STAGING_BYTES_MIN = 4 << 20,
	SPARE_BYTES = 64 << 10,
};

static void
run_give_up(struct file_job *job)
{
	struct journal_reserve *r =
		container_of(job, struct journal_reserve, job);

	(void)unlink(r->path);
}

static void
given_up(struct file_job *job, int64_t now_ns)
{
	(void)job;
	(void)now_ns;
}

size_t
journal_staging_bytes(const struct settings *settings)
{
	size_t bytes = STAGING_BYTES_MIN;

	while (bytes < settings->message.max)
		bytes *= 2;
	return bytes;
}

uint64_t
journal_reserve_bytes(const struct settings *settings)
{
	return settings->journal.reserve
		       ? settings->ring.size +
				 journal_staging_bytes(settings) + SPARE_BYTES
		       : 0;
}

/* Whether a file of which `blocks` exist can grow to `bytes`, and as much again
 * stays free. */
static bool
has_room(const struct statvfs *disk, blkcnt_t blocks, uint64_t bytes)
{
	uint64_t has = (uint64_t)blocks * 512;

	return has >= bytes ||
	       (uint64_t)disk->f_bavail * disk->f_frsize + has >= 2 * bytes;
}

int
journal_reserve_foresee(const char *directory, const char *name, uint64_t bytes)
{
	char path[PATH_MAX];
	struct statvfs disk;
	struct stat st;

	(void)snprintf(path, sizeof(path), "%s/%s.reserve", directory, name);
	if (stat(path, &st) != 0)
		st.st_blocks = 0;
	if (statvfs(directory, &disk) != 0)
		return -errno;
	return has_room(&disk, st.st_blocks, bytes) ? 0 : -ENOSPC;
}

/* 0 or -errno. */
static int
check_room(int fd, uint64_t bytes)
{
	struct statvfs disk;
	struct stat st;

	if (fstat(fd, &st) != 0 || fstatvfs(fd, &disk) != 0)
		return -errno;
	return has_room(&disk, st.st_blocks, bytes) ? 0 : -ENOSPC;
}

/* 0 or -errno. */
static int
make_file(const char *path, uint64_t bytes)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0640);
	int err;

	if (fd < 0)
		return -errno;
	err = check_room(fd, bytes);
	if (err == 0)
		do
			err = -posix_fallocate(fd, 0, (off_t)bytes);
		while (err == -EINTR);
	if (err == 0 && ftruncate(fd, (off_t)bytes) != 0)
		err = -errno;
	(void)close(fd);
	if (err != 0)
		(void)unlink(path);
	return err;
}

void
journal_reserve_open(struct journal_reserve *r, const char *directory,
		     const char *name, uint64_t bytes)
{
	int err;

	*r = (struct journal_reserve){
		.job = { .run = run_give_up, .done = given_up,
			 .what = "give up the reserve" },
	};
	(void)snprintf(r->path, sizeof(r->path), "%s/%s.reserve", directory,
		       name);
	if (bytes == 0) {
		(void)unlink(r->path);
		return;
	}
	err = make_file(r->path, bytes);
	if (err == 0)
		r->bytes = bytes;
	else
		log_line(LOG_WARN, "journal_no_reserve",
			 "file=%s bytes=%llu error=\"%s\" hint=\"a stop "
			 "with a full disk may lose accepted updates that are "
			 "not yet written; make room for twice that size, or "
			 "set journal.reserve = false\"",
			 LOG_QUOTED(r->path), (unsigned long long)bytes,
			 strerror(-err));
}

static void
tell_used(struct journal_reserve *r)
{
	log_line(LOG_WARN, "journal_reserve_used",
		 "file=%s bytes=%llu hint=\"the disk is full: accepted "
		 "updates are written in place of this file; the next start "
		 "makes it again\"",
		 LOG_QUOTED(r->path), (unsigned long long)r->bytes);
	r->bytes = 0;
}

void
journal_reserve_give_up(struct journal_reserve *r, struct file_jobs *fj)
{
	if (r->bytes == 0)
		return;
	tell_used(r);
	file_job_start(fj, &r->job);
}

bool
journal_reserve_give_up_now(struct journal_reserve *r)
{
	if (r->bytes == 0)
		return false;
	tell_used(r);
	return unlink(r->path) == 0;
}
