// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * Which accept program is loaded: what the operator demands, or the best that the machine has. Invariant: what was demanded runs, or the start
 * fails. Refuses to know how programs are loaded.
 */
#include "choice.h"

#include <stdio.h>

#include "log.h"

enum exit_code choice_of_accept(const struct options *options, const struct support *support,
				struct probes_config *config, char *why, size_t why_size)
{
	const struct feature *fexit = &support->of[FEATURE_FEXIT],
			     *tracefs = &support->of[FEATURE_TRACEFS];
	bool want_fexit = options->accept_probe == ACCEPT_PROBE_AUTO ||
			  options->accept_probe == ACCEPT_PROBE_FEXIT;
	bool want_syscall = options->accept_probe == ACCEPT_PROBE_AUTO ||
			    options->accept_probe == ACCEPT_PROBE_SYSCALL;

	if (want_fexit && fexit->present) {
		config->fexit_args = support->accept_args;
		return EXIT_OK;
	}
	if (options->accept_probe == ACCEPT_PROBE_FEXIT) {
		snprintf(why, why_size, "--accept-probe=fexit: %s; try --accept-probe=auto",
			 fexit->detail);
		return EXIT_KERNEL;
	}
	config->accept_syscall = want_syscall && tracefs->present;
	if (options->accept_probe == ACCEPT_PROBE_SYSCALL && !tracefs->present) {
		snprintf(why, why_size, "--accept-probe=syscall: %s", tracefs->detail);
		return EXIT_KERNEL;
	}
	return EXIT_OK;
}

enum exit_code choice_check_accept(const struct probes *probes, const struct options *options,
				   const struct support *support, char *why, size_t why_size)
{
	if (options->accept_probe == ACCEPT_PROBE_OFF || probes_see_accept(probes))
		return EXIT_OK;
	if (options->accept_probe != ACCEPT_PROBE_AUTO) {
		snprintf(
			why, why_size,
			"--accept-probe: the kernel refused to load or attach the program (details "
			"with --log.level=debug); try --accept-probe=auto");
		return EXIT_KERNEL;
	}
	log_warn("accept() is not seen, so there is no accept wait and no handing over: fexit: %s; "
		 "tracefs: %s",
		 support->of[FEATURE_FEXIT].detail, support->of[FEATURE_TRACEFS].detail);
	return EXIT_OK;
}
