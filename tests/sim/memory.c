/*
 * The daemon's memory: what it allocates and maps is counted, and compared with
 * what it prints at its start.  The simulation's own memory is not among it:
 * see sim.h.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "journal/history.h"
#include "world.h"
#include "wrap.h"

#undef calloc
#undef realloc
#undef reallocarray
#undef strdup
#undef free

enum { BLOCKS_MAX = 8192, FILES_PRINTED = 3 };

/* Settings, schema, lists: they are beside what is printed, as the program
 * itself is. */
#define BESIDES_BYTES (64u << 10)

static struct {
	struct block {
		const void *at;
		size_t len;
		bool is_brief; /* of a question: gone when it is answered */
		unsigned job; /* of that thread's job, which runs: what of it
				 is left at its end counts */
	} blocks[BLOCKS_MAX];
	unsigned cnt;
	uint64_t heap, brief;
	uint64_t most; /* what is printed, as it is mapped; 0: not yet */
	unsigned lent; /* another thread works, and has memory of its own:
			  its number */
} memory;

/*
 * After the start only work on the journal's files, and the table of the
 * consumers while it is made, may take memory: nothing else, and so nothing on
 * the way of an update.
 */
static void
note(const void *at, size_t len)
{
	bool is_brief = process_is_running() && memory.lent == 0;

	if (at == NULL)
		return;
	SIM_CHECK(!is_brief || world.wants_figures != 0,
		  "the daemon allocates %zu bytes after its start", len);
	SIM_CHECK(memory.cnt < BLOCKS_MAX, "the daemon has too many blocks");
	memory.blocks[memory.cnt++] =
		(struct block){ at, len, is_brief, memory.lent };
	memory.heap += len;
	memory.brief += is_brief ? len : 0;
	memory_check();
}

static void
forget(const void *at)
{
	for (unsigned i = memory.cnt; i-- > 0;)
		if (memory.blocks[i].at == at) {
			memory.heap -= memory.blocks[i].len;
			if (memory.blocks[i].is_brief)
				memory.brief -= memory.blocks[i].len;
			memory.blocks[i] = memory.blocks[--memory.cnt];
			return;
		}
}

void
memory_end(void)
{
	memory.cnt = 0;
	memory.heap = memory.brief = memory.most = 0;
	memory.lent = 0;
}

void
memory_lend(unsigned thread)
{
	memory.lent = thread;
}

void
memory_job_ended(unsigned thread)
{
	for (unsigned i = 0; i < memory.cnt; i++)
		if (memory.blocks[i].job == thread)
			memory.blocks[i].job = 0;
	memory_check();
}

/* Without the indexes of the journal's files: as many are printed as are mostly
 * open, and those of older files that are read come on top. */
static uint64_t
bytes_now(void)
{
	uint64_t bytes = memory.heap + process_mapped();

	for (unsigned i = 0; i < memory.cnt; i++)
		if (memory.blocks[i].job != 0 ||
		    memory.blocks[i].len == sizeof(struct history_file))
			bytes -= memory.blocks[i].len;
	return bytes;
}

void
memory_check(void)
{
	uint64_t now = bytes_now();

	SIM_CHECK(memory.most == 0 || now <= memory.most + BESIDES_BYTES,
		  "the daemon has %llu bytes, and said at most %llu",
		  (unsigned long long)now, (unsigned long long)memory.most);
}

void
memory_check_turn(void)
{
	SIM_CHECK(memory.brief == 0,
		  "%llu bytes that were taken for a request are not given back",
		  (unsigned long long)memory.brief);
}

static uint64_t
field(const char *line, size_t len, const char *name)
{
	const char *at = memmem(line, len, name, strlen(name));

	SIM_CHECK(at != NULL, "event=memory has no%s", name);
	return strtoull(at + strlen(name), NULL, 10) * 1024;
}

/* What is printed is what there is. */
void
memory_printed(const char *line, size_t len)
{
	uint64_t staging = 1;

	/* Without a journal some maps are never touched, nor printed. */
	if (memmem(line, len, "event=memory ", 13) == NULL ||
	    !world.has_journal)
		return;
	while (2 * staging <= field(line, len, " journal_kb="))
		staging *= 2;
	/* Rings are mapped twice, and ringtick-login is another process. */
	memory.most = field(line, len, " total_max_kb=") +
		      field(line, len, " ring_kb=") +
		      field(line, len, " streams_max_kb=") + staging -
		      field(line, len, " login_max_kb=") -
		      FILES_PRINTED * sizeof(struct history_file);
	memory_check();
	SIM_CHECK(bytes_now() + BESIDES_BYTES >= memory.most,
		  "the daemon has %llu bytes, and says %llu",
		  (unsigned long long)bytes_now(),
		  (unsigned long long)memory.most);
}

/* ---- the daemon's calls ---- */

WRAP(void *, malloc, size_t len)
{
	void *at = REAL(malloc)(len);

	note(at, len);
	return at;
}

WRAP(void *, calloc, size_t cnt, size_t len)
{
	void *at = REAL(calloc)(cnt, len);

	note(at, cnt * len);
	return at;
}

WRAP(void *, aligned_alloc, size_t align, size_t len)
{
	void *at = REAL(aligned_alloc)(align, len);

	note(at, len);
	return at;
}

WRAP(void *, realloc, void *before, size_t len)
{
	void *at;

	forget(before);
	at = REAL(realloc)(before, len);
	note(at, len);
	return at;
}

WRAP(void *, reallocarray, void *before, size_t cnt, size_t len)
{
	void *at;

	forget(before);
	at = REAL(reallocarray)(before, cnt, len);
	note(at, cnt * len);
	return at;
}

WRAP(char *, strdup, const char *text)
{
	char *at = REAL(strdup)(text);

	note(at, strlen(text) + 1);
	return at;
}

WRAP(void, free, void *at)
{
	forget(at);
	REAL(free)(at);
}
