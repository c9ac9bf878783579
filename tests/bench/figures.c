/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The table of figures. What a figure is worth is decided here and nowhere else: the median against bar and goal. One
 * that was not measured is shown with the reason. Knows nothing of how anything is measured.
 */
#include "figures.h"

#include <string.h>

#include "check.h"

#define FIGURES_MAX 128
#define ONLY_FULL "full run only"

static struct figure figures[FIGURES_MAX];
static unsigned int figure_count;

void figures_add(const struct figure *f)
{
	assert_true(figure_count < FIGURES_MAX);
	figures[figure_count++] = *f;
}

static bool reaches(const struct figure *f, double limit)
{
	return f->at_least ? f->median >= limit : f->median <= limit;
}

static const char *verdict(const struct figure *f)
{
	if (f->count == 0)
		return "not measured: ";
	if (f->bar != 0 && !reaches(f, f->bar))
		return "NOT MET";
	if (f->goal != 0 && reaches(f, f->goal))
		return "goal met";
	return f->bar != 0 ? "met" : "";
}

unsigned int figures_not_met(void)
{
	unsigned int count = 0;

	for (unsigned int i = 0; i < figure_count; i++)
		count += strcmp(verdict(&figures[i]), "NOT MET") == 0;
	return count;
}

unsigned int figures_not_measured(void)
{
	unsigned int count = 0;

	for (unsigned int i = 0; i < figure_count; i++)
		count += figures[i].count == 0 &&
			 strncmp(figures[i].note, ONLY_FULL, strlen(ONLY_FULL)) != 0;
	return count;
}

/* Three digits of a ratio; else as many as four that count, and whole numbers from 1,000 on. */
static void number(const struct figure *f, double value, char text[32])
{
	if (strcmp(f->unit, "x") == 0)
		snprintf(text, 32, "%.3f", value);
	else
		snprintf(text, 32, value >= 1000 || value <= -1000 ? "%.0f" : "%.4g", value);
}

static void limit(const struct figure *f, double value, char text[32])
{
	if (value == 0)
		snprintf(text, 32, "–");
	else
		snprintf(text, 32, "%s%g", f->at_least ? "≥" : "≤", value);
}

static void print_row(FILE *to, const struct figure *f)
{
	char bar[32], goal[32], median[32] = "", lower[32], upper[32], quartiles[80] = "";
	const char *word = verdict(f);

	limit(f, f->bar, bar);
	limit(f, f->goal, goal);
	if (f->count > 0)
		number(f, f->median, median);
	if (f->count > 1) {
		number(f, f->lower, lower);
		number(f, f->upper, upper);
		snprintf(quartiles, sizeof(quartiles), "%s to %s", lower, upper);
	}
	fprintf(to, "| %-52s | %-9s | %-9s | %9s | %-4s | %-18s | %5u | %s%s%s |\n", f->name, bar,
		goal, median, f->unit, quartiles, f->count, word,
		f->count && word[0] && f->note[0] ? "; " : "", f->note);
}

/* Whether a figure before this one has opened its section. */
static bool has_section(const struct figure *f)
{
	for (const struct figure *g = figures; g < f; g++)
		if (strcmp(g->section, f->section) == 0)
			return true;
	return false;
}

/* As the figure before it. */
static bool says_the_same(const struct figure *f)
{
	return f > figures && strcmp(f->how, f[-1].how) == 0;
}

static void print_how(FILE *to, const struct figure *f)
{
	fprintf(to, "- **%s**", f->name);
	for (const struct figure *g = f + 1; g < figures + figure_count && says_the_same(g); g++)
		fprintf(to, ", **%s**", g->name);
	fprintf(to, ": %s.\n", f->how);
}

static void print_section(FILE *to, const char *section, bool explain)
{
	fprintf(to, "\n## %s\n\n", section);
	fprintf(to, "| %-52s | %-7s | %-7s | %9s | %-4s | %-18s | %5s | verdict |\n", "figure",
		"bar", "goal", "measured", "unit", "quartiles", "times");
	fprintf(to, "| --- | --- | --- | ---: | --- | --- | ---: | --- |\n");
	for (unsigned int i = 0; i < figure_count; i++)
		if (strcmp(figures[i].section, section) == 0)
			print_row(to, &figures[i]);
	if (!explain)
		return;
	fprintf(to, "\n");
	for (unsigned int i = 0; i < figure_count; i++)
		if (strcmp(figures[i].section, section) == 0 && !says_the_same(&figures[i]))
			print_how(to, &figures[i]);
}

void figures_print(FILE *to, bool explain)
{
	for (unsigned int i = 0; i < figure_count; i++)
		if (!has_section(&figures[i]))
			print_section(to, figures[i].section, explain);
}
