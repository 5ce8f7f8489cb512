/*
 * What other programs do to the journal's files: while the daemon runs they cut
 * them, copy something over them or write behind their end, take their names
 * away and give them to others, and between two runs they cut or remove any of
 * them.
 */
#include "config.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "world.h"

/* The daemon finds out within a second, and then has work to do. */
#define TOLD_NS (4 * NS_PER_S)

enum { RUBBISH_MAX = 5000 };

static const char intruder_text[] = "not this journal";

static struct {
	int64_t at_ns;
	int32_t day;
	char stranger[64]; /* a file with the next day's name; "": none */
	struct inode *file;
	struct inode *intruder; /* the last one with the running day's name */
	char moved[80], from[64]; /* where the journal is, and was; "" */
} damage;

static void
add_rubbish(struct bytes *b)
{
	size_t len = 1 + sim_below(RUBBISH_MAX);

	for (size_t i = 0; i < len; i++) {
		uint8_t byte = sim_chance(300) ? 0 : (uint8_t)sim_random();

		bytes_add(b, &byte, 1);
	}
}

/* Its own beginning, as from an older copy, or with something after it that is
 * no record: of one that only has other bytes nobody could tell.  Not with the
 * length that the file has. */
static void
copy_over(struct inode *file)
{
	uint64_t len = fs_size(file), part = sim_below(len + 1);
	struct bytes b = { 0 };

	if (sim_chance(500)) {
		bytes_add(&b, fs_bytes(file)->at, part);
	} else {
		bytes_add(&b, fs_bytes(file)->at,
			  judge_boundary(damage.day, part));
		bytes_resize(&b, b.len + 1);
		b.at[b.len - 1] = 0x55;
		add_rubbish(&b);
	}
	if (b.len == len)
		bytes_resize(&b, len - 1);
	(void)fs_truncate(file, 0);
	(void)fs_write_at(file, b.at, b.len, 0);
	bytes_free(&b);
}

static void
grow(struct inode *file)
{
	struct bytes b = { 0 };

	add_rubbish(&b);
	(void)fs_write_at(file, b.at, b.len, fs_size(file));
	bytes_free(&b);
}

void
damage_journal(void)
{
	struct inode *file = fs_find(world.journal);

	if (file == NULL || fs_size(file) == 0 ||
	    !judge_find_running(&damage.day))
		return;
	judge_read_journal();
	disk.crash_in = 0;
	damage.at_ns = sim_now_ns();
	world.is_damaged = true;
	switch (sim_below(3)) {
	case 0:
		(void)fs_truncate(file, sim_below(fs_size(file)));
		break;
	case 1:
		copy_over(file);
		break;
	default:
		grow(file);
		break;
	}
	sim_trace("somebody damages %s, it has %llu bytes", world.journal,
		  (unsigned long long)fs_size(file));
}

/* The operator puts it right when he reads of it. */
static void
remove_stranger(void *who, uint64_t what)
{
	(void)who;
	(void)what;
	damage_end();
}

void
damage_end(void)
{
	/* A stop may have put it aside. */
	if (damage.stranger[0] != '\0' &&
	    fs_find(damage.stranger) == damage.file) {
		sim_trace("the stranger's %s is taken away", damage.stranger);
		(void)fs_unlink(damage.stranger);
		fs_sync_names();
	}
	damage.stranger[0] = '\0';
}

bool
damage_is_strange(const struct inode *file)
{
	return (damage.stranger[0] != '\0' && file == damage.file) ||
	       file == damage.intruder;
}

/*
 * The journal has another name, or none, and perhaps somebody else's file has
 * its own.  Nothing is lost if the daemon lives on for long enough to bring it
 * back.
 */
void
damage_name(void)
{
	static unsigned files;
	struct inode *file = fs_find(world.journal);

	disk.crash_in = 0;
	world.removed_ns = sim_now_ns();
	if (file == NULL || damage_is_strange(file))
		return;
	if (sim_chance(400)) {
		(void)snprintf(damage.from, sizeof(damage.from), "%s",
			       world.journal);
		(void)snprintf(damage.moved, sizeof(damage.moved),
			       "%s.moved.%u", world.journal, files++);
		sim_trace("somebody renames %s", world.journal);
		(void)fs_rename(world.journal, damage.moved, true);
	} else {
		sim_trace("somebody removes %s", world.journal);
		(void)fs_unlink(world.journal);
	}
	if (sim_chance(300) && fs_free_bytes() > 0 && disk.eio_per_mille == 0 &&
	    disk.short_per_mille == 0) {
		sim_trace("an intruder's file is %s", world.journal);
		CHECK(fs_open(world.journal, O_CREAT, &damage.intruder) == 0);
		(void)fs_truncate(damage.intruder, 0);
		(void)fs_write_at(damage.intruder, intruder_text,
				  strlen(intruder_text), 0);
	}
	if (sim_chance(200)) {
		sim_trace("somebody removes the lock");
		(void)fs_unlink("/journal/sym.lock");
	}
}

/* The daemon has ended, and the operator puts right what it could not; what it
 * has put aside is as it was. */
void
damage_name_end(void)
{
	struct inode *file = fs_find(damage.from), *i = damage.intruder;

	SIM_CHECK(i == NULL || world.has_lost_power ||
			  (fs_path_of(i) != NULL &&
			   fs_size(i) == strlen(intruder_text) &&
			   memcmp(fs_bytes(i)->at, intruder_text,
				  fs_size(i)) == 0),
		  "what had the journal's name is lost");
	if (fs_find(damage.moved) != NULL && fs_find(damage.moved) != file) {
		sim_trace("%s becomes %s", damage.moved, damage.from);
		(void)fs_rename(damage.moved, damage.from, false);
	}
	(void)fs_unlink(damage.moved);
	if (i != NULL && fs_path_of(i) != NULL)
		(void)fs_unlink(fs_path_of(i));
	damage.intruder = NULL;
}

void
damage_next_name(void)
{
	char date[16];
	int32_t day;

	if (damage.stranger[0] != '\0' || !judge_find_running(&day))
		return;
	(void)snprintf(damage.stranger, sizeof(damage.stranger),
		       "/journal/sym%s", clock_date_text(date, day + 1));
	if (fs_find(damage.stranger) != NULL) {
		damage.stranger[0] = '\0';
		return;
	}
	sim_trace("a stranger's file is %s", damage.stranger);
	fs_put(damage.stranger, "not a journal");
	damage.file = fs_find(damage.stranger);
}

void
damage_told(const char *line, size_t len)
{
	char kept[24], lost[24], bytes[24];

	if (memmem(line, len, "event=journal_next_failed ", 26) != NULL ||
	    memmem(line, len, "event=journal_roll_failed ", 26) != NULL)
		sim_at(sim_now_ns() + sim_between(0, 20 * NS_PER_S),
		       remove_stranger, NULL, 0);
	if (memmem(line, len, "event=journal_cut ", 18) == NULL)
		return;
	SIM_CHECK(world.is_damaged, "nobody has cut the journal");
	world.is_damaged = false;
	CHECK(world_find_field(line, len, " kept_records=", kept,
			       sizeof(kept)) &&
	      world_find_field(line, len, " lost_records=", lost,
			       sizeof(lost)) &&
	      world_find_field(line, len, " should_be=", bytes,
			       sizeof(bytes)));
	judge_lose(damage.day, strtoull(bytes, NULL, 10),
		   strtoull(kept, NULL, 10),
		   strtoull(lost, NULL, 10));
}

/* A file without records: nothing is lost. */
void
damage_is_left(const char *path)
{
	if (!world.is_damaged)
		return;
	world.is_damaged = false;
	if (fs_find(path) != NULL)
		(void)fs_unlink(path);
	fs_sync_names();
}

void
damage_check(bool is_excused)
{
	if (!world.is_damaged || is_excused)
		damage.at_ns = sim_now_ns();
	SIM_CHECK(sim_now_ns() - damage.at_ns < TOLD_NS,
		  "the journal is damaged, and the log does not say so");
}

void
damage_between_runs(void)
{
	static const char *const others[] = { "/journal/sym.epoch",
					      "/journal/sym.reserve",
					      "/journal/sym.lock" };
	char path[64];
	struct inode *file;

	/* What is in doubt must not change. */
	if (fs_find("/journal/sym.unsynced") != NULL)
		return;
	(void)snprintf(path, sizeof(path), "%s",
		       sim_chance(500)
			       ? others[sim_below(ARRAY_LEN(others))]
			       : world.journal);
	file = fs_find(path);
	if (file == NULL)
		return;
	world.is_tampered = true;
	world.unclean++;
	/* What is left of the epochs may not tell the settings. */
	if (strcmp(path, others[0]) == 0)
		world.era++;
	if (sim_chance(300))
		(void)fs_unlink(path);
	else
		fs_cut(file, sim_below(fs_size(file) + 1));
	sim_trace("somebody cuts or removes %s", path);
}
