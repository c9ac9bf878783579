// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * How many instructions the verifier of this kernel processes for each program that it loads: room is left under its limit of a
 * million, and what loads here loads on a kernel that is less clever. Each number goes to the file $VERIFY_REPORT, too. Asks
 * the kernel about the descriptors that this process holds, not the skeleton.
 */
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "check.h"
#include "probes.h"
#include "support.h"

#define INSTRUCTIONS_MAX 20000
#define FDS 256

/* The whole name; bpf_prog_info keeps but 15 bytes of it. */
static void program_name(int fd, char name[64])
{
	struct bpf_func_info first;
	struct bpf_prog_info info = {.nr_func_info = 1,
				     .func_info = (uintptr_t)&first,
				     .func_info_rec_size = sizeof(first)};
	__u32 size = sizeof(info);
	struct btf *btf;

	assert_int_equal(bpf_obj_get_info_by_fd(fd, &info, &size), 0);
	assert_true(info.nr_func_info > 0);
	btf = btf__load_from_kernel_by_id(info.btf_id);
	assert_non_null(btf);
	snprintf(name, 64, "%s",
		 btf__name_by_offset(btf, btf__type_by_id(btf, first.type_id)->name_off));
	btf__free(btf);
}

static bool is_program(int fd)
{
	char path[32], target[32] = "";

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return readlink(path, target, sizeof(target) - 1) > 0 && strstr(target, "bpf-prog");
}

/* Returns how many programs are above the limit. */
static int report_programs(FILE *report)
{
	struct utsname uts;
	int above = 0, count = 0;

	uname(&uts);
	for (int fd = 0; fd < FDS; fd++) {
		struct bpf_prog_info info = {};
		__u32 size = sizeof(info);
		char name[64];

		if (!is_program(fd))
			continue;
		assert_int_equal(bpf_obj_get_info_by_fd(fd, &info, &size), 0);
		program_name(fd, name);
		assert_true(info.verified_insns > 0);
		count++;
		above += info.verified_insns > INSTRUCTIONS_MAX;
		print_message("# %s: %u\n", name, info.verified_insns);
		if (report)
			fprintf(report, "%-20s %-20s %6u\n", uts.release, name,
				info.verified_insns);
	}
	assert_true(count >= 4);
	return above;
}

static void expect_room(const struct probes_config *config)
{
	const char *path = getenv("VERIFY_REPORT");
	FILE *report = path ? fopen(path, "ae") : NULL;
	struct probes *p = NULL;
	char why[256] = "";
	int above;

	assert_true(report || !path);
	if (probes_open(&p, config, why, sizeof(why)) != 0)
		fail_msg("%s", why);
	assert_true(probes_see_accept(p));
	above = report_programs(report);
	probes_close(p);
	if (report)
		fclose(report);
	assert_int_equal(above, 0);
}

static struct probes_config config_of(const struct support *support)
{
	return (struct probes_config){.ring_bytes = 1 << 20,
				      .optmem_max = support->optmem_max,
				      .since_7 = support->since_7,
				      .cgroups = support->of[FEATURE_CGROUPS].present};
}

static void the_verifier_has_room_with_fexit(void **state)
{
	struct probes_config config;
	struct support support;

	(void)state;
	support_probe(&support);
	if (!support.of[FEATURE_FEXIT].present)
		skip_because("%s", support.of[FEATURE_FEXIT].detail);
	config = config_of(&support);
	config.fexit_args = support.accept_args;
	expect_room(&config);
}

static void the_verifier_has_room_with_the_fallback(void **state)
{
	struct probes_config config;
	struct support support;

	(void)state;
	support_probe(&support);
	config = config_of(&support);
	config.accept_syscall = true;
	expect_room(&config);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_verifier_has_room_with_fexit),
		cmocka_unit_test(the_verifier_has_room_with_the_fallback),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("verifier", tests, NULL, NULL);
}
