#include "config.h"

#include "journal/folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/log.h"
#include "base/util.h"
#include "journal/epoch.h"
#include "journal/reserve.h"
#include "journal/unsynced.h"

static const char *
user_name(uid_t uid, char *buf, size_t buf_len)
{
	const struct passwd *found = getpwuid(uid);

	if (found != NULL)
		(void)snprintf(buf, buf_len, "%s", found->pw_name);
	else
		(void)snprintf(buf, buf_len, "%u", (unsigned)uid);
	return buf;
}

/* Writes what mends an errno of check_folder(). */
static void
write_advice(int error, const char *directory, char *buf, size_t buf_len)
{
	char user[64];

	(void)user_name(geteuid(), user, sizeof(user));
	if (error == EROFS && getenv("INVOCATION_ID") != NULL)
		(void)snprintf(buf, buf_len,
			       "for the unit it is read-only (ProtectSystem=): "
			       "systemctl edit ringtick.service, and add "
			       "[Service] ReadWritePaths=%s",
			       directory);
	else if (error == ENOENT)
		(void)snprintf(buf, buf_len,
			       "make it with: install -d -o ringtick %s%s",
			       directory,
			       getenv("INVOCATION_ID") != NULL
				       ? " (ProtectHome= hides folders in "
					 "/home from the unit)"
				       : "");
	else
		(void)snprintf(buf, buf_len,
			       "the user %s must be able to write there: "
			       "chown %s %s",
			       user, user, directory);
}

/* 0 or an errno. */
static int
check_folder(const char *directory)
{
	struct stat st;

	if (stat(directory, &st) != 0)
		return errno;
	if (!S_ISDIR(st.st_mode))
		return ENOTDIR;
	return faccessat(AT_FDCWD, directory, W_OK | X_OK, AT_EACCESS) != 0
		       ? errno
		       : 0;
}

bool
journal_folder_check(const struct settings *s, char *err, size_t err_len)
{
	const char *directory = s->journal.directory;
	char advice[1024];
	int error;

	if (directory[0] == '\0')
		return true;
	error = check_folder(directory);
	if (error == 0)
		return true;
	write_advice(error, directory, advice, sizeof(advice));
	(void)snprintf(err, err_len, "journal.directory \"%s\": %s; %s",
		       directory, strerror(error), advice);
	errno = error;
	return false;
}

/* ---- for --check ---- */

/* Whether a device of /proc/locks can be the file's: those of some file systems
 * (btrfs, overlay) have other numbers there, but major 0 as in stat(). */
static bool
is_device(const struct stat *st, unsigned major_no, unsigned minor_no)
{
	return major_no == major(st->st_dev) &&
	       (major_no == 0 || minor_no == minor(st->st_dev));
}

/* Looks the lock up and does not try it: a daemon that starts at this very
 * moment would find it taken. */
static bool
is_locked(const struct stat *st)
{
	FILE *f = fopen("/proc/locks", "re");
	unsigned major_no, minor_no;
	unsigned long long inode;
	char line[256];
	bool found = false;

	while (f != NULL && !found && fgets(line, sizeof(line), f) != NULL)
		found = sscanf(line, "%*s FLOCK %*s %*s %*s %x:%x:%llu",
			       &major_no, &minor_no, &inode) == 3 &&
			inode == st->st_ino &&
			is_device(st, major_no, minor_no);
	if (f != NULL)
		(void)fclose(f);
	return found;
}

static bool
is_in_use(const char *directory, const char *name)
{
	char day[NAME_MAX + 16], lock[NAME_MAX + 16];
	DIR *dir = opendir(directory);
	const struct dirent *entry;
	bool is = false;

	(void)snprintf(day, sizeof(day), "%s????.??.??", name);
	(void)snprintf(lock, sizeof(lock), "%s.lock", name);
	while (dir != NULL && !is && (entry = readdir(dir)) != NULL) {
		char path[PATH_MAX];
		struct stat st;

		if (fnmatch(day, entry->d_name, 0) != 0 &&
		    strcmp(lock, entry->d_name) != 0)
			continue;
		(void)snprintf(path, sizeof(path), "%s/%s", directory,
			       entry->d_name);
		is = stat(path, &st) == 0 && is_locked(&st);
	}
	if (dir != NULL)
		(void)closedir(dir);
	return is;
}

void
journal_folder_text(const struct settings *s, char *buf, size_t buf_len)
{
	const char *directory = s->journal.directory;
	struct statvfs disk = { 0 };
	struct stat st = { 0 };
	char owner[64];

	if (directory[0] == '\0') {
		(void)snprintf(buf, buf_len, "no journal");
		return;
	}
	(void)stat(directory, &st);
	(void)statvfs(directory, &disk);
	(void)snprintf(buf, buf_len,
		       "journal in %s (owner %s, %llu MiB free, %s)", directory,
		       user_name(st.st_uid, owner, sizeof(owner)),
		       (unsigned long long)disk.f_bavail * disk.f_frsize >> 20,
		       is_in_use(directory, s->journal.name)
			       ? "in use by a daemon"
			       : "not in use");
}

/* A start writes NAME.epoch anew: that needs a block and a file. */
static bool
has_room_to_start(const struct settings *s, char *err, size_t err_len)
{
	const char *directory = s->journal.directory;
	struct statvfs disk;

	if (statvfs(directory, &disk) != 0)
		return fail_with(errno, err, err_len,
				 "journal.directory \"%s\": %s", directory,
				 strerror(errno));
	if ((geteuid() == 0 ? disk.f_bfree : disk.f_bavail) > 0 &&
	    (disk.f_files == 0 || disk.f_ffree > 0))
		return true;
	return fail_with(ENOSPC, err, err_len,
			 "journal.directory \"%s\": %s: a start cannot write "
			 "%s.epoch",
			 directory, strerror(ENOSPC), s->journal.name);
}

bool
journal_folder_foresee(const struct settings *s, char *warning,
		       size_t warning_len, char *err, size_t err_len)
{
	const char *directory = s->journal.directory, *name = s->journal.name;
	uint64_t reserve = journal_reserve_bytes(s);
	enum epoch_found found;
	struct epochs epochs;
	size_t len;

	warning[0] = '\0';
	if (directory[0] == '\0')
		return true;
	if (!epoch_load(&epochs, directory, name, &found, err, err_len) ||
	    !journal_unsynced_foresee(directory, name, warning, warning_len,
				      err, err_len) ||
	    !has_room_to_start(s, err, err_len))
		return false;
	len = strlen(warning);
	if (reserve > 0 && journal_reserve_foresee(directory, name, reserve))
		(void)snprintf(warning + len, warning_len - len,
			       "%s%s/%s.reserve: no room for twice its %llu "
			       "bytes: a stop with a full disk may lose "
			       "accepted updates",
			       len > 0 ? "\n" : "", directory, name,
			       (unsigned long long)reserve);
	return true;
}

/* ---- what the operator can rely on ---- */

static bool
wants_spill(const struct settings *s)
{
	bool wants = s->slow.policy == SLOW_SPILL;

	for (unsigned i = 0; i < s->auth.user_rows_cnt; i++)
		wants = wants || s->auth.user_rows[i].policy == SLOW_SPILL;
	return wants;
}

void
journal_promise_log(const struct settings *s)
{
	static const char *const by_machine[] = {
		[SYNC_NONE] = "what the kernel had not written yet (30 s)",
		[SYNC_INTERVAL] = "the last journal.sync_interval",
		[SYNC_BATCH] = "what was not answered yet",
	};

	if (s->journal.directory[0] == '\0')
		log_line(LOG_NOTE, "promise",
			 "journal=off lost_by_stop=\"all\"%s",
			 wants_spill(s)
				 ? " hint=\"slow consumers with policy spill "
				   "are disconnected: there is no journal to "
				   "serve them from; set journal.directory\""
				 : "");
	else
		log_line(LOG_INFO, "promise",
			 "journal=on lost_by_stop=\"%s\" "
			 "lost_by_daemon_crash=\"what was not answered yet, "
			 "milliseconds\" lost_by_machine_crash=\"%s\"",
			 s->journal.reserve
				 ? "nothing"
				 : "nothing, unless the disk is full then",
			 by_machine[s->journal.sync]);
}
