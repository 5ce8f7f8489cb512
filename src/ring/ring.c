#include "config.h"

#include "ring/ring.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/util.h"

#define HUGE_PAGE_BYTES (2u << 20)

static int
map_views(struct ring *r, int fd, size_t size, int flags)
{
	/* Reserve both halves first, so that no other mapping gets between. */
	size_t align = r->is_huge ? HUGE_PAGE_BYTES : 0;
	uint8_t *area = mmap(NULL, 2 * size + align, PROT_NONE,
			     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint8_t *base;

	if (area == MAP_FAILED)
		return -errno;
	base = area;
	if (align != 0)
		base += align - (uintptr_t)area % align;
	for (size_t half = 0; half < 2; half++) {
		void *at = mmap(base + half * size, size,
				PROT_READ | PROT_WRITE,
				MAP_SHARED | MAP_FIXED | flags, fd, 0);
		if (at == MAP_FAILED) {
			int err = errno;

			munmap(area, 2 * size + align);
			return -err;
		}
	}
	if (align != 0) {
		size_t before = (size_t)(base - area);

		(void)munmap(area, before);
		(void)munmap(base + 2 * size, align - before);
	}
	(void)madvise(base + size, size, MADV_DONTDUMP);
	r->base = base;
	r->size = size;
	return 0;
}

static int
open_with(struct ring *r, size_t size, bool huge_pages, bool touch)
{
	unsigned flags = MFD_CLOEXEC | (huge_pages ? MFD_HUGETLB : 0u);
	int fd = memfd_create("ringtick-ring", flags);
	int err = 0;

	if (fd < 0)
		return -errno;
	r->is_huge = huge_pages;
	if (ftruncate(fd, (off_t)size) != 0)
		err = -errno;
	if (err == 0)
		err = map_views(r, fd, size, touch ? MAP_POPULATE : 0);
	/* The mappings keep the memory alive. */
	(void)close(fd);
	return err;
}

int
ring_open(struct ring *r, size_t size, bool huge_pages, bool touch)
{
	int err = -EINVAL;

	CHECK(size > 0 && (size & (size - 1)) == 0);
	CHECK(size % (size_t)sysconf(_SC_PAGESIZE) == 0);
	*r = (struct ring){ 0 };
	if (huge_pages && size % HUGE_PAGE_BYTES == 0)
		err = open_with(r, size, true, touch);
	if (err != 0)
		err = open_with(r, size, false, touch);
	if (err != 0)
		*r = (struct ring){ 0 };
	return err;
}

void
ring_hide_from_core(const struct ring *r)
{
	(void)madvise(r->base, 2 * r->size, MADV_DONTDUMP);
}

void
ring_close(struct ring *r)
{
	if (r->base != NULL)
		(void)munmap(r->base, 2 * r->size);
	*r = (struct ring){ 0 };
}
