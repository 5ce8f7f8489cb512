#include "config.h"

#include "base/disk_read.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

int
disk_read_open(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECT | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

ssize_t
disk_read_at(int fd, void *at, size_t len, uint64_t off)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = pread(fd, (char *)at + done, len - done,
				  (off_t)(off + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		done += (size_t)n;
		/* Short only at the end of the file: after that no offset is
		 * aligned. */
		if (n == 0 || done % DISK_READ_ALIGN != 0)
			break;
	}
	return (ssize_t)done;
}
