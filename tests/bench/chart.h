/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * A chart of ratios to 1, as SVG.
 */
#ifndef CHART_H
#define CHART_H

/* `whole` is the length of the bar, `part` how much of it is dark; the whisker belongs to whole. */
struct chart_bar {
	const char *label;
	double part, whole, lower, upper;
};

/* 0 or -errno. Texts are plain: no '<' and no '&'. */
int chart_write(const char *path, const char *title, const char *part, const char *whole,
		const struct chart_bar *bars, unsigned int count);

#endif
