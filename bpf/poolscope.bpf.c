// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * The programs: each filters, reads, and calls one function of the headers. Core ones use direct BTF loads only; the optional ones
 * (accept_*, cgroup_*) are loaded where the kernel has what they need, and what it refuses is reported and left out.
 */
#include "kernel.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "cgroup.bpf.h"
#include "conn.bpf.h"
#include "inventory.bpf.h"
#include "listing.bpf.h"
#include "process.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* Once is as good as twice, but for conn_connect(), which begins a new life. What is refused is counted by the first program only. */
static __always_inline void set_state(struct sock *sk, int oldstate, int newstate, bool first)
{
	struct ps_value *v;

	if (sk->sk_protocol != IPPROTO_TCP)
		return;
	if (newstate == TCP_SYN_SENT) {
		if (first || !conn_is_connecting(sk))
			conn_connect(sk, first);
	} else if (newstate == TCP_LISTEN) {
		listener_begin(sk, first);
	} else if (oldstate == TCP_LISTEN) {
		if (newstate == TCP_CLOSE) /* else a child that is being born */
			listener_end(sk);
	} else if (!sock_has_ended(oldstate)) {
		v = bpf_sk_storage_get(&ps_records, sk, 0, 0);
		if (v)
			conn_transition(sk, v, oldstate, newstate);
	}
}

/* The heart. Fires before sk_state is stored; the running task is the actor only towards SYN_SENT and LISTEN. */
SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(ps_set_state, struct sock *sk, int oldstate, int newstate)
{
	set_state(sk, oldstate, newstate, true);
	return 0;
}

/*
 * The same once more. The kernel skips a program that is interrupted and wanted again on the same processor (bpf_prog->active). The guard
 * is of each program: a softirq that interrupts the first finds the second free.
 */
SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(ps_set_state_2, struct sock *sk, int oldstate, int newstate)
{
	set_state(sk, oldstate, newstate, false);
	return 0;
}

/* Since Linux 7 a task may be preempted inside of one, and hold it for some milliseconds: then that is one less. */
SEC("?tp_btf/inet_sock_set_state")
int BPF_PROG(ps_set_state_3, struct sock *sk, int oldstate, int newstate)
{
	set_state(sk, oldstate, newstate, false);
	return 0;
}

static __always_inline void destroy_sock(struct sock *sk)
{
	struct ps_value *v = bpf_sk_storage_get(&ps_records, sk, 0, 0);

	if (v)
		conn_end(sk, v);
	if (!ps_delete_destroyed)
		return;
	/* after what ends it was sent or parked: who walks now finds the record, or its end */
	if (v)
		bpf_sk_storage_delete(&ps_records, sk);
	bpf_sk_storage_delete(&ps_listeners, sk);
}

/* The backstop: whatever was skipped, here the socket is over. Two programs as well: the last chance of a final that found
 * neither ring nor parking map must not be skipped, or its loss would not be counted. */
SEC("tp_btf/tcp_destroy_sock")
int BPF_PROG(ps_destroy_sock, struct sock *sk)
{
	destroy_sock(sk);
	return 0;
}

SEC("tp_btf/tcp_destroy_sock")
int BPF_PROG(ps_destroy_sock_2, struct sock *sk)
{
	destroy_sock(sk);
	return 0;
}

SEC("tp_btf/sched_process_fork")
int BPF_PROG(ps_fork, struct task_struct *parent, struct task_struct *child)
{
	process_forked(parent, child);
	return 0;
}

/* The program, the name and the cgroup are the new ones by now. */
SEC("tp_btf/sched_process_exec")
int BPF_PROG(ps_exec, struct task_struct *task)
{
	process_changed(task, true);
	return 0;
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(ps_exit, struct task_struct *task)
{
	process_exited(task);
	return 0;
}

/* Of processes that come to a cgroup without an exec(): here they are in it. The whole process moves, or one thread of many. */
SEC("?tp_btf/cgroup_attach_task")
int BPF_PROG(ps_cgroup_attach, struct cgroup *cgroup, const char *path, struct task_struct *task)
{
	if (task->pid == task->tgid)
		process_changed(task, false);
	return 0;
}

SEC("?tp_btf/cgroup_mkdir")
int BPF_PROG(ps_cgroup_mkdir, struct cgroup *cgroup, const char *path)
{
	cgroup_made(cgroup, path);
	return 0;
}

SEC("?tp_btf/cgroup_rmdir")
int BPF_PROG(ps_cgroup_rmdir, struct cgroup *cgroup)
{
	cgroup_removed(cgroup);
	return 0;
}

/* inet_csk_accept(sk, flags, err, kern) before 6.10, (sk, arg) since: its return value follows the arguments, and only as a
 * typed slot of ctx may it go to the sock helpers. The loader picks by the function's BTF. */
SEC("?fexit/inet_csk_accept")
int ps_accept_fexit4(unsigned long long *ctx)
{
	struct sock *sk = (void *)ctx[4];

	if (sk)
		conn_accept(sk);
	return 0;
}

SEC("?fexit/inet_csk_accept")
int ps_accept_fexit2(unsigned long long *ctx)
{
	struct sock *sk = (void *)ctx[2];

	if (sk)
		conn_accept(sk);
	return 0;
}

/* Since Linux 7, as ps_set_state_3: a task that is preempted inside of the first keeps the accepts of others from it. */
SEC("?fexit/inet_csk_accept")
int ps_accept_fexit2_2(unsigned long long *ctx)
{
	struct sock *sk = (void *)ctx[2];

	if (sk && !conn_is_accepted(sk))
		conn_accept(sk);
	return 0;
}

/*
 * The TCP socket behind a descriptor of the running task: of an MPTCP socket the first subflow. NULL if there is none. The
 * task is typed, so the way to the table costs plain loads; from the table on, each step is a guarded read.
 */
static __always_inline struct sock *accepted_sock(long fd)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct file **table = task->files->fdt->fd;
	struct mptcp_sock *mptcp;
	struct socket *socket;
	struct file *file;
	struct sock *sk;
	__u16 protocol;

	if (bpf_probe_read_kernel(&file, sizeof(file), &table[fd]) || !file)
		return NULL;
	socket = BPF_CORE_READ(file, private_data);
	sk = BPF_CORE_READ(socket, sk);
	protocol = BPF_CORE_READ(sk, sk_protocol);
	if (protocol == IPPROTO_TCP)
		return sk;
	mptcp = (void *)sk;
	if (protocol == IPPROTO_MPTCP && bpf_core_field_exists(mptcp->first))
		return BPF_CORE_READ(mptcp, first);
	return NULL;
}

/*
 * The fallback. A classic tracepoint cannot reach sk_storage, so it only names the socket. A socket without a cookie has no
 * record of ours: of interest only if a target accepted it.
 */
static __always_inline void accept_refused(const struct ps_message_accept *m)
{
	struct ps_counters *c = counters();
	__u64 cookie = m->cookie;
	bool kept;

	kept = cookie && !bpf_map_update_elem(&ps_parked_accepts, &cookie, m, BPF_ANY);
	if (kept)
		ps_accepts_parked = 1;
	if (!c)
		return;
	__sync_fetch_and_add(&c->refused[PS_EVENT_ACCEPT], 1);
	if (!kept)
		__sync_fetch_and_add(&c->lost[PS_EVENT_ACCEPT], 1);
}

static __always_inline void accept_returned(long fd)
{
	struct ps_message_accept m = {.kind = PS_MESSAGE_ACCEPT, .parked = 1}, *slot;
	struct sock *sk;

	sk = fd < 0 ? NULL : accepted_sock(fd);
	if (!sk)
		return;
	m.tgid = bpf_get_current_pid_tgid() >> 32;
	m.cookie = BPF_CORE_READ(sk, __sk_common.skc_cookie.counter);
	m.owner = process_owner(m.tgid);
	if (!m.owner &&
	    (!m.cookie || !listener_port_is_known(BPF_CORE_READ(sk, __sk_common.skc_num))))
		return; /* a stranger's, of no listener of ours */
	m.accepted_ns = bpf_ktime_get_ns();
	slot = bpf_ringbuf_reserve(&ps_ring, sizeof(*slot), 0);
	if (!slot) {
		accept_refused(&m);
		return;
	}
	m.parked = 0;
	*slot = m;
	bpf_ringbuf_submit(slot, ring_flags());
}

SEC("?tracepoint/syscalls/sys_exit_accept")
int ps_accept_exit(struct sys_exit_args *ctx)
{
	accept_returned(ctx->ret);
	return 0;
}

SEC("?tracepoint/syscalls/sys_exit_accept4")
int ps_accept4_exit(struct sys_exit_args *ctx)
{
	accept_returned(ctx->ret);
	return 0;
}

SEC("iter/task_file")
int ps_adopt(struct bpf_iter__task_file *ctx)
{
	adopt_file(ctx);
	return 0;
}

SEC("iter/bpf_sk_storage_map")
int ps_list_listeners(struct bpf_iter__bpf_sk_storage_map *ctx)
{
	list_listener(ctx);
	return 0;
}

SEC("iter/bpf_sk_storage_map")
int ps_inventory(struct bpf_iter__bpf_sk_storage_map *ctx)
{
	show_record(ctx);
	return 0;
}

SEC("iter/bpf_sk_storage_map")
int ps_forget(struct bpf_iter__bpf_sk_storage_map *ctx)
{
	forget_record(ctx);
	return 0;
}

SEC("iter/task")
int ps_list_tasks(struct bpf_iter__task *ctx)
{
	list_task(ctx);
	return 0;
}

SEC("iter/task")
int ps_select(struct bpf_iter__task *ctx)
{
	select_running(ctx);
	return 0;
}

SEC("iter/bpf_sk_storage_map")
int ps_list_records(struct bpf_iter__bpf_sk_storage_map *ctx)
{
	return list_record(ctx);
}

SEC("iter/task_file")
int ps_list_held(struct bpf_iter__task_file *ctx)
{
	return list_held(ctx);
}
