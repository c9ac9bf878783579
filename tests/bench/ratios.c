/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * CPU of a traced program under every condition, against the same with nothing attached. A round measures each workload under each
 * of its conditions once, by chance in which order; a ratio is the median over the rounds of what was measured against
 * nothing in the same round, so that a slow minute of the machine slows both: where nothing was compared with itself in 22
 * rounds on a busy machine, that erred half as much as the ratio of the medians did. Nothing is measured twice in each round (A/A): how far that
 * ratio is from 1 is what all the others may be wrong by. The program that is measured runs anew for each measurement.
 */
#include "ratios.h"

#include <string.h>

#include "chart.h"
#include "check.h"
#include "condition.h"
#include "crowd.h"
#include "sample.h"
#include "workload.h"

#define SECTION "Traced program"
#define CHART "build/bench/chart.svg"
#define ROUNDS_FULL 22
#define ROUNDS_QUICK 5
#define SECONDS_FULL 320
#define SECONDS_QUICK 22
#define POLL_SECONDS 1

#define ROUNDS_IDLE 5
#define SECONDS_IDLE 24
#define IDLE_HOLDERS 8 /* of 12,500 descriptors each, at most */
#define IDLE_PEERS 10

static const struct plan {
	const char *name;
	int units_full, units_quick, warm_up;
	unsigned int conditions, conditions_quick; /* sets of enum condition */
} plans[WORKLOADS] = {
	[STORM] = {"storm", 5000, 3000, 1000, (1U << CONDITIONS) - 1,
		   1U << NOTHING | 1U << NOTHING_AGAIN | 1U << EMPTY | 1U << ELSEWHERE |
			   1U << BOTH | 1U << TCPLIFE | 1U << BPFTRACE},
	[KEEP_ALIVE] = {"keep-alive", 15000, 10000, 1000,
			1U << NOTHING | 1U << NOTHING_AGAIN | 1U << BOTH | 1U << BOTH_OFF,
			1U << NOTHING | 1U << NOTHING_AGAIN | 1U << BOTH},
	[GETPPID] = {"getppid", 1200000, 500000, 100000,
		     1U << NOTHING | 1U << NOTHING_AGAIN | 1U << ELSEWHERE | 1U << ELSEWHERE_OFF,
		     1U << NOTHING | 1U << NOTHING_AGAIN | 1U << ELSEWHERE_OFF},
	[BESIDE_10000] = {"beside 10,000 idle", 5000, 0, 1000,
			  1U << NOTHING | 1U << NOTHING_AGAIN | 1U << ELSEWHERE | 1U << BOTH, 0},
	[BESIDE_100000] = {"beside 100,000 idle", 5000, 0, 1000,
			   1U << NOTHING | 1U << NOTHING_AGAIN | 1U << ELSEWHERE | 1U << BOTH, 0},
};

/* ns of CPU per unit, of the program and of it together with what traces it. */
struct cost {
	double traced, whole;
};

static struct cost costs[WORKLOADS][CONDITIONS][ROUNDS_FULL];
static unsigned int rounds[WORKLOADS];
static struct {
	double happened, seen; /* ends of connections; one that tells of none has none */
	char why[160]; /* it cannot be measured here */
} heard[WORKLOADS][CONDITIONS];

/* ---- measuring ---- */

/* What polls once per second polls once in a measurement, which takes a second then. */
static int work(struct setting *s, struct load *l, int units)
{
	bool polls = condition_polls(s->condition);
	double end = now_seconds() + POLL_SECONDS;
	int done = 0;

	do {
		workload_begin(l, units);
		if (polls && done == 0)
			condition_poll(s);
		workload_finish(l);
		done += units;
	} while (polls && now_seconds() < end);
	return done;
}

static struct cost measure(struct setting *s, struct load *l, const struct plan *plan, bool quick,
			   long *ret_units)
{
	bool storm = l->workload == STORM; /* the only one that makes work for who traces */
	uint64_t tool, traced;
	int units;

	workload_begin(l, plan->warm_up);
	workload_finish(l);
	tool = storm ? condition_cpu_ns(s) : 0;
	traced = workload_cpu_ns(l);
	units = work(s, l, quick ? plan->units_quick : plan->units_full);
	traced = workload_cpu_ns(l) - traced;
	tool = storm ? condition_cpu_ns(s) - tool : 0;
	*ret_units = plan->warm_up + units;
	return (struct cost){.traced = (double)traced / units,
			     .whole = (double)(traced + tool) / units};
}

static void measure_one(enum workload w, enum condition c, bool quick, pid_t beside)
{
	static unsigned int number;
	struct setting s;
	struct load l;
	long units, seen;

	workload_start(&l, w, number++);
	l.beside = beside;
	if (condition_start(&s, c, &l) == 0) {
		costs[w][c][rounds[w]] = measure(&s, &l, &plans[w], quick, &units);
		seen = condition_stop(&s, &l);
		if (seen >= 0 && w == STORM) {
			heard[w][c].happened += 2 * (double)units;
			heard[w][c].seen += (double)seen;
		}
	} else {
		memcpy(heard[w][c].why, s.why, sizeof(s.why));
	}
	workload_end(&l);
}

static bool wanted(enum workload w, enum condition c, bool quick)
{
	unsigned int set = quick ? plans[w].conditions_quick : plans[w].conditions;

	return (set >> c & 1) && !heard[w][c].why[0];
}

static void measure_round(enum workload w, bool quick, pid_t beside)
{
	unsigned int order[CONDITIONS];

	sample_shuffle(order, CONDITIONS);
	for (unsigned int i = 0; i < CONDITIONS; i++)
		if (wanted(w, order[i], quick))
			measure_one(w, order[i], quick, beside);
	rounds[w]++;
}

/* Rounds of the workloads from `first` to `last`, while there is time for another. */
static void measure_rounds(enum workload first, enum workload last, bool quick, unsigned int most,
			   double seconds, pid_t beside)
{
	double begin = now_seconds(), longest = 0, start;

	while (rounds[first] < most && now_seconds() - begin + longest < seconds) {
		start = now_seconds();
		fprintf(stderr, "%s: round %u of %u, %.0f s of %.0f s\n", plans[first].name,
			rounds[first] + 1, most, start - begin, seconds);
		for (enum workload w = first; w <= last; w++)
			measure_round(w, quick, beside);
		if (now_seconds() - start > longest)
			longest = now_seconds() - start;
	}
}

static void measure_idle(enum workload w, int connections)
{
	struct crowd crowd;

	crowd_start(&crowd, IDLE_HOLDERS, IDLE_PEERS);
	crowd_grow(&crowd, connections);
	measure_rounds(w, w, false, ROUNDS_IDLE, SECONDS_IDLE, crowd.root.pid);
	crowd_end(&crowd);
}

/* ---- what it comes to ---- */

#define SUM \
	"user and system CPU time of a process that connects to itself, accepts and closes on loopback, per connection, "
#define PER_NOTHING \
	SUM "divided by the same with nothing attached in the same round; median over the rounds"
#define WHOLE \
	"the CPU time of the tracing program's own process is added to the traced program's, per connection, against nothing attached"
#define FEATURES "the same with --probe-stats, --record, a selector, and a scrape once per second"
#define SCRIPT "the same with tests/bench/tcplife.bt on the tracepoint sock:inet_sock_set_state"
#define POLLED \
	"the same; ss lists what the storms have left in TIME_WAIT, too: at most net.ipv4.tcp_max_tw_buckets"
#define EXCHANGE \
	"64 bytes there and back over 64 connections in turn, both ends in one process: its CPU time per exchange, against nothing attached"
#define GETPPID_LOOP \
	"CPU time of a process that calls getppid() and nothing else and is not attached, against nothing attached"
#define IDLE \
	"the storm, while other processes hold so many open connections (each end counts), against nothing attached beside the same"
#define OVERHEAD \
	"what poolscope adds, attached to both ends as by default, divided by what the other adds, in the same round; its own process is part of what either adds"
#define OVERHEAD_TRACED \
	"the same without the CPU time of the two tracing processes: what the traced program alone pays"

static const struct row {
	const char *name;
	enum workload workload;
	enum condition condition,
		peer; /* peer NOTHING: a ratio; else what it adds against what the peer adds */
	bool whole;
	double bar, goal;
	const char *how;
} rows[] = {
	{"storm, nothing attached, again (A/A)", STORM, NOTHING_AGAIN, .how = PER_NOTHING},
	{"storm, an empty program attached", STORM, EMPTY, .how = PER_NOTHING},
	{"storm, attached elsewhere", STORM, ELSEWHERE, .bar = 1.05, .goal = 1.02,
	 .how = PER_NOTHING},
	{"storm, elsewhere, no accept probe", STORM, ELSEWHERE_OFF, .how = PER_NOTHING},
	{"storm, both ends attached", STORM, BOTH, .bar = 1.15, .goal = 1.06, .how = PER_NOTHING},
	{"storm, both ends, accept fallback", STORM, BOTH_SYSCALL, .how = PER_NOTHING},
	{"storm, both ends, no accept probe", STORM, BOTH_OFF, .how = PER_NOTHING},
	{"storm, tcplife of libbpf-tools", STORM, TCPLIFE, .how = PER_NOTHING},
	{"storm, both ends, all features on", STORM, EVERYTHING, .how = FEATURES},
	{"storm, tcplife in bpftrace", STORM, BPFTRACE, .how = SCRIPT},
	{"storm, ss -tan once per second", STORM, SS, .how = POLLED},
	{"storm, both ends attached, with the daemon", STORM, BOTH, .whole = true, .how = WHOLE},
	{"storm, tcplife of libbpf-tools, with its process", STORM, TCPLIFE, .whole = true,
	 .how = WHOLE},
	{"storm, all features on, with the daemon", STORM, EVERYTHING, .whole = true,
	 .how = FEATURES},
	{"storm, tcplife in bpftrace, with its process", STORM, BPFTRACE, .whole = true,
	 .how = SCRIPT},
	{"storm, ss -tan once per second, with its process", STORM, SS, .whole = true,
	 .how = POLLED},
	{"overhead against tcplife of libbpf-tools", STORM, BOTH, TCPLIFE, true, 0.125, 0.05,
	 OVERHEAD},
	{"overhead against tcplife in bpftrace", STORM, BOTH, BPFTRACE, true, 0.125, 0.05,
	 OVERHEAD},
	{"... tcplife of libbpf-tools, traced program only", STORM, BOTH, TCPLIFE,
	 .how = OVERHEAD_TRACED},
	{"... tcplife in bpftrace, traced program only", STORM, BOTH, BPFTRACE,
	 .how = OVERHEAD_TRACED},
	{"keep-alive, nothing attached, again (A/A)", KEEP_ALIVE, NOTHING_AGAIN, .how = EXCHANGE},
	{"keep-alive, both ends attached", KEEP_ALIVE, BOTH, .bar = 1.02, .goal = 1.00,
	 .how = EXCHANGE},
	{"keep-alive, both ends, no accept probe", KEEP_ALIVE, BOTH_OFF, .how = EXCHANGE},
	{"getppid, nothing attached, again (A/A)", GETPPID, NOTHING_AGAIN, .how = GETPPID_LOOP},
	{"getppid, elsewhere, no accept probe", GETPPID, ELSEWHERE_OFF, .bar = 1.01,
	 .how = GETPPID_LOOP},
	{"getppid, attached elsewhere", GETPPID, ELSEWHERE, .how = GETPPID_LOOP},
	{"storm beside 10,000 idle, nothing, again (A/A)", BESIDE_10000, NOTHING_AGAIN,
	 .how = IDLE},
	{"storm beside 10,000 idle, the idle attached", BESIDE_10000, ELSEWHERE, .how = IDLE},
	{"storm beside 10,000 idle, all attached", BESIDE_10000, BOTH, .how = IDLE},
	{"storm beside 100,000 idle, nothing, again (A/A)", BESIDE_100000, NOTHING_AGAIN,
	 .how = IDLE},
	{"storm beside 100,000 idle, the idle attached", BESIDE_100000, ELSEWHERE, .how = IDLE},
	{"storm beside 100,000 idle, all attached", BESIDE_100000, BOTH, .how = IDLE},
};

static double cost_of(const struct cost *c, bool whole)
{
	return whole ? c->whole : c->traced;
}

static double row_value(const struct row *row, unsigned int round)
{
	double nothing = costs[row->workload][NOTHING][round].traced;
	double cost = cost_of(&costs[row->workload][row->condition][round], row->whole);
	double peer = cost_of(&costs[row->workload][row->peer][round], row->whole);

	return row->peer == NOTHING ? cost / nothing : (cost - nothing) / (peer - nothing);
}

/* Why this condition has no numbers, or NULL. */
static const char *missing(const struct row *row, enum condition c, bool quick)
{
	if (heard[row->workload][c].why[0])
		return heard[row->workload][c].why;
	if (wanted(row->workload, c, quick))
		return rounds[row->workload] ? NULL : "no time for a round";
	return "full run only";
}

/* What a tracer has lost is part of its figure. */
static void note_losses(const struct row *row, struct figure *f)
{
	enum condition c = row->peer == NOTHING ? row->condition : row->peer;
	double happened = heard[row->workload][c].happened, seen = heard[row->workload][c].seen;

	if (happened > 0 && seen < happened)
		snprintf(f->note, sizeof(f->note), "%s told of %.1f %% of the ends of connections",
			 condition_name(c), 100 * seen / happened);
}

static void row_figure(const struct row *row, bool quick, struct figure *ret)
{
	const char *why = missing(row, row->condition, quick);
	double values[ROUNDS_FULL];

	*ret = (struct figure){.section = SECTION,
			       .name = row->name,
			       .unit = "x",
			       .bar = row->bar,
			       .goal = row->goal,
			       .how = row->how};
	why = why ? why : missing(row, row->peer, quick);
	if (why) {
		snprintf(ret->note, sizeof(ret->note), "%s", why);
		return;
	}
	for (unsigned int i = 0; i < rounds[row->workload]; i++)
		values[i] = row_value(row, i);
	sample_figure(values, rounds[row->workload], ret);
	note_losses(row, ret);
}

/* What the ratios are ratios of. */
static void add_base(enum workload w, const char *name, const char *how)
{
	struct figure f = {.section = SECTION, .name = name, .unit = "ns", .how = how};
	double values[ROUNDS_FULL];

	for (unsigned int i = 0; i < rounds[w]; i++)
		values[i] = costs[w][NOTHING][i].traced;
	sample_figure(values, rounds[w], &f);
	if (workload_irq_time())
		snprintf(f.note, sizeof(f.note), "softirq time of the whole machine included");
	figures_add(&f);
}

static int draw(bool quick)
{
	struct chart_bar bars[CONDITIONS];
	unsigned int count = 0;

	for (enum condition c = NOTHING_AGAIN; c < CONDITIONS; c++) {
		struct figure part, whole;

		row_figure(&(struct row){.workload = STORM, .condition = c}, quick, &part);
		row_figure(&(struct row){.workload = STORM, .condition = c, .whole = true}, quick,
			   &whole);
		if (whole.count)
			bars[count++] = (struct chart_bar){condition_name(c), part.median,
							   whole.median, whole.lower, whole.upper};
	}
	return chart_write(CHART, "What a connect, accept, close storm costs",
			   "in the traced program", "with the tracing process", bars, count);
}

int ratios_measure(bool quick)
{
	unsigned int not_measured = figures_not_measured();
	struct figure f;

	measure_rounds(STORM, GETPPID, quick, quick ? ROUNDS_QUICK : ROUNDS_FULL,
		       quick ? SECONDS_QUICK : SECONDS_FULL, 0);
	if (!quick) {
		measure_idle(BESIDE_10000, 10000);
		measure_idle(BESIDE_100000, 100000);
	}
	add_base(STORM, "storm, nothing attached", SUM "with nothing attached");
	add_base(KEEP_ALIVE, "keep-alive, nothing attached", EXCHANGE);
	add_base(GETPPID, "getppid, nothing attached", GETPPID_LOOP);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		row_figure(&rows[i], quick, &f);
		figures_add(&f);
	}
	if (draw(quick) < 0)
		fprintf(stderr, "%s cannot be written\n", CHART);
	return figures_not_measured() == not_measured ? 0 : -1;
}
