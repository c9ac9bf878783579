// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * Collects what other modules know of themselves into one JSON object. Invariant: nothing is read from a file here, since the
 * daemon may open none by the time it is asked.
 */
#include "metadata.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "listeners.h"
#include "query.h"
#include "selector.h"
#include "util.h"
#include "version.h"

struct metadata {
	char *text; /* no NUL, but a newline in its place */
	size_t len, at;
};

struct process {
	uint32_t owner, tgid;
};

struct processes {
	size_t count;
	struct process at[PS_PROCESSES_MAX];
};

void metadata_prepare(void)
{
	json_object_seed(0);
}

static void on_process(void *arg, uint32_t tgid, const struct ps_process *process)
{
	struct processes *all = arg;

	if (all->count < ARRAY_SIZE(all->at))
		all->at[all->count++] = (struct process){.owner = process->owner, .tgid = tgid};
}

static int by_owner(const void *a, const void *b)
{
	const struct process *x = a, *y = b;

	if (x->owner != y->owner)
		return x->owner > y->owner ? 1 : -1;
	return (x->tgid > y->tgid) - (x->tgid < y->tgid);
}

static json_t *list_pids(const struct processes *all, uint32_t owner)
{
	json_t *list = json_array();

	for (size_t i = 0; list && i < all->count; i++)
		if (all->at[i].owner == owner)
			json_array_append_new(list, json_integer(all->at[i].tgid));
	return list;
}

/* Takes the list of its processes. */
static json_t *pack_target(const struct target *t, json_t *processes)
{
	char selector[SELECTOR_SHOWN_MAX];

	if (t->selects)
		selector_show(&t->selector, selector);
	return json_pack("{s:s,s:o,s:s?,s:b,s:o}", /**/
			 "name", t->name, /**/
			 "pid", t->selects ? json_null() : json_integer(t->pid), /**/
			 "selector", t->selects ? selector : NULL, /**/
			 "follow", (int)t->follow, /**/
			 "processes", processes);
}

/* NULL: no memory, or what *ret_err says. */
static json_t *list_targets(const struct metadata_source *s, int *ret_err)
{
	_cleanup_free_ struct processes *all = calloc(1, sizeof(*all));
	json_t *list;

	*ret_err = all ? probes_processes(s->probes, on_process, all) : -ENOMEM;
	if (*ret_err)
		return NULL;
	qsort(all->at, all->count, sizeof(all->at[0]), by_owner);
	list = json_array();
	for (size_t i = 0; list && i < targets_count(s->targets); i++) {
		const struct target *t = targets_at(s->targets, i);

		json_array_append_new(list, pack_target(t, list_pids(all, t->id)));
	}
	return list;
}

/* The programs, and in *ret_accept the mechanism by which accept() is seen, as --accept-probe names it. */
static json_t *list_programs(struct probes *p, const char **ret_accept)
{
	struct probes_program programs[PROBES_PROGRAMS_MAX];
	size_t count = probes_programs(p, programs);
	json_t *list = json_array();

	*ret_accept = "off";
	for (size_t i = 0; list && i < count; i++) {
		if (strcmp(programs[i].attach, "fexit") == 0)
			*ret_accept = "fexit";
		else if (strcmp(programs[i].attach, "tracepoint") == 0)
			*ret_accept = "syscall";
		json_array_append_new(list, json_pack("{s:s,s:s}", "program", programs[i].name,
						      "attach", programs[i].attach));
	}
	return list;
}

static json_t *list_limits(const struct metadata_source *s)
{
	struct connections_stats stats;

	connections_stats(s->connections, &stats);
	return json_pack("{s:I,s:I,s:I,s:I,s:i,s:i,s:i,s:i,s:i,s:i}", /**/
			 "peers", (json_int_t)s->options->peers_max, /**/
			 "series", (json_int_t)s->options->series_max, /**/
			 "tracked", (json_int_t)stats.limit, /**/
			 "ring_bytes", (json_int_t)s->options->ring_bytes, /**/
			 "targets", TARGETS_MAX, /**/
			 "processes", PS_PROCESSES_MAX, /**/
			 "process_names", SERIES_NAMES_MAX, /**/
			 "listener_ports", LISTENERS_PORTS_MAX, /**/
			 "listener_sockets", LISTENERS_SOCKETS_MAX, /**/
			 "connections_listed", QUERY_LIMIT_MAX);
}

static json_t *make_object(const struct metadata_source *s, int *ret_err)
{
	json_t *targets = list_targets(s, ret_err), *programs;
	const char *accept;

	if (!targets)
		return NULL;
	programs = list_programs(s->probes, &accept);
	return json_pack("{s:s,s:s,s:s,s:s,s:b,s:s?,s:s,s:o,s:o,s:o}", /**/
			 "version", version_text, /**/
			 "revision", version_revision, /**/
			 "libbpf", probes_libbpf_version(), /**/
			 "kernel", s->support->release, /**/
			 "btf", (int)s->support->of[FEATURE_BTF].present, /**/
			 "lockdown", s->support->lockdown[0] ? s->support->lockdown : NULL, /**/
			 "accept_probe", accept, /**/
			 "programs", programs, /**/
			 "targets", targets, /**/
			 "limits", list_limits(s));
}

static const char *lockdown_text(const char *mode)
{
	if (!*mode)
		return "the kernel does not say; see dmesg where programs or tracefs are refused";
	if (strcmp(mode, "confidentiality") == 0)
		return "confidentiality: tracefs cannot be read, so accept() is seen by fexit only; "
		       "integrity is enough for most (lockdown= on the kernel's command line)";
	return mode;
}

/* What is not a feature to have or not to have, but a number or a mode of the machine. */
static void add_machine(json_t *list, const struct support *s)
{
	char optmem[160];

	snprintf(optmem, sizeof(optmem),
		 "%u bytes of options per socket, of which a record takes its part: raise "
		 "net.core.optmem_max if poolscope_records_refused_total{cause=\"optmem\"} rises",
		 s->optmem_max);
	json_array_append_new(list, json_pack("{s:s,s:b,s:b,s:s}", "id", "kernel", "present", 1,
					      "needed", 1, "detail", s->release));
	json_array_append_new(list, json_pack("{s:s,s:b,s:b,s:s}", "id", "lockdown", "present",
					      strcmp(s->lockdown, "confidentiality") != 0, "needed",
					      0, "detail", lockdown_text(s->lockdown)));
	json_array_append_new(list, json_pack("{s:s,s:b,s:b,s:s}", "id", "optmem_max", "present", 1,
					      "needed", 0, "detail", optmem));
}

static json_t *make_checks(const struct metadata_source *s)
{
	json_t *list = json_array(), *programs;
	const char *accept;

	if (!list)
		return NULL;
	add_machine(list, s->support);
	for (size_t i = 0; i < FEATURES; i++) {
		const struct feature *f = &s->support->of[i];

		json_array_append_new(list,
				      json_pack("{s:s,s:b,s:b,s:s}", "id", f->id, "present",
						(int)f->present, "needed",
						f->need != FEATURE_OPTIONAL, "detail", f->detail));
	}
	programs = list_programs(s->probes, &accept);
	return json_pack("{s:s,s:s,s:s,s:o,s:o}", /**/
			 "version", version_text, /**/
			 "revision", version_revision, /**/
			 "accept_probe", accept, /**/
			 "checks", list, /**/
			 "programs", programs);
}

/* Takes the object; NULL: there was no memory for it, or what err says. */
static int open_object(struct metadata **ret, json_t *object, int err)
{
	struct metadata *m = object ? calloc(1, sizeof(*m)) : NULL;

	if (m)
		m->text = json_dumps(object, JSON_INDENT(2));
	json_decref(object);
	if (!m || !m->text) {
		free(m);
		return err ? err : -ENOMEM;
	}
	m->len = strlen(m->text) + 1;
	m->text[m->len - 1] = '\n';
	*ret = m;
	return 0;
}

int metadata_open(struct metadata **ret, const struct metadata_source *source)
{
	int err = 0;
	json_t *object = make_object(source, &err);

	return open_object(ret, object, err);
}

int metadata_open_checks(struct metadata **ret, const struct metadata_source *source)
{
	return open_object(ret, make_checks(source), 0);
}

ssize_t metadata_read(void *metadata, char *out, size_t max)
{
	struct metadata *m = metadata;
	size_t n = m->len - m->at < max ? m->len - m->at : max;

	memcpy(out, m->text + m->at, n);
	m->at += n;
	return (ssize_t)n;
}

void metadata_close(void *metadata)
{
	struct metadata *m = metadata;

	free(m->text);
	free(m);
}
