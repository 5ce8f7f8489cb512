/*
 * A disk with a page cache.  Each file has the bytes that programs see, those
 * that are on the disk, and the changes between the two, in order.  A sync
 * brings the changes to the disk; a loss of power keeps the first of them, as
 * many as chance wants, and a part of the next one.  Names are kept in the same
 * way: they are on the disk when a directory was synced.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "machine.h"

enum {
	DISK_BYTES = 1 << 30,
	BLOCK_BYTES = 4096,
	/* Of one file, before the kernel begins to write by itself. */
	UNSYNCED_MAX = 1 << 20,
};

/* A write, or a new size. */
struct change {
	struct bytes bytes;
	uint64_t off; /* of a write; else the size */
	bool is_size;
	int64_t at_ns;
};

struct inode {
	struct bytes cached, on_disk;
	struct change *changes;
	size_t changes_cnt, changes_room;
	uint64_t unsynced_bytes;
	uint64_t number;
	int64_t written_ns; /* UTC since 2000.01.01 */
	unsigned links, holders;
	int locked_by; /* a descriptor; -1 */
	bool is_directory;
	bool is_elsewhere; /* on a disk that is always well */
};

struct entry {
	char *path;
	struct inode *inode;
};

struct names {
	struct entry *all;
	size_t cnt, room;
};

/* A change of names that is not on the disk yet; without `to` a removal. */
struct name_change {
	char *from, *to;
	struct inode *inode; /* of a new name; NULL: a rename or a removal */
	int64_t at_ns;
};

static struct {
	struct names cached, on_disk;
	struct name_change *changes;
	size_t changes_cnt, changes_room;
	uint64_t numbers;
	uint64_t used;
} fs = { .numbers = 2 };

struct disk_faults disk;

/* ---- inodes ---- */

static struct inode *
make_inode(bool is_directory)
{
	struct inode *i = calloc(1, sizeof(*i));

	CHECK(i != NULL);
	i->number = fs.numbers++;
	i->written_ns = sim_utc_ns();
	i->is_directory = is_directory;
	i->locked_by = -1;
	return i;
}

void
fs_hold(struct inode *i)
{
	i->holders++;
}

/* An inode that has neither a name nor a descriptor stays in memory: some are
 * few. */
void
fs_release(struct inode *i)
{
	CHECK(i->holders > 0);
	i->holders--;
	if (i->holders == 0 && i->links == 0) {
		fs.used -= i->cached.len;
		bytes_free(&i->cached);
	}
}

uint64_t
fs_size(const struct inode *i)
{
	return i->cached.len;
}

bool
fs_is_directory(const struct inode *i)
{
	return i->is_directory;
}

const struct bytes *
fs_bytes(const struct inode *i)
{
	return &i->cached;
}

void
fs_stat(const struct inode *i, struct stat *st)
{
	*st = (struct stat){
		.st_dev = 1,
		.st_ino = i->number,
		.st_nlink = i->links,
		.st_mode = i->is_directory ? S_IFDIR | 0750 : S_IFREG | 0640,
		.st_size = (off_t)i->cached.len,
		.st_blocks = (blkcnt_t)((i->cached.len + 511) / 512),
		.st_mtim = { .tv_sec = CLOCK_KDB_EPOCH_S +
				       i->written_ns / NS_PER_S,
			     .tv_nsec = i->written_ns % NS_PER_S },
	};
}

uint64_t
fs_free_bytes(void)
{
	return disk.is_full || fs.used > DISK_BYTES ? 0 : DISK_BYTES - fs.used;
}

/* ---- changes of bytes ---- */

static struct change *
add_change(struct inode *i)
{
	i->written_ns = sim_utc_ns();
	if (i->changes_cnt == i->changes_room) {
		i->changes_room = 2 * i->changes_room + 8;
		i->changes = reallocarray(i->changes, i->changes_room,
					  sizeof(*i->changes));
		CHECK(i->changes != NULL);
	}
	i->changes[i->changes_cnt] =
		(struct change){ .at_ns = sim_now_ns() };
	return &i->changes[i->changes_cnt++];
}

static void
set_bytes(struct bytes *b, const void *from, size_t len, uint64_t off)
{
	if (b->len < off + len)
		bytes_resize(b, off + len);
	memcpy(b->at + off, from, len);
}

/* Brings the first `len` bytes of a change to the disk. */
static void
apply(struct inode *i, const struct change *c, size_t len)
{
	if (c->is_size)
		bytes_resize(&i->on_disk, c->off);
	else
		set_bytes(&i->on_disk, c->bytes.at, len, c->off);
}

static void
forget_changes(struct inode *i, size_t cnt)
{
	if (cnt == 0)
		return;
	for (size_t n = 0; n < cnt; n++) {
		i->unsynced_bytes -= i->changes[n].bytes.len;
		bytes_free(&i->changes[n].bytes);
	}
	i->changes_cnt -= cnt;
	memmove(i->changes, i->changes + cnt,
		i->changes_cnt * sizeof(*i->changes));
}

static void
write_back(struct inode *i)
{
	for (size_t n = 0; n < i->changes_cnt; n++)
		apply(i, &i->changes[n], i->changes[n].bytes.len);
	forget_changes(i, i->changes_cnt);
}

int
fs_sync(struct inode *i)
{
	if (i->is_directory)
		return 0;
	if (sim_chance(disk.sync_per_mille)) {
		/* The pages count as clean from now on, and the disk never
		 * gets them.  Only the daemon knows that, so it needs the
		 * time to write it down. */
		disk.crash_in = 0;
		disk.failed_ns = sim_now_ns();
		forget_changes(i, i->changes_cnt);
		return -EIO;
	}
	write_back(i);
	return 0;
}

int
fs_truncate(struct inode *i, uint64_t len)
{
	struct change *c = add_change(i);

	c->is_size = true;
	c->off = len;
	fs.used += len;
	fs.used -= i->cached.len;
	bytes_resize(&i->cached, len);
	return 0;
}

uint64_t
fs_size_on_disk(const struct inode *i)
{
	return i->on_disk.len;
}

void
fs_cut(struct inode *i, uint64_t len)
{
	(void)fs_truncate(i, len);
	write_back(i);
}

int64_t
fs_write_at(struct inode *i, const void *bytes, size_t len, uint64_t off)
{
	uint64_t more = off + len > i->cached.len ? off + len - i->cached.len
						  : 0;
	struct change *c;

	if (sim_chance(disk.eio_per_mille))
		return -EIO;
	if (len > 1 && sim_chance(disk.short_per_mille))
		return fs_write_at(i, bytes, 1 + sim_below(len - 1), off);
	if (more > fs_free_bytes()) {
		/* What fits into the last block is still taken. */
		uint64_t room = -i->cached.len % BLOCK_BYTES;

		if (room == 0 || off != i->cached.len)
			return -ENOSPC;
		len = more = min_u64(len, room);
	}
	c = add_change(i);
	bytes_add(&c->bytes, bytes, len);
	c->off = off;
	i->unsynced_bytes += len;
	fs.used += more;
	set_bytes(&i->cached, bytes, len, off);
	if (i->unsynced_bytes > UNSYNCED_MAX)
		write_back(i);
	return (int64_t)len;
}

static int64_t
read_bytes(const struct bytes *b, void *at, size_t len, uint64_t off)
{
	if (off >= b->len)
		return 0;
	len = min_u64(len, b->len - off);
	memcpy(at, b->at + off, len);
	return (int64_t)len;
}

int64_t
fs_read_at(const struct inode *i, void *at, size_t len, uint64_t off)
{
	if (i->is_directory)
		return -EISDIR;
	return read_bytes(&i->cached, at, len, off);
}

int64_t
fs_read_disk(const struct inode *i, void *at, size_t len, uint64_t off)
{
	/* A read around the cache first writes what is dirty in it. */
	write_back((struct inode *)(uintptr_t)i);
	return read_bytes(&i->on_disk, at, len, off);
}

/* ---- names ---- */

static struct entry *
find(const struct names *n, const char *path)
{
	for (size_t i = 0; i < n->cnt; i++)
		if (strcmp(n->all[i].path, path) == 0)
			return &n->all[i];
	return NULL;
}

static void
add_name(struct names *n, const char *path, struct inode *inode)
{
	if (n->cnt == n->room) {
		n->room = 2 * n->room + 8;
		n->all = reallocarray(n->all, n->room, sizeof(*n->all));
		CHECK(n->all != NULL);
	}
	n->all[n->cnt++] = (struct entry){ strdup(path), inode };
}

static void
remove_name(struct names *n, const char *path)
{
	struct entry *e = find(n, path);

	if (e == NULL)
		return;
	free(e->path);
	*e = n->all[--n->cnt];
}

/* Changes names as a change says; of those on the disk what it cannot find, it
 * leaves. */
static void
change_names(struct names *n, const struct name_change *c)
{
	struct inode *inode = c->inode;

	if (inode == NULL) {
		struct entry *e = find(n, c->from);

		inode = e == NULL ? NULL : e->inode;
	}
	if (c->from != NULL)
		remove_name(n, c->from);
	if (c->to != NULL && inode != NULL) {
		remove_name(n, c->to);
		add_name(n, c->to, inode);
	}
}

static void
note_names(const char *from, const char *to, struct inode *inode)
{
	struct name_change *c;

	if (fs.changes_cnt == fs.changes_room) {
		fs.changes_room = 2 * fs.changes_room + 8;
		fs.changes = reallocarray(fs.changes, fs.changes_room,
					  sizeof(*fs.changes));
		CHECK(fs.changes != NULL);
	}
	c = &fs.changes[fs.changes_cnt++];
	*c = (struct name_change){ .inode = inode, .at_ns = sim_now_ns() };
	if (from != NULL)
		c->from = strdup(from);
	if (to != NULL)
		c->to = strdup(to);
	change_names(&fs.cached, c);
}

/* Brings the first changes of names to the disk; the others are forgotten. */
static void
settle_names(size_t cnt)
{
	for (size_t i = 0; i < fs.changes_cnt; i++) {
		if (i < cnt)
			change_names(&fs.on_disk, &fs.changes[i]);
		free(fs.changes[i].from);
		free(fs.changes[i].to);
	}
	fs.changes_cnt = 0;
}

void
fs_sync_names(void)
{
	settle_names(fs.changes_cnt);
}

struct inode *
fs_find(const char *path)
{
	struct entry *e = find(&fs.cached, path);

	return e == NULL ? NULL : e->inode;
}

static bool
has_directory(const char *path)
{
	char folder[512];
	const char *slash = strrchr(path, '/');
	struct inode *i;

	if (slash == NULL || (size_t)(slash - path) >= sizeof(folder))
		return false;
	memcpy(folder, path, (size_t)(slash - path));
	folder[slash - path] = '\0';
	i = fs_find(folder);
	return i != NULL && i->is_directory;
}

int
fs_open(const char *path, int flags, struct inode **out)
{
	struct inode *i = fs_find(path);

	if (i != NULL && (flags & O_CREAT) != 0 && (flags & O_EXCL) != 0)
		return -EEXIST;
	if (i == NULL && ((flags & O_CREAT) == 0 || !has_directory(path)))
		return -ENOENT;
	if (i == NULL) {
		if (fs_free_bytes() == 0)
			return -ENOSPC;
		i = make_inode(false);
		i->links = 1;
		note_names(NULL, path, i);
	}
	if (i->is_directory && (flags & O_ACCMODE) != O_RDONLY)
		return -EISDIR;
	if ((flags & O_DIRECTORY) != 0 && !i->is_directory)
		return -ENOTDIR;
	if ((flags & O_TRUNC) != 0 && i->cached.len > 0)
		(void)fs_truncate(i, 0);
	*out = i;
	return 0;
}

int
fs_link(struct inode *i, const char *path)
{
	if (fs_find(path) != NULL)
		return -EEXIST;
	if (!has_directory(path))
		return -ENOENT;
	i->links++;
	note_names(NULL, path, i);
	return 0;
}

static void
lose_link(struct inode *i)
{
	i->links--;
	fs_hold(i);
	fs_release(i);
}

int
fs_unlink(const char *path)
{
	struct inode *i = fs_find(path);

	if (i == NULL)
		return -ENOENT;
	note_names(path, NULL, NULL);
	lose_link(i);
	return 0;
}

int
fs_rename(const char *from, const char *to, bool is_new_only)
{
	struct inode *old = fs_find(to);

	if (fs_find(from) == NULL)
		return -ENOENT;
	if (old != NULL && is_new_only)
		return -EEXIST;
	note_names(from, to, NULL);
	if (old != NULL)
		lose_link(old);
	return 0;
}

const char *
fs_path_of(const struct inode *inode)
{
	for (size_t i = 0; i < fs.cached.cnt; i++)
		if (fs.cached.all[i].inode == inode)
			return fs.cached.all[i].path;
	return NULL;
}

const char *
fs_entry(const struct inode *dir, unsigned n)
{
	const char *folder = fs_path_of(dir);

	for (size_t i = 0; folder != NULL && i < fs.cached.cnt; i++) {
		const char *path = fs.cached.all[i].path;
		size_t len = strlen(folder);

		if (strncmp(path, folder, len) == 0 && path[len] == '/' &&
		    strchr(path + len + 1, '/') == NULL && n-- == 0)
			return path + len + 1;
	}
	return NULL;
}

void
fs_put(const char *path, const char *text)
{
	struct inode *i = fs_find(path);

	if (i == NULL) {
		i = make_inode(text == NULL);
		i->links = 1;
		add_name(&fs.cached, path, i);
		add_name(&fs.on_disk, path, i);
	}
	if (text == NULL)
		return;
	bytes_resize(&i->cached, 0);
	bytes_add(&i->cached, text, strlen(text));
	bytes_resize(&i->on_disk, 0);
	bytes_add(&i->on_disk, text, strlen(text));
}

static void
forget_file(const char *path)
{
	struct inode *old = fs_find(path);

	if (old == NULL)
		return;
	remove_name(&fs.cached, path);
	remove_name(&fs.on_disk, path);
	lose_link(old);
}

void
fs_replace(const char *path, const char *text)
{
	forget_file(path);
	if (text == NULL)
		return;
	fs_put(path, text);
	fs_find(path)->is_elsewhere = true;
	fs.used += strlen(text);
}

bool
fs_is_elsewhere(const struct inode *i)
{
	return i->is_elsewhere;
}

/* ---- locks ---- */

bool
fs_lock(struct inode *i, int fd)
{
	if (i->locked_by != -1 && i->locked_by != fd)
		return false;
	i->locked_by = fd;
	return true;
}

void
fs_unlock(struct inode *i, int fd)
{
	if (i->locked_by == fd)
		i->locked_by = -1;
}

/* ---- the end ---- */

/* The kernel has written by itself what is older. */
#define WRITE_BACK_NS (40 * NS_PER_S)

static void
lose_bytes(struct inode *i)
{
	size_t kept = sim_below(i->changes_cnt + 1);

	while (kept < i->changes_cnt &&
	       i->changes[kept].at_ns < sim_now_ns() - WRITE_BACK_NS)
		kept++;
	for (size_t n = 0; n < kept; n++)
		apply(i, &i->changes[n], i->changes[n].bytes.len);
	if (kept < i->changes_cnt && !i->changes[kept].is_size)
		apply(i, &i->changes[kept],
		      sim_below(i->changes[kept].bytes.len + 1));
	forget_changes(i, i->changes_cnt);
	fs.used -= i->cached.len;
	fs.used += i->on_disk.len;
	bytes_resize(&i->cached, 0);
	bytes_add(&i->cached, i->on_disk.at, i->on_disk.len);
}

void
fs_lose_power(void)
{
	size_t kept = sim_below(fs.changes_cnt + 1);

	while (kept < fs.changes_cnt &&
	       fs.changes[kept].at_ns < sim_now_ns() - WRITE_BACK_NS)
		kept++;
	settle_names(kept);
	while (fs.cached.cnt > 0) {
		struct entry *e = &fs.cached.all[fs.cached.cnt - 1];

		e->inode->links = 0;
		remove_name(&fs.cached, e->path);
	}
	for (size_t n = 0; n < fs.on_disk.cnt; n++) {
		struct entry *e = &fs.on_disk.all[n];

		if (e->inode->links++ == 0)
			lose_bytes(e->inode);
		add_name(&fs.cached, e->path, e->inode);
	}
}

void
fs_count_step(void)
{
	if (disk.crash_in > 0 && --disk.crash_in == 0)
		process_crash();
}
