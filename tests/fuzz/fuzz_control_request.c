/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Any bytes as a request of the control socket: what is read is within its bounds and whole, what is refused is told in plain ASCII
 * and changes nothing.
 */
#include "control_request.h"
#include "fuzz.h"
#include "name.h"
#include "query.h"

static void check_error(const char *why, const struct control_request *r)
{
	struct control_request untouched;

	memset(&untouched, 0x5a, sizeof(untouched));
	check(memcmp(r, &untouched, sizeof(untouched)) == 0);
	check(why[0] != '\0');
	for (; *why; why++)
		check(*why >= ' ' && *why < 0x7f);
}

static void check_selector(const struct selector *s)
{
	check(s->kind < SELECTOR_KINDS);
	check(!selector_fault(s->kind, s->text));
	check(fuzz_is_clean(s->text));
	check((s->kind == SELECTOR_EXE) == (s->device && s->inode));
	check(!s->cgroup || s->kind == SELECTOR_UNIT || s->kind == SELECTOR_CGROUP);
}

static void check_request(const struct control_request *r)
{
	struct query query;
	char why[160];
	bool changes = r->command == CONTROL_ATTACH || r->command == CONTROL_DETACH;

	check(r->command < CONTROL_COMMANDS && control_command_text(r->command)[0]);
	check(r->pid >= 0 && r->pid <= 4194304);
	check(!r->name[0] || !name_fault(r->name));
	check(fuzz_is_clean(r->name));
	check(changes || (!r->pid && !r->name[0]));
	check(r->command != CONTROL_ATTACH || !r->pid == r->selects);
	check(r->command == CONTROL_ATTACH || (!r->selects && !r->start_ticks));
	check(!r->start_ticks || r->pid);
	if (r->selects)
		check_selector(&r->selector);
	check(r->command != CONTROL_DETACH || !r->pid != !r->name[0]);
	check(r->format <= CONTROL_OPENMETRICS);
	check(r->command == CONTROL_SNAPSHOT || r->format == CONTROL_JSON);
	check(strlen(r->query) <= CONTROL_QUERY_MAX);
	check(!query_parse(r->query, &query, why, sizeof(why)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = fuzz_text(data, size), why[256] = "";
	struct control_request r;

	memset(&r, 0x5a, sizeof(r));
	if (control_request_parse(text, size, &r, why, sizeof(why)))
		check_error(why, &r);
	else
		check_request(&r);
	free(text);
	return 0;
}
