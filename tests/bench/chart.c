/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Draws horizontal bars that begin at 1, the cost of nothing, on a linear axis. The file needs nothing else, its text is
 * text, and its colours follow the reader's light or dark page. Knows nothing of what the bars are.
 */
#include "chart.h"

#include <errno.h>
#include <stdio.h>

#define WIDTH 860
#define LEFT 220 /* room for the labels */
#define RIGHT 800
#define TOP 84
#define ROW 30
#define BAR 16
#define STEPS_MAX 12

static const char style[] =
	"<style>text{font:13px sans-serif;fill:#1f2328}.title{font-weight:bold;font-size:15px}"
	".grid{stroke:#d0d7de}.part{fill:#0a5fc2}.whole{fill:#8fc1f8}.whisker{stroke:#1f2328}"
	"@media(prefers-color-scheme:dark){text{fill:#e6edf3}.grid{stroke:#3d444d}"
	".part{fill:#4c9dff}.whole{fill:#1f4a80}.whisker{stroke:#e6edf3}}</style>\n";

struct scale {
	double low, high, step;
};

/* A step of 1, 2 or 5 of some power of ten, so that there are at most twelve. */
static struct scale scale_of(const struct chart_bar *bars, unsigned int count)
{
	static const double factors[] = {2, 2.5, 2};
	struct scale s = {.low = 1, .high = 1, .step = 0.01};

	for (unsigned int i = 0; i < count; i++) {
		s.low = bars[i].lower < s.low ? bars[i].lower : s.low;
		s.high = bars[i].upper > s.high ? bars[i].upper : s.high;
		s.high = bars[i].whole > s.high ? bars[i].whole : s.high;
	}
	for (int i = 0; (s.high - s.low) / s.step > STEPS_MAX; i++)
		s.step *= factors[i % 3];
	for (double low = 1; low > s.low; low -= s.step)
		s.low = low - s.step < s.low ? low - s.step : s.low;
	return s;
}

static double x_of(const struct scale *s, double value)
{
	return LEFT + (RIGHT - LEFT) * (value - s->low) / (s->high - s->low);
}

static void draw_rectangle(FILE *f, const struct scale *s, const char *class, double from,
			   double to, double y)
{
	double x = x_of(s, from < to ? from : to), end = x_of(s, from < to ? to : from);

	fprintf(f, "<rect class=\"%s\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%d\"/>\n",
		class, x, y, end - x, BAR);
}

static void draw_bar(FILE *f, const struct scale *s, const struct chart_bar *b, double y)
{
	double low = x_of(s, b->lower), high = x_of(s, b->upper), middle = y + BAR / 2.0;

	fprintf(f, "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%s</text>\n", LEFT - 10, y + 13,
		b->label);
	draw_rectangle(f, s, "whole", 1, b->whole, y);
	draw_rectangle(f, s, "part", 1, b->part, y);
	fprintf(f,
		"<path class=\"whisker\" fill=\"none\" d=\"M%.1f %.1fH%.1fM%.1f %.1fv8M%.1f %.1fv8\"/>\n",
		low, middle, high, low, middle - 4, high, middle - 4);
	fprintf(f, "<text x=\"%.1f\" y=\"%.1f\">%.2f</text>\n",
		(high > x_of(s, b->whole) ? high : x_of(s, b->whole)) + 6, y + 13, b->whole);
}

static void draw_axis(FILE *f, const struct scale *s, double bottom)
{
	for (int i = 0; s->low + i * s->step <= s->high + s->step / 2; i++) {
		double value = s->low + i * s->step;

		fprintf(f, "<line class=\"grid\" x1=\"%.1f\" y1=\"%d\" x2=\"%.1f\" y2=\"%.1f\"/>\n",
			x_of(s, value), TOP - 8, x_of(s, value), bottom);
		fprintf(f, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">%.2f</text>\n",
			x_of(s, value), bottom + 16, value);
	}
	fprintf(f, "<text x=\"%d\" y=\"%.1f\" text-anchor=\"middle\">", (LEFT + RIGHT) / 2,
		bottom + 36);
	fprintf(f,
		"CPU per connection, 1 is with nothing attached (median; whiskers: quartiles)</text>\n");
}

static void draw_legend(FILE *f, const char *part, const char *whole)
{
	fprintf(f, "<rect class=\"part\" x=\"%d\" y=\"38\" width=\"16\" height=\"16\"/>\n", LEFT);
	fprintf(f, "<text x=\"%d\" y=\"51\">%s</text>\n", LEFT + 22, part);
	fprintf(f, "<rect class=\"whole\" x=\"%d\" y=\"38\" width=\"16\" height=\"16\"/>\n",
		LEFT + 240);
	fprintf(f, "<text x=\"%d\" y=\"51\">%s</text>\n", LEFT + 262, whole);
}

int chart_write(const char *path, const char *title, const char *part, const char *whole,
		const struct chart_bar *bars, unsigned int count)
{
	struct scale s = scale_of(bars, count);
	double bottom = TOP + (double)count * ROW;
	FILE *f = fopen(path, "we");

	if (!f)
		return -errno;
	fprintf(f, "<!-- SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only -->\n");
	fprintf(f, "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %.0f\">\n", WIDTH,
		bottom + 50);
	fprintf(f, "<title>%s</title>\n%s", title, style);
	fprintf(f, "<text class=\"title\" x=\"10\" y=\"24\">%s</text>\n", title);
	draw_legend(f, part, whole);
	draw_axis(f, &s, bottom);
	for (unsigned int i = 0; i < count; i++)
		draw_bar(f, &s, &bars[i], TOP + (double)i * ROW);
	fprintf(f, "</svg>\n");
	return fclose(f) == 0 ? 0 : -errno;
}
