#include "config.h"

#include "journal/torn_tail.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/util.h"

enum {
	TAILS_MAX = 10000,
	COPY_BUFFER_BYTES = 64 << 10,
};

/* Creates the side file.  A descriptor or -errno. */
static int
create_side(int fd, const char *path, char *side, size_t side_len)
{
	struct stat st;

	if (fstat(fd, &st) != 0)
		return -errno;
	for (unsigned n = 1; n <= TAILS_MAX; n++) {
		int len = snprintf(side, side_len, "%s.torn.%u", path, n);
		int to;

		if (len < 0 || (size_t)len >= side_len)
			return -ENAMETOOLONG;
		to = open(side, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC,
			  st.st_mode & 0777);
		if (to >= 0)
			return to;
		if (errno != EEXIST)
			return -errno;
	}
	return -EEXIST;
}

static int
copy_range(int from, uint64_t off, uint64_t end_off, int to)
{
	char buf[COPY_BUFFER_BYTES];

	while (off < end_off) {
		size_t len = min_u64(end_off - off, sizeof(buf));
		ssize_t n = pread(from, buf, len, (off_t)off);
		int err;

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -ESTALE;
		err = fs_write_all(to, buf, (size_t)n);
		if (err < 0)
			return err;
		off += (uint64_t)n;
	}
	return fsync(to) == 0 ? 0 : -errno;
}

/* Bytes written since the copy are not in it, and must not be cut off. */
static int
check_unchanged(int fd, uint64_t bytes)
{
	struct stat st;

	if (fstat(fd, &st) != 0)
		return -errno;
	return (uint64_t)st.st_size == bytes && st.st_nlink > 0 ? 0 : -ESTALE;
}

int
torn_tail_cut(int fd, const char *path, uint64_t good_bytes, uint64_t bytes,
	      char *out_side, size_t side_len)
{
	int to, err;

	CHECK(good_bytes < bytes);
	to = create_side(fd, path, out_side, side_len);
	if (to < 0)
		return to;
	err = copy_range(fd, good_bytes, bytes, to);
	(void)close(to);
	if (err == 0)
		err = fs_sync_directory_of(out_side);
	if (err == 0)
		err = check_unchanged(fd, bytes);
	if (err == 0 && ftruncate(fd, (off_t)good_bytes) != 0)
		err = -errno;
	if (err < 0)
		(void)unlink(out_side);
	return err;
}
