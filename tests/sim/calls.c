/*
 * The daemon's system calls on files, descriptors and folders, and those of
 * stdio that it uses, on the simulated disk.  Descriptors below FD_FIRST are
 * real: the memory of rings.
 */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "machine.h"
#include "wrap.h"

/* Time that a call takes on an idle disk. */
enum { CALL_NS = 3000 };

static struct descriptor table[FD_MAX];

/* ---- descriptors ---- */

int
fd_open(struct descriptor d)
{
	for (int i = 0; i < FD_MAX; i++)
		if (table[i].kind == FD_FREE) {
			table[i] = d;
			if (d.inode != NULL)
				fs_hold(d.inode);
			return FD_FIRST + i;
		}
	errno = EMFILE;
	return -1;
}

struct descriptor *
fd_get(int fd)
{
	if (fd < FD_FIRST || fd >= FD_FIRST + FD_MAX ||
	    table[fd - FD_FIRST].kind == FD_FREE)
		return NULL;
	return &table[fd - FD_FIRST];
}

int
fd_close(int fd)
{
	struct descriptor *d = fd_get(fd);
	struct descriptor was;

	SIM_CHECK(d != NULL, "descriptor %d is closed, but it is not open",
		  fd);
	was = *d;
	d->kind = FD_FREE;
	if (was.kind == FD_SOCKET)
		net_close(was.socket);
	if (was.kind == FD_LISTENER)
		net_close_listener(fd);
	if (was.kind == FD_LOGIN)
		login_close_fd(was.pair, fd);
	if (was.inode != NULL) {
		fs_unlock(was.inode, fd);
		fs_release(was.inode);
	}
	return 0;
}

void
fd_close_all(void)
{
	for (int i = 0; i < FD_MAX; i++)
		if (table[i].kind != FD_FREE)
			(void)fd_close(FD_FIRST + i);
}

unsigned
fd_count(bool (*is_one)(const struct socket *s, const void *key),
	 const void *key)
{
	unsigned cnt = 0;

	for (int i = 0; i < FD_MAX; i++)
		cnt += table[i].kind == FD_SOCKET &&
		       is_one(table[i].socket, key);
	return cnt;
}

/* A stop gives all back, whatever was under way: what is left is of something
 * that was forgotten, and would be more with each connection or day. */
void
fd_check_closed(void)
{
	static const char *const kinds[] = { [FD_FILE] = "a file",
					     [FD_SOCKET] = "a connection",
					     [FD_LISTENER] = "a listener",
					     [FD_SIGNAL] = "the signals'" };

	for (int i = 0; i < FD_MAX; i++)
		SIM_CHECK(table[i].kind == FD_FREE || table[i].kind == FD_LOG,
			  "the daemon has stopped, and descriptor %d, %s, is "
			  "open",
			  FD_FIRST + i, kinds[table[i].kind]);
}

static struct inode *
inode_of(int fd)
{
	struct descriptor *d = fd_get(fd);

	SIM_CHECK(d != NULL && d->inode != NULL,
		  "descriptor %d is used as a file", fd);
	return d->inode;
}

/* ---- results ---- */

/* A call at a file begins: it may be the last, and takes time. */
static void
begin(void)
{
	if (!jobs_pause())
		sim_spend(CALL_NS);
	fs_count_step();
}

/* -errno as libc says it. */
static int
done(int64_t res)
{
	if (res < 0)
		errno = (int)-res;
	return res < 0 ? -1 : (int)res;
}

/* ---- open and close ---- */

WRAP(int, open, const char *path, int flags, ...)
{
	struct descriptor d = { .kind = FD_FILE };
	int err;

	/* What measures coverage writes its files at the end. */
	if (process_is_left())
		return REAL(open)(path, flags, 0644);
	if (strcmp(path, "/proc/self/fd/2") == 0)
		return fd_open((struct descriptor){ .kind = FD_LOG });
	if (strcmp(path, "/dev/null") == 0)
		return fd_open((struct descriptor){ .kind = FD_LOG });
	begin();
	err = fs_open(path, flags, &d.inode);
	if (err != 0)
		return done(err);
	d.is_append = (flags & O_APPEND) != 0;
	d.is_direct = (flags & O_DIRECT) != 0;
	return fd_open(d);
}

WRAP(int, close, int fd)
{
	return fd < FD_FIRST ? REAL(close)(fd) : fd_close(fd);
}

WRAP(int, dup3, int from, int to, int flags)
{
	struct descriptor d = *fd_get(from);
	bool is_locked = !fs_lock(d.inode, to);

	(void)REAL(dup3);
	(void)flags;
	if (fd_get(to) != NULL)
		(void)fd_close(to);
	table[to - FD_FIRST] = d;
	fs_hold(d.inode);
	/* The lock belongs to the open file, which has two numbers now. */
	if (is_locked) {
		fs_unlock(d.inode, from);
		(void)fs_lock(d.inode, to);
	}
	return to;
}

WRAP(int, flock, int fd, int how)
{
	(void)REAL(flock);
	begin();
	if ((how & LOCK_SH) != 0 || fs_lock(inode_of(fd), fd))
		return 0;
	return done(-EWOULDBLOCK);
}

WRAP(int, fcntl, int fd, int what, ...)
{
	(void)REAL(fcntl);
	(void)fd;
	(void)what;
	return 0;
}

WRAP(int, isatty, int fd)
{
	(void)REAL(isatty);
	(void)fd;
	return 0;
}

/* ---- bytes ---- */

static bool
is_unreadable(const struct inode *i)
{
	return sim_chance(disk.eio_per_mille) && !fs_is_elsewhere(i);
}

WRAP(ssize_t, pread, int fd, void *at, size_t len, off_t off)
{
	struct descriptor *d = fd_get(fd);

	(void)REAL(pread);
	begin();
	if (is_unreadable(d->inode))
		return done(-EIO);
	return done(d->is_direct
			    ? fs_read_disk(d->inode, at, len, (uint64_t)off)
			    : fs_read_at(inode_of(fd), at, len,
					 (uint64_t)off));
}

WRAP(ssize_t, pwrite, int fd, const void *at, size_t len, off_t off)
{
	(void)REAL(pwrite);
	begin();
	return done(fs_write_at(inode_of(fd), at, len, (uint64_t)off));
}

WRAP(ssize_t, write, int fd, const void *at, size_t len)
{
	struct descriptor *d = fd_get(fd);
	int64_t n;

	if (d == NULL)
		return REAL(write)(fd, at, len);
	if (d->kind == FD_LOG) {
		world_log(at, len);
		return (ssize_t)len;
	}
	begin();
	if (d->is_append)
		d->off = fs_size(d->inode);
	n = fs_write_at(d->inode, at, len, d->off);
	d->off += n > 0 ? (uint64_t)n : 0;
	return done(n);
}

WRAP(int, fdatasync, int fd)
{
	(void)REAL(fdatasync);
	begin();
	return done(fs_sync(inode_of(fd)));
}

WRAP(int, fsync, int fd)
{
	struct inode *i = inode_of(fd);

	(void)REAL(fsync);
	begin();
	if (fs_is_directory(i))
		fs_sync_names();
	return done(fs_sync(i));
}

WRAP(int, ftruncate, int fd, off_t len)
{
	if (fd < FD_FIRST)
		return REAL(ftruncate)(fd, len);
	begin();
	return done(fs_truncate(inode_of(fd), (uint64_t)len));
}

WRAP(int, posix_fallocate, int fd, off_t off, off_t len)
{
	struct inode *i = inode_of(fd);
	uint64_t end = (uint64_t)(off + len);

	(void)REAL(posix_fallocate);
	begin();
	if (end <= fs_size(i))
		return 0;
	if (end - fs_size(i) > fs_free_bytes())
		return ENOSPC;
	return -fs_truncate(i, end);
}

WRAP(ssize_t, copy_file_range, int from, off_t *from_off, int to, off_t *to_off,
     size_t len, unsigned flags)
{
	uint8_t piece[65536];
	int64_t n;

	(void)REAL(copy_file_range);
	(void)flags;
	begin();
	n = fs_read_at(inode_of(from), piece, min_u64(len, sizeof(piece)),
		       (uint64_t)*from_off);
	if (n > 0)
		n = fs_write_at(inode_of(to), piece, (size_t)n,
				(uint64_t)*to_off);
	if (n > 0) {
		*from_off += n;
		*to_off += n;
	}
	return done(n);
}

/* The daemon maps memory, and no file of the disk. */
WRAP(void *, mmap, void *at, size_t len, int prot, int flags, int fd, off_t off)
{
	void *map;

	SIM_CHECK(fd < FD_FIRST, "the daemon maps a file");
	/* Most runs touch little of it. */
	map = REAL(mmap)(at, len, prot, flags & ~MAP_POPULATE, fd, off);
	if ((flags & MAP_FIXED) == 0)
		process_note_map(map, len);
	return map;
}

WRAP(int, munmap, void *at, size_t len)
{
	process_forget_map(at, len);
	return REAL(munmap)(at, len);
}

/* ---- names ---- */

static struct inode *
inode_of_link(const char *path)
{
	int fd;

	if (sscanf(path, "/proc/self/fd/%d", &fd) == 1)
		return inode_of(fd);
	return fs_find(path);
}

WRAP(int, link, const char *from, const char *to)
{
	struct inode *i;

	(void)REAL(link);
	begin();
	i = inode_of_link(from);
	return done(i == NULL ? -ENOENT : fs_link(i, to));
}

WRAP(int, linkat, int from_dir, const char *from, int to_dir, const char *to,
     int flags)
{
	(void)REAL(linkat);
	(void)from_dir;
	(void)to_dir;
	(void)flags;
	return __wrap_link(from, to);
}

WRAP(int, unlink, const char *path)
{
	(void)REAL(unlink);
	begin();
	return done(fs_unlink(path));
}

WRAP(int, rename, const char *from, const char *to)
{
	(void)REAL(rename);
	begin();
	return done(fs_rename(from, to, false));
}

WRAP(int, renameat2, int from_dir, const char *from, int to_dir,
     const char *to, unsigned flags)
{
	(void)REAL(renameat2);
	(void)from_dir;
	(void)to_dir;
	begin();
	return done(fs_rename(from, to, flags == RENAME_NOREPLACE));
}

WRAP(char *, realpath, const char *path, char *out)
{
	(void)REAL(realpath);
	if (fs_find(path) == NULL) {
		errno = ENOENT;
		return NULL;
	}
	(void)snprintf(out, 4096, "%s", path);
	return out;
}

WRAP(int, access, const char *path, int how)
{
	(void)REAL(access);
	(void)how;
	return done(fs_find(path) == NULL ? -ENOENT : 0);
}

WRAP(int, faccessat, int dir, const char *path, int how, int flags)
{
	(void)REAL(faccessat);
	(void)dir;
	(void)flags;
	return __wrap_access(path, how);
}

/* ---- what is known of a file ---- */

WRAP(int, fstat, int fd, struct stat *st)
{
	if (fd < FD_FIRST)
		return REAL(fstat)(fd, st);
	begin();
	fs_stat(inode_of(fd), st);
	return 0;
}

WRAP(int, stat, const char *path, struct stat *st)
{
	struct inode *i;

	(void)REAL(stat);
	begin();
	i = fs_find(path);
	if (i == NULL)
		return done(-ENOENT);
	fs_stat(i, st);
	return 0;
}

WRAP(int, lstat, const char *path, struct stat *st)
{
	(void)REAL(lstat);
	return __wrap_stat(path, st);
}

static void
look_at_disk(struct statvfs *out)
{
	*out = (struct statvfs){
		.f_bsize = 4096,
		.f_frsize = 4096,
		.f_bavail = fs_free_bytes() / 4096,
		.f_bfree = fs_free_bytes() / 4096,
	};
}

WRAP(int, statvfs, const char *path, struct statvfs *out)
{
	(void)REAL(statvfs);
	(void)path;
	begin();
	look_at_disk(out);
	return 0;
}

WRAP(int, fstatvfs, int fd, struct statvfs *out)
{
	(void)REAL(fstatvfs);
	(void)fd;
	begin();
	look_at_disk(out);
	return 0;
}

/* ---- folders ---- */

struct folder {
	struct dirent entry;
	unsigned next;
	int fd;
	char path[512];
};

static struct folder *
folder_of(DIR *dir)
{
	return (struct folder *)(void *)dir;
}

WRAP(DIR *, opendir, const char *path)
{
	int fd = __wrap_open(path, O_RDONLY | O_DIRECTORY);
	struct folder *f;

	(void)REAL(opendir);
	if (fd < 0)
		return NULL;
	f = calloc(1, sizeof(*f));
	CHECK(f != NULL);
	f->fd = fd;
	(void)snprintf(f->path, sizeof(f->path), "%s", path);
	return (DIR *)(void *)f;
}

WRAP(struct dirent *, readdir, DIR *dir)
{
	struct folder *f = folder_of(dir);
	const char *name;

	(void)REAL(readdir);
	begin();
	name = fs_entry(inode_of(f->fd), f->next);
	if (name == NULL)
		return NULL;
	f->next++;
	(void)snprintf(f->entry.d_name, sizeof(f->entry.d_name), "%s", name);
	return &f->entry;
}

WRAP(int, closedir, DIR *dir)
{
	(void)REAL(closedir);
	(void)fd_close(folder_of(dir)->fd);
	free(dir);
	return 0;
}

WRAP(int, dirfd, DIR *dir)
{
	(void)REAL(dirfd);
	return folder_of(dir)->fd;
}

WRAP(int, fstatat, int fd, const char *name, struct stat *st, int flags)
{
	struct inode *dir = inode_of(fd);
	char path[1024];

	(void)REAL(fstatat);
	(void)flags;
	(void)snprintf(path, sizeof(path), "%s/%s", fs_path_of(dir), name);
	return __wrap_stat(path, st);
}

/* ---- stdio ---- */

struct stream {
	FILE *file;
	int fd;
	off_t off;
};

static struct stream streams[8];

static ssize_t
read_stream(void *cookie, char *at, size_t len)
{
	struct stream *s = cookie;
	ssize_t n = __wrap_pread(s->fd, at, len, s->off);

	s->off += n > 0 ? n : 0;
	return n;
}

static ssize_t
write_stream(void *cookie, const char *at, size_t len)
{
	struct stream *s = cookie;
	ssize_t n = __wrap_pwrite(s->fd, at, len, s->off);

	s->off += n > 0 ? n : 0;
	return n > 0 ? n : 0;
}

static int
close_stream(void *cookie)
{
	struct stream *s = cookie;

	s->file = NULL;
	return fd_close(s->fd);
}

WRAP(FILE *, fopen, const char *path, const char *mode)
{
	bool is_write = mode[0] == 'w';
	int fd = __wrap_open(path, is_write ? O_WRONLY | O_CREAT | O_TRUNC
					    : O_RDONLY);
	struct stream *s = streams;

	(void)REAL(fopen);
	if (fd < 0)
		return NULL;
	while (s->file != NULL)
		s++;
	CHECK(s < streams + ARRAY_LEN(streams));
	*s = (struct stream){ .fd = fd };
	s->file = fopencookie(s, is_write ? "w" : "r",
			      (cookie_io_functions_t){
				      .read = read_stream,
				      .write = write_stream,
				      .close = close_stream });
	return s->file;
}

WRAP(int, fileno, FILE *file)
{
	(void)REAL(fileno);
	for (size_t i = 0; i < ARRAY_LEN(streams); i++)
		if (streams[i].file == file)
			return streams[i].fd;
	return -1;
}

/* The files of a process that crashed are never closed by it. */
void
calls_crash(void)
{
	memset(streams, 0, sizeof(streams));
	fd_close_all();
}
