// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * The table of what poolscope needs from the machine and a probe for each. Order matters: a probe may rely on those before it.
 * Refuses to know what the features are used for.
 */
#include "support.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <cap-ng.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "util.h"

/* include/linux/proc_ns.h: PROC_PID_INIT_INO */
#define PID_INIT_INO 0xEFFFFFFCU

#define TRACEFS_ACCEPT "/sys/kernel/tracing/events/syscalls/sys_exit_accept4/id"
#define DEBUGFS_ACCEPT "/sys/kernel/debug/tracing/events/syscalls/sys_exit_accept4/id"

static void say(struct feature *f, bool present, const char *detail)
{
	f->present = present;
	snprintf(f->detail, sizeof(f->detail), "%s", detail);
}

static void probe_capabilities(struct support *all, struct feature *f)
{
	bool bpf, perfmon, admin;

	(void)all;
	admin = capng_have_capability(CAPNG_EFFECTIVE, CAP_SYS_ADMIN);
	bpf = admin || capng_have_capability(CAPNG_EFFECTIVE, CAP_BPF);
	perfmon = admin || capng_have_capability(CAPNG_EFFECTIVE, CAP_PERFMON);
	f->present = bpf && perfmon;
	if (f->present)
		say(f, true, "CAP_BPF and CAP_PERFMON");
	else
		snprintf(f->detail, sizeof(f->detail),
			 "missing%s%s: run as root, or with CAP_BPF and CAP_PERFMON",
			 bpf ? "" : " CAP_BPF", perfmon ? "" : " CAP_PERFMON");
}

static void probe_pid_namespace(struct support *all, struct feature *f)
{
	struct stat st;

	(void)all;
	if (stat("/proc/self/ns/pid", &st)) {
		say(f, false, "cannot read /proc/self/ns/pid: is /proc mounted?");
		return;
	}
	f->present = st.st_ino == PID_INIT_INO;
	say(f, f->present,
	    f->present
		    ? "the host's"
		    : "this process is not in the host's PID namespace, so a PID here means another process to "
		      "the kernel: run it on the host (docker: --pid=host; Kubernetes: hostPID: true)");
}

static void probe_btf(struct support *all, struct feature *f)
{
	(void)all;
	f->present = access("/sys/kernel/btf/vmlinux", R_OK) == 0;
	say(f, f->present,
	    f->present
		    ? "/sys/kernel/btf/vmlinux"
		    : "no /sys/kernel/btf/vmlinux: the kernel must be built with CONFIG_DEBUG_INFO_BTF=y (all "
		      "current distribution kernels are), and /sys be mounted");
}

bool support_release_at_least(const char *release, unsigned int major, unsigned int minor)
{
	unsigned int found_major, found_minor;

	if (sscanf(release, "%u.%u", &found_major, &found_minor) != 2)
		return false;
	return found_major > major || (found_major == major && found_minor >= minor);
}

/* No helper probe exists for tracing programs (libbpf_probe_bpf_helper refuses the type), so the release decides. */
static void probe_sk_storage(struct support *all, struct feature *f)
{
	f->present = support_release_at_least(all->release, 5, 11);
	/* since tracepoints are guarded by SRCU; nothing shows it */
	all->since_7 = support_release_at_least(all->release, 7, 0);
	snprintf(
		f->detail, sizeof(f->detail), "Linux %s%s", all->release,
		f->present
			? ""
			: " is too old: socket storage in tracing programs needs Linux 5.11 or later");
}

/* Parameters of inet_csk_accept and its BTF id; 0 if the kernel's BTF does not describe it. */
static unsigned int accept_parameters(__u32 *ret_id)
{
	const struct btf_type *t;
	unsigned int count = 0;
	struct btf *btf;
	int id;

	btf = btf__load_vmlinux_btf();
	if (!btf)
		return 0;
	id = btf__find_by_name_kind(btf, "inet_csk_accept", BTF_KIND_FUNC);
	t = id > 0 ? btf__type_by_id(btf, (__u32)id) : NULL;
	t = t ? btf__type_by_id(btf, t->type) : NULL;
	if (t && btf_is_func_proto(t)) {
		count = btf_vlen(t);
		*ret_id = (__u32)id;
	}
	btf__free(btf);
	return count;
}

/* Written 0 by an administrator, fexit programs load and attach, and never run. */
static bool ftrace_is_off(void)
{
	_cleanup_fclose_ FILE *file = fopen("/proc/sys/kernel/ftrace_enabled", "re");

	return file && fgetc(file) == '0';
}

/* Loads and attaches a program that does nothing: some kernels refuse the one, some the other. */
static void probe_fexit(struct support *all, struct feature *f)
{
	const struct bpf_insn nothing[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .imm = 0},
		{.code = BPF_JMP | BPF_EXIT},
	};
	LIBBPF_OPTS(bpf_prog_load_opts, opts, .expected_attach_type = BPF_TRACE_FEXIT);
	_cleanup_close_ int prog = -1, link = -1;
	unsigned int parameters;

	parameters = accept_parameters(&opts.attach_btf_id);
	if (parameters != 2 && parameters != 4) {
		say(f, false,
		    "inet_csk_accept() has no known form in the kernel's BTF; without it accept() "
		    "is seen through tracefs");
		return;
	}
	if (ftrace_is_off()) {
		say(f, false,
		    "switched off: kernel.ftrace_enabled is 0 (sysctl kernel.ftrace_enabled=1)");
		return;
	}
	prog = bpf_prog_load(BPF_PROG_TYPE_TRACING, "ps_probe", "Dual BSD/GPL", nothing,
			     ARRAY_SIZE(nothing), &opts);
	if (prog >= 0)
		link = bpf_raw_tracepoint_open(NULL, prog);
	f->present = link >= 0;
	if (f->present) {
		all->accept_args = parameters;
		say(f, true, "inet_csk_accept");
	} else {
		snprintf(f->detail, sizeof(f->detail),
			 "the kernel refuses to %s fexit/inet_csk_accept: %s; without it "
			 "accept() is seen through tracefs",
			 prog < 0 ? "load" : "attach", strerror(errno));
	}
}

static bool can_open(const char *path)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);

	return fd >= 0;
}

static void probe_tracefs(struct support *all, struct feature *f)
{
	(void)all;
	f->present = can_open(DEBUGFS_ACCEPT) || can_open(TRACEFS_ACCEPT);
	if (f->present)
		say(f, true, "syscalls/sys_exit_accept4");
	else if (errno == EPERM)
		say(f, false,
		    "the kernel lets nobody read tracefs (lockdown=confidentiality); needed only where fexit is "
		    "refused");
	else if (errno == EACCES)
		say(f, false,
		    "/sys/kernel/tracing may not be read by this user: run as root; needed only where fexit is "
		    "refused");
	else
		say(f, false,
		    "cannot read " TRACEFS_ACCEPT ": mount it with 'mount -t tracefs tracefs "
		    "/sys/kernel/tracing'; needed only where fexit is refused");
}

/* The program that sees a cgroup being made must read its name, which lies behind an untyped pointer. */
static void probe_cgroups(struct support *all, struct feature *f)
{
	struct btf *btf = btf__load_vmlinux_btf();
	bool known = btf &&
		     btf__find_by_name_kind(btf, "btf_trace_cgroup_mkdir", BTF_KIND_TYPEDEF) > 0;

	btf__free(btf);
	if (!known)
		say(f, false, "the kernel is built without them (CONFIG_CGROUPS)");
	else if (strcmp(all->lockdown, "confidentiality") == 0)
		say(f, false,
		    "the kernel lets no program read names (lockdown=confidentiality); needed only for a unit "
		    "or cgroup that is made anew");
	else
		say(f, true, "cgroup_mkdir");
}

static void probe_user(struct support *all, struct feature *f)
{
	bool uid = capng_have_capability(CAPNG_EFFECTIVE, CAP_SETUID);
	bool gid = capng_have_capability(CAPNG_EFFECTIVE, CAP_SETGID);

	(void)all;
	f->present = uid && gid;
	if (f->present)
		say(f, true, "CAP_SETUID and CAP_SETGID");
	else
		snprintf(f->detail, sizeof(f->detail), "missing%s%s", uid ? "" : " CAP_SETUID",
			 gid ? "" : " CAP_SETGID");
}

static void probe_bounding_set(struct support *all, struct feature *f)
{
	(void)all;
	f->present = capng_have_capability(CAPNG_EFFECTIVE, CAP_SETPCAP);
	say(f, f->present,
	    f->present ? "CAP_SETPCAP: it will be emptied"
		       : "missing CAP_SETPCAP: it stays as it is");
}

static void probe_stats(struct support *all, struct feature *f)
{
	(void)all;
	f->present = capng_have_capability(CAPNG_EFFECTIVE, CAP_SYS_ADMIN);
	say(f, f->present, f->present ? "CAP_SYS_ADMIN" : "missing CAP_SYS_ADMIN");
}

static const struct {
	const char *id;
	enum feature_need need;
	void (*probe)(struct support *all, struct feature *f);
} table[FEATURES] = {
	[FEATURE_CAPABILITIES] = {"capabilities", FEATURE_NEEDS_PRIVILEGE, probe_capabilities},
	[FEATURE_PID_NAMESPACE] = {"pid namespace", FEATURE_NEEDS_KERNEL, probe_pid_namespace},
	[FEATURE_BTF] = {"kernel BTF", FEATURE_NEEDS_KERNEL, probe_btf},
	[FEATURE_SK_STORAGE] = {"socket storage", FEATURE_NEEDS_KERNEL, probe_sk_storage},
	[FEATURE_FEXIT] = {"fexit", FEATURE_OPTIONAL, probe_fexit},
	[FEATURE_TRACEFS] = {"tracefs", FEATURE_OPTIONAL, probe_tracefs},
	[FEATURE_CGROUPS] = {"cgroup names", FEATURE_OPTIONAL, probe_cgroups},
	[FEATURE_USER] = {"--user", FEATURE_OPTIONAL, probe_user},
	[FEATURE_BOUNDING_SET] = {"bounding set", FEATURE_OPTIONAL, probe_bounding_set},
	[FEATURE_PROBE_STATS] = {"--probe-stats", FEATURE_OPTIONAL, probe_stats},
};

static uint32_t read_optmem_max(void)
{
	_cleanup_fclose_ FILE *file = fopen("/proc/sys/net/core/optmem_max", "re");
	unsigned int value;

	/* not readable: the default of the kernels that have one for the whole host (net/core/sock.c) */
	return file && fscanf(file, "%u", &value) == 1 ? value : 20480;
}

static void read_release(char ret[65])
{
	struct utsname uts;

	snprintf(ret, 65, "%s", uname(&uts) ? "unknown" : uts.release);
}

static bool read_line(const char *path, char *line, int size)
{
	_cleanup_fclose_ FILE *file = fopen(path, "re");

	return file && fgets(line, size, file);
}

/* "none [integrity] confidentiality": the mode in force stands in brackets. */
static void read_lockdown(char ret[24])
{
	char line[64];
	const char *mode = NULL;

	if (read_line("/sys/kernel/security/lockdown", line, sizeof(line)))
		mode = strchr(line, '[');
	if (!mode || sscanf(mode, "[%23[a-z]]", ret) != 1)
		ret[0] = '\0';
}

void support_probe(struct support *ret)
{
	memset(ret, 0, sizeof(*ret));
	for (size_t i = 0; i < FEATURES; i++) {
		ret->of[i].id = table[i].id;
		ret->of[i].need = table[i].need;
		say(&ret->of[i], false, "not asked");
	}
	libbpf_set_print(NULL); /* what is absent is told below, in our words */
	ret->optmem_max = read_optmem_max();
	read_release(ret->release);
	read_lockdown(ret->lockdown);
	for (size_t i = 0; i < FEATURES; i++) {
		table[i].probe(ret, &ret->of[i]);
		if (!ret->of[i].present && ret->of[i].need != FEATURE_OPTIONAL)
			return;
	}
}

const struct feature *support_missing(const struct support *f)
{
	for (size_t i = 0; i < FEATURES; i++)
		if (!f->of[i].present && f->of[i].need != FEATURE_OPTIONAL)
			return &f->of[i];
	return NULL;
}
