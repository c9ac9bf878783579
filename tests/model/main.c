/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Breadth-first search through all states of each configuration, so a counterexample is a shortest one. A state that was seen
 * is kept as 64 bits of hash (as SPIN and TLC can do): with 10 million states the odds that two share one, so that something
 * is left out, are 1 : 370,000. Whole states are kept only for the front of the search; a trace is found by walking
 * again along the parents. Results are TAP, then "N passed, N failed, N skipped".
 *
 *	model [WORD [trace]]	only configurations with WORD in their names; with the trace of what was broken on purpose
 */
#include "protocol.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define STATES_MAX (16U << 20) /* of one configuration: 320 MB with index and parents */
#define INDEX_SIZE (32U << 20)
#define NO_STATE UINT32_MAX

struct front {
	struct state *at;
	uint32_t *number;
	size_t count, cap;
};

struct search {
	struct model m;
	uint64_t *seen; /* hash by state number */
	uint32_t *parent, *index; /* index: state number + 1 by hash */
	uint32_t count, depth;
	bool full; /* more than STATES_MAX: nothing is proved */
	struct front front, next;
};

static uint64_t state_hash(const struct state *s)
{
	uint64_t h = 0x9e3779b97f4a7c15ULL, word;

	for (size_t i = 0; i < sizeof(*s); i += sizeof(word)) {
		memcpy(&word, (const char *)s + i, sizeof(word));
		h = (h ^ word) * 0xff51afd7ed558ccdULL;
		h ^= h >> 32;
	}
	h *= 0xc4ceb9fe1a85ec53ULL;
	return h ^ h >> 29;
}

static void *allocate(size_t count, size_t size)
{
	void *p = calloc(count, size);

	if (!p) {
		fprintf(stderr, "model: out of memory\n");
		exit(1);
	}
	return p;
}

static void front_add(struct front *f, const struct state *s, uint32_t number)
{
	if (f->count == f->cap) {
		f->cap = f->cap ? 2 * f->cap : 1024;
		f->at = realloc(f->at, f->cap * sizeof(*f->at));
		f->number = realloc(f->number, f->cap * sizeof(*f->number));
		if (!f->at || !f->number) {
			fprintf(stderr, "model: out of memory\n");
			exit(1);
		}
	}
	f->at[f->count] = *s;
	f->number[f->count++] = number;
}

/* Adds a state unless it was seen. */
static void search_add(struct search *x, const struct state *s, uint32_t parent)
{
	uint64_t hash = state_hash(s);
	uint32_t i = (uint32_t)hash & (INDEX_SIZE - 1);

	for (; x->index[i]; i = (i + 1) & (INDEX_SIZE - 1)) {
		if (x->seen[x->index[i] - 1] == hash)
			return;
	}
	if (x->count == STATES_MAX) {
		x->full = true;
		return;
	}
	x->seen[x->count] = hash;
	x->parent[x->count] = parent;
	x->index[i] = x->count + 1;
	front_add(&x->next, s, x->count++);
}

static const struct step *step_at(size_t i)
{
	if (i < kernel_step_count)
		return &kernel_steps[i];
	i -= kernel_step_count;
	return i < daemon_step_count ? &daemon_steps[i] : NULL;
}

/* Takes one step from s into m; false if it cannot be taken. */
static bool step_take(struct model *m, const struct state *s, const struct step *step,
		      unsigned int arg)
{
	m->s = *s;
	if (!step->fn(m, arg))
		return false;
	check_always(m);
	return true;
}

static void settle(struct model *m)
{
	struct state before = m->s;

	if (!kernel_is_idle(m))
		return;
	daemon_settle(m);
	check_always(m);
	m->s = before;
}

/* All states that follow s. */
static void search_expand(struct search *x, const struct state *s, uint32_t number)
{
	const struct step *step;

	for (size_t i = 0; (step = step_at(i)) && !x->m.wrong; i++) {
		for (unsigned int arg = 0; arg < step->args && !x->m.wrong; arg++) {
			uint32_t before = x->count;

			if (!step_take(&x->m, s, step, arg))
				continue;
			search_add(x, &x->m.s, number);
			if (x->count > before && !x->m.wrong)
				settle(&x->m);
		}
	}
}

static void search_clear(struct search *x)
{
	for (uint32_t n = 0; n < x->count; n++) {
		uint32_t i = (uint32_t)x->seen[n] & (INDEX_SIZE - 1);

		for (; x->index[i]; i = (i + 1) & (INDEX_SIZE - 1))
			x->index[i] = 0;
	}
	x->count = x->depth = 0;
	x->full = false;
}

static void search_run(struct search *x, const struct config *c)
{
	struct state first;

	search_clear(x);
	x->front.count = x->next.count = 0;
	x->m = (struct model){.c = c};
	kernel_init(&x->m);
	search_add(x, &x->m.s, NO_STATE);
	while (x->next.count && !x->m.wrong && !x->full) {
		struct front done = x->front;

		x->front = x->next;
		x->next = done;
		x->next.count = 0;
		x->depth++;
		for (size_t i = 0; i < x->front.count && !x->m.wrong; i++) {
			first = x->front.at[i];
			search_expand(x, &first, x->front.number[i]);
		}
	}
}

static const char *const sk_names[] = {"CLOSE",	     "SYN_SENT", "SYN_RECV", "ESTABLISHED",
				       "CLOSE_WAIT", "FIN",	 "DEAD"};
static const char *const phase_names[] = {"none", "pending", "active", "stale", "ended"};
static const char *const pc_names[] = {"-",	"reserves", "holds",  "submits",
				       "parks", "unparks",  "stores", "creates"};
static const char *const slot_names[] = {"free", "busy", "discarded", "record", "shown", "accept"};
static const char *const place_names[] = {"-",	   "attach",	  "adopt",  "adopted", "drain",
					  "pass",  "drain after", "parked", "absence", "detach",
					  "claim", "claimed",	  "delete"};

static void print_record(const struct record *r)
{
	printf(" %u.%u v%u %s%s%s%s%s%s", r->sock, r->life, r->version, phase_names[r->phase],
	       r->flags & F_OPENED ? " opened" : "", r->flags & F_ADOPTED ? " adopted" : "",
	       r->flags & F_HANDED ? " handed" : "", r->flags & F_CORRECTS ? " corrects" : "",
	       r->accepted ? " accepted" : "");
}

static void print_state(const struct model *m)
{
	const struct state *s = &m->s;

	for (unsigned int i = 0; i < m->c->sockets; i++) {
		printf("#\t%s", sk_names[s->life[i].sk]);
		if (s->value[i].exists || s->value[i].version) {
			print_record(&s->value[i]);
			printf(" told %u%s%s", s->value[i].told, s->value[i].shown ? " shown" : "",
			       s->value[i].self ? "" : " clone");
		}
		printf("; %s\n", pc_names[s->actor[i].pc]);
	}
	printf("#\taccept %s; daemon %s %u; walk %s; ring", pc_names[s->actor[ACCEPT].pc],
	       place_names[s->d.place], s->d.cursor, pc_names[s->actor[WALK].pc]);
	for (unsigned int i = 0; i < s->slots; i++) {
		printf(" [%s", slot_names[s->ring[i].kind]);
		print_record(&s->ring[i]);
		printf("]");
	}
	for (unsigned int i = 0; i < PARKED_MAX; i++) {
		if (!s->parked[i].kind)
			continue;
		printf(" (parked");
		print_record(&s->parked[i]);
		printf(")");
	}
	printf("; mirror");
	for (unsigned int i = 0; i < IDS; i++) {
		if (s->entry[i].kind)
			printf(" [%u.%u v%u %s%s]", i / LIVES, i % LIVES, s->entry[i].version,
			       phase_names[s->entry[i].phase],
			       s->entry[i].kind == E_TOMBSTONE ? " tombstone"
			       : s->entry[i].touched	       ? " touched"
							       : "");
	}
	printf("\n");
}

static void print_step(const struct step *step, unsigned int arg)
{
	if (step->args == SOCKETS * SK_STATES * 2)
		printf("#  socket %u: %s%s\n", arg / 2 / SK_STATES, sk_names[arg / 2 % SK_STATES],
		       arg & 1 ? ", the program is skipped" : "");
	else
		printf("#  %s(%u)\n", step->name, arg);
}

/* Steps that lead from s to the state of this hash. */
static bool trace_step(struct model *m, struct state *s, uint64_t hash)
{
	const struct step *step;

	for (size_t i = 0; (step = step_at(i)); i++) {
		for (unsigned int arg = 0; arg < step->args; arg++) {
			if (!step_take(m, s, step, arg) || state_hash(&m->s) != hash)
				continue;
			print_step(step, arg);
			*s = m->s;
			print_state(m);
			return true;
		}
	}
	return false;
}

/* From the beginning to the last state added. */
static void print_trace(struct search *x)
{
	uint32_t *path = allocate(x->depth + 1, sizeof(*path)), steps = 0, at = x->count - 1;
	struct model m = {.c = x->m.c};
	struct state s;

	for (; at != NO_STATE && steps <= x->depth; at = x->parent[at])
		path[steps++] = at;
	kernel_init(&m);
	s = m.s;
	for (steps--; steps-- > 0;)
		trace_step(&m, &s, x->seen[path[steps]]);
	free(path);
}

#include "configs.h"

int main(int argc, char **argv)
{
	struct search x = {.seen = allocate(STATES_MAX, sizeof(*x.seen)),
			   .parent = allocate(STATES_MAX, sizeof(*x.parent)),
			   .index = allocate(INDEX_SIZE, sizeof(*x.index))};
	const size_t count = sizeof(configs) / sizeof(configs[0]);
	unsigned int passed = 0, failed = 0;

	setlinebuf(stdout);
	for (size_t i = 0; i < count; i++) {
		const struct config *c = &configs[i];
		struct timespec begun, ended;
		bool ok;

		if (argc > 1 && !strstr(c->name, argv[1]))
			continue;
		clock_gettime(CLOCK_MONOTONIC, &begun);
		search_run(&x, c);
		clock_gettime(CLOCK_MONOTONIC, &ended);
		ok = !x.full && !x.m.wrong == !c->broken;
		passed += ok;
		failed += !ok;
		printf("%sok %u - %s: %" PRIu32 " states, depth %" PRIu32 ", %.1f s%s%s\n",
		       ok ? "" : "not ", passed + failed, c->name, x.count, x.depth,
		       (double)(ended.tv_sec - begun.tv_sec) +
			       (double)(ended.tv_nsec - begun.tv_nsec) / 1e9,
		       x.full || x.m.wrong ? ": " : "",
		       x.full	   ? "too many states"
		       : x.m.wrong ? x.m.wrong
				   : "");
		if (!x.full && x.m.wrong && (!ok || argc > 2))
			print_trace(&x);
	}
	printf("1..%u\n%u passed, %u failed, 0 skipped\n", passed + failed, passed, failed);
	free(x.seen);
	free(x.parent);
	free(x.index);
	return failed || !passed;
}
