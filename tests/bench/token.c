/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Whether the time of auth_accepts() tells how much of a token a guess has right. Guesses of one length that share more or less
 * with a token are timed in turn, in an order drawn anew each round, all from the same memory. In each round a guess is compared
 * with one of its length that has nothing right. The verdict is by the confidence interval of the median of these differences, from
 * order statistics, which assumes nothing of how times are distributed: wholly within what does not matter, wholly beyond, or unclear,
 * as on a busy machine. The same is done with a reader that uses strcmp(): if no guess is told apart then, the method is blind.
 */
#include "token.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "auth.h"
#include "check.h"
#include "figures.h"
#include "sample.h"
#include "util.h"

#define TOKENS 2
#define LENGTH AUTH_TOKEN_MAX /* the longest has the most to tell */
#define HALF (LENGTH / 2)
#define CALLS 32 /* per measurement: the clock's grain is a nanosecond at best */
#define ROUNDS 20000
#define ROUNDS_QUICK 4000
/* Of a normal distribution: 99.99 % lie within. There are six comparisons. */
#define QUANTILE 3.89
/* Part of the whole time: about a nanosecond, in which three of the 64 words of a token are compared. */
#define MATTERS 0.01

enum verdict { SAME, TOLD_APART, UNCLEAR, VERDICTS };

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
	assert_int_equal(auth_parse(&a, "tokens", text, sizeof(text), why, sizeof(why)), 0);
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

static void run_rounds(accepts_fn accepts, const void *set, char headers[GUESSES][LENGTH + 8],
		       unsigned int rounds, double times[GUESSES][ROUNDS])
{
	static char header[LENGTH + 8]; /* one for all: their own ones lie in different cache sets */
	unsigned int order[GUESSES];

	for (unsigned int round = 0; round < rounds; round++) {
		sample_shuffle(order, GUESSES);
		for (size_t i = 0; i < GUESSES; i++) {
			memcpy(header, headers[order[i]], sizeof(header));
			times[order[i]][round] = (double)measure(accepts, set, header) / CALLS;
		}
	}
}

static enum verdict judge(double low, double high, double bar)
{
	if (low > bar || high < -bar)
		return TOLD_APART;
	return low >= -bar && high <= bar ? SAME : UNCLEAR;
}

/* Judges a guess. *worst becomes its difference if that is the greatest so far. */
static enum verdict compare(double times[GUESSES][ROUNDS], unsigned int rounds,
			    const struct guess *g, struct figure *worst)
{
	static double differences[ROUNDS], reference[ROUNDS];
	const double *mine = times[g - guesses];
	double margin = QUANTILE / sqrt(rounds) / 2, low, high;
	struct figure f = *worst;

	memcpy(reference, times[g->reference], rounds * sizeof(reference[0]));
	for (unsigned int i = 0; i < rounds; i++)
		differences[i] = mine[i] - reference[i];
	sample_figure(differences, rounds, &f);
	if (worst->count == 0 || fabs(f.median) > fabs(worst->median))
		*worst = f;
	low = sample_quantile(differences, rounds, 0.5 - margin);
	high = sample_quantile(differences, rounds, 0.5 + margin);
	return judge(low, high, MATTERS * sample_quantile(reference, rounds, 0.5));
}

/* Counts the verdicts. */
static void compare_all(accepts_fn accepts, const void *set, char headers[GUESSES][LENGTH + 8],
			unsigned int rounds, int ret_count[VERDICTS], struct figure *worst)
{
	static double times[GUESSES][ROUNDS];

	run_rounds(accepts, set, headers, rounds, times);
	for (size_t i = 0; i < GUESSES; i++) {
		if (guesses[i].reference != (int)i)
			ret_count[compare(times, rounds, &guesses[i], worst)]++;
	}
}

void token_measure(bool quick)
{
	static char headers[GUESSES][LENGTH + 8];
	static struct set set;
	struct auth *auth;
	int ours[VERDICTS] = {}, control[VERDICTS] = {};
	unsigned int rounds = quick ? ROUNDS_QUICK : ROUNDS;
	struct figure
		unused = {},
		f = {
			.section = "Engine",
			.name = "token check: greatest difference between guesses",
			.unit = "ns",
			.how = "auth_accepts() with 2 tokens of 512 bytes: difference in time between guesses that "
			       "share more or less with a token, the guess with the greatest one. None may be told "
			       "apart with 99.99 % confidence, and strcmp() in its place must be",
		};

	make_tokens(&set);
	auth = make_auth(&set);
	for (size_t i = 0; i < GUESSES; i++) {
		bool right = guesses[i].shared == LENGTH;

		make_header(&set, &guesses[i], headers[i]);
		assert_int_equal(auth_accepts(auth, headers[i]), right);
		assert_int_equal(accepts_by_strcmp(&set, headers[i]), right);
	}
	compare_all(accepts_in_constant_time, auth, headers, rounds, ours, &f);
	compare_all(accepts_by_strcmp, &set, headers, rounds, control, &unused);
	auth_free(auth);
	snprintf(f.note, sizeof(f.note),
		 "%s: of %zu guesses %d told apart, %d unclear; strcmp(): %d told apart",
		 ours[TOLD_APART] || ours[UNCLEAR] || !control[TOLD_APART] ? "NOT MET" : "met",
		 GUESSES - 2, ours[TOLD_APART], ours[UNCLEAR], control[TOLD_APART]);
	figures_add(&f);
}
