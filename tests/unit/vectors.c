#include "config.h"

#include "vectors.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct vectors vectors;
struct fence in_fence, out_fence;

static _Noreturn void
give_up(const char *what, const char *which)
{
	fprintf(stderr, "vectors: %s: %s\n", what, which);
	exit(1);
}

static int
hex_digit(char c)
{
	static const char digits[] = "0123456789abcdef";
	const char *at = c == 0 ? NULL : strchr(digits, c);

	return at == NULL ? -1 : (int)(at - digits);
}

size_t
hex_bytes(const char *hex, uint8_t *out, size_t out_len)
{
	size_t len = 0;

	for (const char *at = hex; *at != 0 && *at != '"'; at++) {
		if (*at == ' ')
			continue;
		if (hex_digit(at[0]) < 0 || hex_digit(at[1]) < 0 ||
		    len == out_len)
			give_up("not hex, or too much", hex);
		out[len++] =
			(uint8_t)(hex_digit(at[0]) * 16 + hex_digit(at[1]));
		at++;
	}
	return len;
}

/*
 * The text of `"field": "` in a line, up to its quote; NULL if it has none.
 * Good for fields without escapes; a quote inside another one is escaped and
 * so cannot look like this.
 */
static const char *
find_field(const char *line, const char *field, size_t *out_len)
{
	char mark[32];
	const char *at;

	(void)snprintf(mark, sizeof(mark), "\"%s\": \"", field);
	at = strstr(line, mark);
	if (at == NULL)
		return NULL;
	at += strlen(mark);
	*out_len = strcspn(at, "\"");
	return at;
}

static void
copy_field(const char *line, const char *field, char *out, size_t out_len)
{
	size_t len = 0;
	const char *at = find_field(line, field, &len);

	if (at == NULL || len >= out_len)
		give_up(field, line);
	memcpy(out, at, len);
	out[len] = 0;
}

static void
read_vector(struct vector *v, const char *line)
{
	size_t len = 0;
	const char *at;

	copy_field(line, "name", v->name, sizeof(v->name));
	copy_field(line, "kind", v->kind, sizeof(v->kind));
	at = find_field(line, "strict_verdict", &len);
	v->is_accepted = at == NULL || strncmp(at, "reject", 6) != 0;
	at = find_field(line, "hex", &len);
	if (at == NULL)
		give_up("no hex", line);
	v->bytes = malloc(len / 2 + 1);
	if (v->bytes == NULL)
		give_up("no memory", v->name);
	v->len = hex_bytes(at, v->bytes, len / 2);
}

static void
vectors_load(void)
{
	const char *srcdir = getenv("srcdir");
	char path[PATH_MAX], *line = NULL;
	size_t line_len = 0, room = 0;
	FILE *file;

	(void)snprintf(path, sizeof(path), "%s/tests/data/vectors.json",
		       srcdir == NULL ? "." : srcdir);
	file = fopen(path, "r");
	if (file == NULL)
		give_up("cannot open", path);
	while (getline(&line, &line_len, file) > 0) {
		struct vector *v;

		if (line[0] != '{')
			continue;
		if (vectors.cnt == room) {
			room = 2 * room + 64;
			vectors.items =
				realloc(vectors.items, room * sizeof(*v));
			if (vectors.items == NULL)
				give_up("no memory", path);
		}
		v = &vectors.items[vectors.cnt++];
		read_vector(v, line);
	}
	free(line);
	fclose(file);
	if (vectors.cnt == 0)
		give_up("nothing in", path);
}

static void
vectors_free(void)
{
	for (size_t i = 0; i < vectors.cnt; i++)
		free(vectors.items[i].bytes);
	free(vectors.items);
	vectors = (struct vectors){ 0 };
}

int
vectors_open(void **state)
{
	(void)state;
	vectors_load();
	fences_open();
	return 0;
}

int
vectors_close(void **state)
{
	(void)state;
	fences_close();
	vectors_free();
	return 0;
}

const struct vector *
vectors_find(const char *name)
{
	for (size_t i = 0; i < vectors.cnt; i++)
		if (strcmp(vectors.items[i].name, name) == 0)
			return &vectors.items[i];
	give_up("there is no vector", name);
}

bool
vector_is(const struct vector *v, const char *kind)
{
	return strcmp(v->kind, kind) == 0;
}

bool
vector_is_plain(const struct vector *v)
{
	return vector_is(v, "ipc") || vector_is(v, "golden");
}

void
fence_init(struct fence *f, size_t len_max)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	size_t len = (len_max + page - 1) / page * page;

	f->mapped = len + page;
	f->base = mmap(NULL, f->mapped, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (f->base == MAP_FAILED)
		give_up("cannot map", "a fence");
	f->end = f->base + len;
	if (mprotect(f->end, page, PROT_NONE) != 0)
		give_up("cannot protect", "a fence");
}

void
fence_fini(struct fence *f)
{
	(void)munmap(f->base, f->mapped);
}

uint8_t *
fence_room(struct fence *f, size_t len)
{
	if (len > (size_t)(f->end - f->base))
		give_up("too long for", "the fence");
	return f->end - len;
}

uint8_t *
fence_place(struct fence *f, const uint8_t *bytes, size_t len)
{
	uint8_t *at = fence_room(f, len);

	if (len > 0)
		memcpy(at, bytes, len);
	return at;
}

void
fences_open(void)
{
	fence_init(&in_fence, FENCE_BYTES);
	fence_init(&out_fence, FENCE_BYTES);
}

void
fences_close(void)
{
	fence_fini(&out_fence);
	fence_fini(&in_fence);
}
