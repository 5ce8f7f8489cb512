/*
 * The main of a fuzz target where there is no libFuzzer: runs it once with each
 * input of its corpus, and says so in TAP.
 *
 *   fuzz_NAME [FILE...]	as usual $srcdir/tests/fuzz/corpus/NAME
 *
 * A line of a corpus is an input, as corpus.py writes it: \\, \n, \xHH, and
 * printable ASCII; lines with # are comments.  A fault ends the process.
 */
#include "config.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static uint8_t
hex_digit(char c)
{
	static const char digits[] = "0123456789abcdef";
	const char *at = memchr(digits, c, sizeof(digits) - 1);

	CHECK(at != NULL);
	return (uint8_t)(at - digits);
}

/* Returns the length of the input, which takes the place of its line. */
static size_t
decode(char *line, size_t len)
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++, n++) {
		if (line[i] != '\\') {
			line[n] = line[i];
			continue;
		}
		/* The line is terminated: no byte after it is read. */
		i++;
		CHECK(line[i] == '\\' || line[i] == 'n' || line[i] == 'x');
		line[n] = line[i] == 'n' ? '\n' : '\\';
		if (line[i] == 'x') {
			line[n] = (char)(hex_digit(line[i + 1]) << 4 |
					 hex_digit(line[i + 2]));
			i += 2;
		}
	}
	return n;
}

static unsigned
replay(const char *path)
{
	FILE *file = fopen(path, "re");
	char *line = NULL;
	size_t room = 0;
	unsigned cnt = 0;
	ssize_t len;

	if (file == NULL) {
		printf("Bail out! cannot read %s\n", path);
		exit(1);
	}
	while ((len = getline(&line, &room, file)) > 0) {
		uint8_t *input;
		size_t n;

		len -= line[len - 1] == '\n';
		line[len] = '\0';
		if (len == 0 || line[0] == '#')
			continue;
		n = decode(line, (size_t)len);
		/* Of the exact size: the sanitizer sees a byte too many. */
		input = malloc(n);
		CHECK(input != NULL);
		memcpy(input, line, n);
		CHECK(LLVMFuzzerTestOneInput(input, n) == 0);
		free(input);
		cnt++;
	}
	free(line);
	(void)fclose(file);
	return cnt;
}

int
main(int argc, char **argv)
{
	const char *srcdir = getenv("srcdir"), *name = strrchr(argv[0], '/');
	char usual[4096], *paths[] = { usual, NULL };
	char **path = argc > 1 ? argv + 1 : paths;
	unsigned cnt = 0;

	name = name == NULL ? argv[0] : name + 1;
	CHECK(strncmp(name, "fuzz_", 5) == 0);
	(void)snprintf(usual, sizeof(usual), "%s/tests/fuzz/corpus/%s",
		       srcdir == NULL ? "." : srcdir, name + 5);
	printf("1..1\n");
	for (; *path != NULL; path++)
		cnt += replay(*path);
	CHECK(cnt > 0);
	printf("ok 1 - %s: %u inputs\n", name, cnt);
	return 0;
}
