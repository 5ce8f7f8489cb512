/*
 * Three ways from the ring to the journal, compared.  A record is two pieces of
 * the frame in the ring: what makes a table of the columns is left out.
 *
 *   gather   pwritev() of the pieces, 1024 at most
 *   fixed    the same through io_uring's vectored write from a registered
 *            buffer (kernel 6.15)
 *   staging  the pieces copied to a staging buffer, one pwrite() for 256 KiB
 *
 *   make bench/journal_write_ways && bench/journal_write_ways FILE [MiB (1024)]
 *
 * Prints a Markdown table of what a record costs in each way, medians of
 * ROUNDS; "nan" where the kernel does not have the way.  Sizes are those of
 * published messages.  The file is written out and dropped from the page cache
 * after the writes, as the daemon does, and removed at the end.
 */
#include "config.h"

#include <fcntl.h>
#include <liburing.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/util.h"
#include "measure.h"

enum {
	ROUNDS = 3,
	SIZES = 3,
	WAYS = 3,
	RING_BYTES = 16 << 20,
	HEAD_BYTES = 22,    /* list, `upd, `trade */
	WRAPPER_BYTES = 46, /* table wrapper, not journalled */
	FRAME_HEADER = 8,
	PIECES_MAX = 1024,
	STAGING_BYTES = 256 << 10,
	RECYCLE_BYTES = 64 << 20,
	OP_WRITEV_FIXED = 61, /* newer than liburing 2.3 */
};

/* What a record costs, as time and as CPU time. */
struct cost {
	double ns[ROUNDS], cpu_ns[ROUNDS];
};

static const size_t sizes[SIZES] = { 100, 1024, 16384 };
static const char *const ways[WAYS] = { "gather", "fixed", "staging" };

static uint8_t *ring;
static struct io_uring uring;
static uint8_t staging[STAGING_BYTES];

static void
recycle(int fd, uint64_t before, uint64_t after)
{
	uint64_t chunk = before / RECYCLE_BYTES;

	if (chunk == after / RECYCLE_BYTES)
		return;
	sync_file_range(fd, (off64_t)(chunk * RECYCLE_BYTES), RECYCLE_BYTES,
			SYNC_FILE_RANGE_WRITE);
	if (chunk == 0)
		return;
	sync_file_range(fd, (off64_t)((chunk - 1) * RECYCLE_BYTES),
			RECYCLE_BYTES,
			SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE |
				SYNC_FILE_RANGE_WAIT_AFTER);
	posix_fadvise(fd, (off_t)((chunk - 1) * RECYCLE_BYTES), RECYCLE_BYTES,
		      POSIX_FADV_DONTNEED);
}

static ssize_t
write_fixed(int fd, const struct iovec *pieces, unsigned n, uint64_t off)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&uring);
	struct io_uring_cqe *cqe;
	ssize_t result;

	io_uring_prep_rw(OP_WRITEV_FIXED, sqe, fd, pieces, n, off);
	sqe->buf_index = 0;
	io_uring_submit_and_wait(&uring, 1);
	io_uring_peek_cqe(&uring, &cqe);
	result = cqe->res;
	io_uring_cqe_seen(&uring, cqe);
	return result;
}

/* In the journal. */
static size_t
record_bytes(size_t frame)
{
	return frame - FRAME_HEADER - WRAPPER_BYTES;
}

/* Takes records from the ring until a write is full; returns its bytes. */
static size_t
take_records(char way, size_t frame, uint64_t *pos, struct iovec *pieces,
	     size_t *out_cnt)
{
	size_t body = record_bytes(frame) - HEAD_BYTES;
	size_t n = 0, bytes = 0;

	while (n + 2 <= PIECES_MAX && bytes + frame <= STAGING_BYTES) {
		uint8_t *head = ring + *pos % (RING_BYTES - frame) +
				FRAME_HEADER;
		uint8_t *columns = head + HEAD_BYTES + WRAPPER_BYTES;

		if (way == 's') {
			memcpy(staging + bytes, head, HEAD_BYTES);
			memcpy(staging + bytes + HEAD_BYTES, columns, body);
		} else {
			pieces[n++] = (struct iovec){ head, HEAD_BYTES };
			pieces[n++] = (struct iovec){ columns, body };
		}
		bytes += HEAD_BYTES + body;
		*pos += frame;
	}
	*out_cnt = n;
	return bytes;
}

/* Returns the bytes written: less than `total` if this way failed. */
static uint64_t
run(int fd, char way, size_t frame, uint64_t total)
{
	struct iovec pieces[PIECES_MAX];
	uint64_t off = 0, pos = 0;

	while (off < total) {
		size_t cnt;
		size_t bytes = take_records(way, frame, &pos, pieces, &cnt);
		uint64_t before = off;
		ssize_t n;

		if (way == 's')
			n = pwrite(fd, staging, bytes, (off_t)off);
		else if (way == 'g')
			n = pwritev(fd, pieces, (int)cnt, (off_t)off);
		else
			n = write_fixed(fd, pieces, (unsigned)cnt, off);
		if (n != (ssize_t)bytes) {
			fprintf(stderr, "way %c: %zd of %zu\n", way, n, bytes);
			break;
		}
		off += bytes;
		recycle(fd, before, off);
	}
	return off;
}

static void
measure(const char *path, size_t size, char way, uint64_t total,
	struct cost *cost, size_t round)
{
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	int64_t start_ns = clock_monotonic_ns();
	int64_t start_cpu_ns = process_cpu_ns(0);
	uint64_t n = run(fd, way, size, total);
	double ns = (double)(clock_monotonic_ns() - start_ns);
	double cpu_ns = (double)(process_cpu_ns(0) - start_cpu_ns);
	double records;

	records = n < total ? NAN : (double)n / (double)record_bytes(size);
	cost->ns[round] = ns / records;
	cost->cpu_ns[round] = cpu_ns / records;
	close(fd);
	unlink(path);
}

static void
print_costs(struct cost costs[SIZES][WAYS])
{
	printf("| message | record | |");
	for (size_t w = 0; w < WAYS; w++)
		printf(" %s |", ways[w]);
	printf("\n|---|---|---|---|---|---|\n");
	for (size_t s = 0; s < SIZES; s++) {
		size_t bytes = record_bytes(sizes[s]);
		double cpu_ns[WAYS];

		printf("| %zu B | %zu B | ns |", sizes[s], bytes);
		for (size_t w = 0; w < WAYS; w++)
			printf(" %.0f |", median(costs[s][w].ns, ROUNDS));
		printf("\n| | | CPU ns |");
		for (size_t w = 0; w < WAYS; w++) {
			cpu_ns[w] = median(costs[s][w].cpu_ns, ROUNDS);
			printf(" %.0f |", cpu_ns[w]);
		}
		printf("\n| | | CPU s per GB |");
		for (size_t w = 0; w < WAYS; w++)
			printf(" %.2f |", cpu_ns[w] / (double)bytes);
		printf("\n");
	}
}

int
main(int argc, char **argv)
{
	static struct cost costs[SIZES][WAYS];
	uint64_t total = (argc > 2 ? strtoull(argv[2], NULL, 10) : 1024) << 20;
	struct iovec view;

	if (argc < 2) {
		fprintf(stderr, "Usage: bench/journal_write_ways FILE [MiB]\n");
		return 2;
	}
	ring = mmap(NULL, RING_BYTES, PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (ring == MAP_FAILED)
		return 1;
	memset(ring, 7, RING_BYTES);
	view = (struct iovec){ ring, RING_BYTES };
	if (io_uring_queue_init(8, &uring, 0) != 0 ||
	    io_uring_register_buffers(&uring, &view, 1) != 0) {
		fprintf(stderr, "journal_write_ways: no io_uring here\n");
		return 1;
	}
	for (size_t round = 0; round < ROUNDS; round++)
		for (size_t s = 0; s < SIZES; s++)
			for (size_t w = 0; w < WAYS; w++)
				measure(argv[1], sizes[s], ways[w][0], total,
					&costs[s][w], round);
	print_costs(costs);
	return 0;
}
