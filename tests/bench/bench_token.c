/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Whether the time of auth_accepts() tells how much of a token a guess has right. Guesses of one length that share more or less
 * with a token are timed in turn, in an order drawn anew each round, all from the same memory. In each round a guess is compared
 * with one of its length that has nothing right. Shown are the median of these differences, its confidence interval from order
 * statistics, which assumes nothing of how times are distributed, and, since others show it, Welch's t of the times without
 * their slowest tenth. The verdict is by the interval: wholly within what does not matter, wholly beyond, or unclear, as on a busy
 * machine. The same is done with a reader that uses strcmp(): if no guess is told apart then, the method is blind.
 */
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "auth.h"
#include "util.h"

#define TOKENS 2
#define LENGTH AUTH_TOKEN_MAX /* the longest has the most to tell */
#define HALF (LENGTH / 2)
#define CALLS 32 /* per measurement: the clock's grain is a nanosecond at best */
#define ROUNDS 20000
/* Of a normal distribution: 99.99 % lie within. There are six comparisons. */
#define QUANTILE 3.89
/* Part of the whole time: about a nanosecond, in which three of the 64 words of a token are compared. */
#define MATTERS 0.01

enum verdict { SAME, TOLD_APART, UNCLEAR, VERDICTS };

static const char *const verdict_text[] = {"the same", "told apart", "unclear"};

typedef bool (*accepts_fn)(const void *set, const char *header);

static const struct guess {
	const char *name;
	size_t length, shared; /* bytes; shared: from the beginning */
	int token; /* which one it is made of */
	int reference; /* the guess it is compared with; itself: it is one */
} guesses[] = {
	{"512 bytes, none right", LENGTH, 0, 0, 0},
	{"512 bytes, 1 right", LENGTH, 1, 0, 0},
	{"512 bytes, half right", LENGTH, HALF, 0, 0},
	{"512 bytes, all but one right", LENGTH, LENGTH - 1, 0, 0},
	{"the first token", LENGTH, LENGTH, 0, 0},
	{"the last token", LENGTH, LENGTH, TOKENS - 1, 0},
	{"256 bytes, none right", HALF, 0, 0, 6},
	{"256 bytes, all right", HALF, HALF, 0, 6},
};

#define GUESSES ARRAY_SIZE(guesses)

struct set {
	char tokens[TOKENS][LENGTH + 1];
};

static uint64_t seed = 88172645463325252ULL;

static uint64_t next_random(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

static bool accepts_in_constant_time(const void *set, const char *header)
{
	return auth_accepts(set, header);
}

/* What one would write without thinking of time. */
static bool accepts_by_strcmp(const void *set, const char *header)
{
	const struct set *s = set;

	for (int i = 0; i < TOKENS; i++) {
		if (strcmp(header + strlen("Bearer "), s->tokens[i]) == 0)
			return true;
	}
	return false;
}

static void make_tokens(struct set *s)
{
	for (int i = 0; i < TOKENS; i++) {
		for (int j = 0; j < LENGTH; j++)
			s->tokens[i][j] = (char)(0x24 + next_random() % 0x5a); /* no '#' */
	}
}

static struct auth *make_auth(const struct set *s)
{
	static char text[TOKENS * (LENGTH + 1)];
	struct auth *a = NULL;
	char why[160];

	for (int i = 0; i < TOKENS; i++) {
		memcpy(text + i * (LENGTH + 1), s->tokens[i], LENGTH);
		text[i * (LENGTH + 1) + LENGTH] = '\n';
	}
	if (auth_parse(&a, "tokens", text, sizeof(text), why, sizeof(why))) {
		fprintf(stderr, "%s\n", why);
		exit(1);
	}
	return a;
}

static void make_header(const struct set *s, const struct guess *g, char *ret)
{
	char *token = ret + sprintf(ret, "Bearer ");

	memcpy(token, s->tokens[g->token], g->length);
	token[g->length] = '\0';
	for (size_t i = g->shared; i < g->length; i++)
		token[i] = token[i] == 'x' ? 'y' : 'x';
}

/* Nanoseconds of CALLS calls; `header` has been used a moment ago. */
static uint64_t measure(accepts_fn accepts, const void *set, const char *header)
{
	static volatile unsigned int accepted;
	unsigned int n = accepts(set, header);
	uint64_t start = util_now_ns();

	for (int i = 0; i < CALLS; i++)
		n += accepts(set, header);
	start = util_now_ns() - start;
	accepted = n;
	(void)accepted;
	return start;
}

static void shuffle(size_t order[GUESSES])
{
	for (size_t i = 0; i < GUESSES; i++)
		order[i] = i;
	for (size_t i = GUESSES - 1; i > 0; i--) {
		size_t j = next_random() % (i + 1), other = order[j];

		order[j] = order[i];
		order[i] = other;
	}
}

static void run_rounds(accepts_fn accepts, const void *set, char headers[GUESSES][LENGTH + 8],
		       double times[GUESSES][ROUNDS])
{
	static char header[LENGTH + 8]; /* one for all: their own ones lie in different cache sets */
	size_t order[GUESSES];

	for (int round = 0; round < ROUNDS; round++) {
		shuffle(order);
		for (size_t i = 0; i < GUESSES; i++) {
			memcpy(header, headers[order[i]], sizeof(header));
			times[order[i]][round] = (double)measure(accepts, set, header) / CALLS;
		}
	}
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

struct sample {
	double sorted[ROUNDS];
};

static double median(const struct sample *s)
{
	return (s->sorted[(ROUNDS - 1) / 2] + s->sorted[ROUNDS / 2]) / 2;
}

static void sample_sort(struct sample *s)
{
	qsort(s->sorted, ROUNDS, sizeof(s->sorted[0]), by_value);
}

static void mean_and_variance(const struct sample *s, size_t n, double *ret_mean, double *ret_var)
{
	double sum = 0, squares = 0;

	for (size_t i = 0; i < n; i++)
		sum += s->sorted[i];
	for (size_t i = 0; i < n; i++)
		squares += (s->sorted[i] - sum / (double)n) * (s->sorted[i] - sum / (double)n);
	*ret_mean = sum / (double)n;
	*ret_var = squares / (double)(n - 1);
}

static double welch_t(const struct sample *a, const struct sample *b)
{
	size_t n = ROUNDS - ROUNDS / 10;
	double mean_a, var_a, mean_b, var_b;

	mean_and_variance(a, n, &mean_a, &var_a);
	mean_and_variance(b, n, &mean_b, &var_b);
	return (mean_a - mean_b) / sqrt((var_a + var_b) / (double)n);
}

static enum verdict judge(double low, double high, double bar)
{
	if (low > bar || high < -bar)
		return TOLD_APART;
	return low >= -bar && high <= bar ? SAME : UNCLEAR;
}

/* Prints a row, and judges it. */
static enum verdict compare(double times[GUESSES][ROUNDS], const struct guess *g)
{
	static struct sample own, reference, differences;
	const double *mine = times[g - guesses], *theirs = times[g->reference];
	size_t margin = (size_t)ceil(QUANTILE * sqrt(ROUNDS) / 2);
	double low, high;
	enum verdict v;

	memcpy(own.sorted, mine, sizeof(own.sorted));
	memcpy(reference.sorted, theirs, sizeof(reference.sorted));
	for (int i = 0; i < ROUNDS; i++)
		differences.sorted[i] = mine[i] - theirs[i];
	sample_sort(&own);
	sample_sort(&reference);
	sample_sort(&differences);
	low = differences.sorted[ROUNDS / 2 - margin];
	high = differences.sorted[ROUNDS / 2 + margin];
	v = judge(low, high, MATTERS * median(&reference));
	printf("  %-30s %9.2f ns  %+8.3f ns [%+8.3f, %+8.3f]  t %+8.1f  %s\n", g->name,
	       median(&own), median(&differences), low, high, welch_t(&own, &reference),
	       verdict_text[v]);
	return v;
}

/* Counts the verdicts. */
static void bench(const char *name, accepts_fn accepts, const void *set,
		  char headers[GUESSES][LENGTH + 8], int ret_count[VERDICTS])
{
	static double times[GUESSES][ROUNDS];

	printf("%s\n  %-30s %12s  %11s [99.99 %% interval]\n", name, "", "median", "difference");
	run_rounds(accepts, set, headers, times);
	for (size_t i = 0; i < GUESSES; i++) {
		if (guesses[i].reference != (int)i)
			ret_count[compare(times, &guesses[i])]++;
	}
}

int main(void)
{
	static char headers[GUESSES][LENGTH + 8];
	static struct set set;
	struct auth *auth;
	int ours[VERDICTS] = {}, control[VERDICTS] = {};

	make_tokens(&set);
	auth = make_auth(&set);
	for (size_t i = 0; i < GUESSES; i++) {
		bool right = guesses[i].shared == LENGTH;

		make_header(&set, &guesses[i], headers[i]);
		if (auth_accepts(auth, headers[i]) != right ||
		    accepts_by_strcmp(&set, headers[i]) != right) {
			fprintf(stderr, "%s: wrongly judged\n", guesses[i].name);
			return 1;
		}
	}
	bench("auth_accepts(), 2 tokens of 512 bytes", accepts_in_constant_time, auth, headers,
	      ours);
	bench("control: strcmp()", accepts_by_strcmp, &set, headers, control);
	auth_free(auth);
	printf("auth_accepts(): %d of %zu guesses told apart, %d unclear; control: %d told apart%s\n",
	       ours[TOLD_APART], GUESSES - 2, ours[UNCLEAR], control[TOLD_APART],
	       control[TOLD_APART] ? "" : ": the method is blind");
	return ours[TOLD_APART] || ours[UNCLEAR] || !control[TOLD_APART] ? 1 : 0;
}
