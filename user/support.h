/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * What this machine and this process can do, asked once at start. (Not called features: that header is glibc's.)
 */
#ifndef SUPPORT_H
#define SUPPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum feature_id {
	FEATURE_CAPABILITIES,
	FEATURE_PID_NAMESPACE,
	FEATURE_BTF,
	FEATURE_SK_STORAGE,
	FEATURE_FEXIT,
	FEATURE_TRACEFS,
	FEATURE_CGROUPS,
	FEATURE_USER,
	FEATURE_BOUNDING_SET,
	FEATURE_PROBE_STATS,
	FEATURES,
};

enum feature_need {
	FEATURE_OPTIONAL,
	FEATURE_NEEDS_PRIVILEGE, /* without it: exit code 4 */
	FEATURE_NEEDS_KERNEL, /* without it: exit code 3 */
};

struct feature {
	const char *id; /* static text, as --check prints it */
	enum feature_need need;
	bool present;
	char detail[224]; /* what was found; if absent, also what to do */
};

struct support {
	struct feature of[FEATURES];
	unsigned int
		accept_args; /* parameters of inet_csk_accept(): 4 before Linux 6.10, 2 since; 0 if no fexit */
	bool since_7; /* Linux 7 or later; see struct probes_config */
	uint32_t optmem_max; /* bytes; of the host's network namespace */
	char release[65]; /* uname -r */
	char lockdown[24]; /* "none", "integrity" or "confidentiality"; "": the kernel does not say */
};

/* Fills *ret; those after an absent one that is needed are not asked. Loads and frees a two-instruction program. */
void support_probe(struct support *ret);

/* The first absent one that is needed, or NULL. */
const struct feature *support_missing(const struct support *f);

/* "6.1.0-18-amd64" ≥ major.minor; false for what is no release. */
bool support_release_at_least(const char *release, unsigned int major, unsigned int minor);

#endif
