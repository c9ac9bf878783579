/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Feeds a fuzz target every file of its corpus, tests/fuzz/corpus/PROGRAM, and every beginning of each, and prints TAP. In place of
 * libFuzzer's main, so that what was found once is tried in every run of the tests, without libFuzzer. A finding ends the
 * program, and the results that are missing then are failures.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>

#include "fuzz.h"

#define INPUT_MAX 65536

/* On the heap with nothing behind it: so the sanitizer sees a read beyond the input. */
static void feed(const uint8_t *data, size_t size)
{
	uint8_t *input = malloc(size ? size : 1);

	check(input != NULL);
	memcpy(input, data, size);
	LLVMFuzzerTestOneInput(input, size);
	free(input);
}

static bool replay(const char *path)
{
	static uint8_t data[INPUT_MAX + 1];
	FILE *f = fopen(path, "re");
	size_t size;
	bool good;

	if (!f)
		return false;
	size = fread(data, 1, sizeof(data), f);
	good = !ferror(f) && size <= INPUT_MAX;
	fclose(f);
	if (!good)
		return false;
	feed(data, size);
	for (size_t less = 0; less < size; less++)
		feed(data, less);
	return true;
}

static int is_file(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

int main(void)
{
	struct dirent **files;
	char path[512];
	int count, failed = 0;

	snprintf(path, sizeof(path), "tests/fuzz/corpus/%s", program_invocation_short_name);
	count = scandir(path, &files, is_file, alphasort);
	if (count <= 0) {
		printf("Bail out! no corpus in %s\n", path);
		return 1;
	}
	setvbuf(stdout, NULL, _IOLBF, 0); /* a finding ends us without a flush */
	printf("1..%d\n", count);
	for (int i = 0; i < count; i++) {
		bool good;

		snprintf(path, sizeof(path), "tests/fuzz/corpus/%s/%s",
			 program_invocation_short_name, files[i]->d_name);
		fprintf(stderr, "%s\n", path);
		good = replay(path);
		failed += !good;
		printf("%sok %d - %s\n", good ? "" : "not ", i + 1, files[i]->d_name);
		free(files[i]);
	}
	free(files);
	return failed ? 1 : 0;
}
