/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Any bytes as a comm: a name comes out, a name stays as it is, and what was refused as a name is changed.
 */
#include "fuzz.h"
#include "name.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *comm = fuzz_text(data, size);
	char name[SERIES_NAME_MAX + 1], again[SERIES_NAME_MAX + 1];

	memset(name, 0xff, sizeof(name));
	name_clean(comm, name);
	check(name[0] && strnlen(name, sizeof(name)) <= SERIES_NAME_MAX && fuzz_is_clean(name));
	check(!name_fault(name));
	name_clean(name, again);
	check(strcmp(name, again) == 0);
	check((strcmp(comm, name) == 0) == !name_fault(comm));
	free(comm);
	return 0;
}
