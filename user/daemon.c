// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * Wires the modules into one flow: ring → connections → pools; from there a scrape takes what it shows. Holds no numbers of its own.
 */
#include "daemon.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/random.h>
#include <sys/utsname.h>

#include "choice.h"
#include "connections.h"
#include "inventory.h"
#include "listing.h"
#include "log.h"
#include "metadata.h"
#include "pools.h"
#include "probes.h"
#include "recording.h"
#include "report.h"
#include "scrape.h"
#include "snapshot.h"
#include "targets.h"
#include "util.h"
#include "version.h"

/* Connections mirrored at once; an entry costs about 100 bytes when it is used. */
#define TRACKED_MAX 262144
#define HEALTHY_NS (5 * NSEC_PER_SEC)
#define EXPIRE_SLOTS 256 /* per tick: the default table within 0.3 s, the largest within 4 s */
#define ORPHAN_OWNERS_MAX 16
struct daemon {
	struct probes *probes;
	struct pools *pools;
	struct connections *connections;
	struct targets *targets;
	struct inventory *inventory;
	struct scrape *scrape;
	struct recording *recording; /* NULL: none was asked for */
	const char *recording_path;
	struct listing_source listing;
	struct metadata_source metadata;
	uint64_t now_ns; /* of the drain under way, or of the last one */
	uint64_t unread_ns; /* when it was last said that a drain failed */
	uint64_t last_second_ns; /* of daemon_tick(): what is done once a second */
	uint64_t wrongs; /* see report_wrongs() */
	uint64_t lost; /* see report_losses() */
};

static void on_message(void *arg, const void *data, size_t size)
{
	struct daemon *d = arg;

	recording_message(d->recording, data, size);
	connections_message(d->connections, data, size, d->now_ns);
}

void daemon_drain(void *daemon)
{
	struct daemon *d = daemon;
	struct probes_ring ring;
	int err;

	d->now_ns = util_now_ns();
	recording_clock(d->recording, d->now_ns);
	pools_clock(d->pools, d->now_ns);
	err = probes_drain(d->probes, on_message, d, &ring);
	if (err) {
		if (d->now_ns - d->unread_ns >= NSEC_PER_SEC) {
			log_error("cannot read the ring buffer: %s", strerror(-err));
			d->unread_ns = d->now_ns;
		}
		return;
	}
	recording_drained(d->recording, ring.consumed, ring.produced);
	connections_drained(d->connections, ring.consumed, ring.produced);
}

/* What must not happen. */
static void report_wrongs(struct daemon *d)
{
	struct connections_stats c;
	struct pools_stats p;
	uint64_t wrongs;

	connections_stats(d->connections, &c);
	pools_stats(d->pools, &p);
	wrongs = p.negative + p.unaccounted + c.invalid + c.tombstones_dropped;
	if (wrongs == d->wrongs)
		return;
	d->wrongs = wrongs;
	log_error("the numbers may be wrong, please report this: negative gauges %" PRIu64
		  ", without memory %" PRIu64 ", invalid records %" PRIu64
		  ", tombstones dropped %" PRIu64,
		  p.negative, p.unaccounted, c.invalid, c.tombstones_dropped);
}

static void report_losses(struct daemon *d)
{
	struct probes_counters counters;
	uint64_t lost = 0;

	probes_counters(d->probes, &counters);
	for (size_t i = 0; i < PS_EVENTS; i++)
		lost += counters.lost[i];
	if (lost == d->lost)
		return;
	log_warn("%" PRIu64 " records are lost for good: the ring and its parking maps were full. "
		 "Gauges stay exact, counters lack them (poolscope_events_lost_total); a larger "
		 "--ring-size helps",
		 lost - d->lost);
	d->lost = lost;
}

/* Adopting again reads whole descriptor tables and waits for a grace period. */
static void adopt_orphans(struct daemon *d)
{
	uint32_t owners[ORPHAN_OWNERS_MAX], count;

	recording_orphans(d->recording, ORPHAN_OWNERS_MAX);
	count = connections_orphan_owners(d->connections, d->now_ns, owners, ORPHAN_OWNERS_MAX);
	for (uint32_t i = 0; i < count; i++) {
		int err = targets_adopt(d->targets, owners[i], daemon_drain, d);

		if (err)
			log_warn("cannot adopt the connections of target %u: %s", owners[i],
				 strerror(-err));
	}
}

/* The inventory is of what was adopted: all others have been heard. */
static void adopt_selected(struct daemon *d)
{
	int err = targets_adopt_selected(d->targets, daemon_drain, d);

	if (err > 0)
		err = inventory_take(d->inventory, INVENTORY_ATTACH, d->now_ns);
	if (err && err != -EAGAIN)
		log_warn("cannot adopt what selected processes hold: %s", strerror(-err));
}

static void report_recording(const struct daemon *d, int err)
{
	if (err == -ETIME)
		log_error("the recording %s is given up: the disk is too slow", d->recording_path);
	else if (err)
		log_error("the recording %s is given up: %s", d->recording_path, strerror(-err));
}

/* After targets were dropped. The mirror first: records of the new owners bear the ids of what it must have forgotten by then.
 * Two drains, and the parked between them: then no tombstone of a connection that was over before is left. */
static void release(struct daemon *d)
{
	int err;

	recording_mark(d->recording, RECORDING_FORGET);
	connections_forget(d->connections);
	scrape_forget(d->scrape, pools_sweep(d->pools));
	err = inventory_settle(d->inventory);
	if (!err)
		err = targets_release(d->targets, daemon_drain, d);
	if (!err && targets_count(d->targets))
		err = inventory_take(d->inventory, INVENTORY_ATTACH, d->now_ns);
	if (!err)
		err = targets_forget(d->targets);
	daemon_drain(d);
	if (err && err != -EAGAIN) /* in a second again */
		log_warn("cannot yet forget all of what was detached: %s", strerror(-err));
}

void daemon_tick(void *daemon)
{
	struct daemon *d = daemon;
	int err;

	daemon_drain(d);
	err = inventory_turn(d->inventory, d->now_ns);
	if (err && err != -EAGAIN)
		log_error("cannot take an inventory: %s", strerror(-err));
	recording_expire(d->recording, EXPIRE_SLOTS);
	pools_expire(d->pools, EXPIRE_SLOTS);
	scrape_tick(d->scrape, d->now_ns);
	report_recording(d, recording_flush(d->recording, d->now_ns));
	if (d->now_ns - d->last_second_ns < NSEC_PER_SEC)
		return;
	d->last_second_ns = d->now_ns;
	if (targets_unreleased(d->targets))
		release(d);
	adopt_orphans(d);
	adopt_selected(d);
	report_wrongs(d);
	report_losses(d);
}

void daemon_settle(struct daemon *d)
{
	daemon_drain(d);
	if (inventory_take(d->inventory, INVENTORY_TIMER, d->now_ns))
		log_warn("the last inventory is incomplete: gauges may be wrong");
	scrape_forget(d->scrape, 0);
}

bool daemon_healthy(void *daemon)
{
	const struct daemon *d = daemon;

	return util_now_ns() - d->now_ns < HEALTHY_NS;
}

int daemon_fd(const struct daemon *d)
{
	return probes_fd(d->probes);
}

static int metrics_open(void *arg, const struct body_request *request, void **ret_body)
{
	struct daemon *d = arg;

	return scrape_body_open(d->scrape, request, ret_body);
}

const struct body_ops daemon_metrics = {metrics_open, scrape_body_read, scrape_body_close};

static int connections_body_open(void *arg, const struct body_request *request, void **ret_body)
{
	struct daemon *d = arg;
	struct listing *listing;
	int err;

	daemon_drain(d);
	err = listing_open(&listing, &d->listing, request, d->now_ns);
	if (!err)
		*ret_body = listing;
	return err;
}

const struct body_ops daemon_connections = {connections_body_open, listing_read, listing_close};

static int metadata_body_open(void *arg, const struct body_request *request, void **ret_body)
{
	struct daemon *d = arg;
	struct metadata *metadata;
	int err;

	(void)request;
	daemon_drain(d);
	err = metadata_open(&metadata, &d->metadata);
	if (!err)
		*ret_body = metadata;
	return err;
}

const struct body_ops daemon_metadata = {metadata_body_open, metadata_read, metadata_close};

static int checks_body_open(void *arg, const struct body_request *request, void **ret_body)
{
	struct daemon *d = arg;
	struct metadata *metadata;
	int err = metadata_open_checks(&metadata, &d->metadata);

	(void)request;
	if (!err)
		*ret_body = metadata;
	return err;
}

const struct body_ops daemon_checks = {checks_body_open, metadata_read, metadata_close};

static int snapshot_body_open(void *arg, const struct body_request *request, void **ret_body)
{
	struct daemon *d = arg;
	struct snapshot *snapshot;
	struct report *report;
	int err = scrape_snapshot(d->scrape, &snapshot);

	(void)request;
	if (err)
		return err;
	err = report_open(&report, snapshot, util_realtime_ns());
	snapshot_release(snapshot);
	if (!err)
		*ret_body = report;
	return err;
}

const struct body_ops daemon_snapshot = {snapshot_body_open, report_read, report_close};

void daemon_set_requests(struct daemon *d, const struct requests *requests)
{
	scrape_set_requests(d->scrape, requests);
}

void daemon_set_reload(struct daemon *d, bool ok, uint64_t realtime_ns)
{
	scrape_set_reload(d->scrape, ok, realtime_ns);
}

void daemon_report(const struct daemon *d, FILE *out)
{
	struct probes_program programs[PROBES_PROGRAMS_MAX];
	size_t count = probes_programs(d->probes, programs);

	for (size_t i = 0; i < count; i++)
		fprintf(out, "%-16s %-8s %s\n", programs[i].name, "runs", programs[i].attach);
	for (size_t i = 0; i < targets_count(d->targets); i++) {
		const struct target *target = targets_at(d->targets, i);
		char text[TARGETS_TEXT_SIZE];

		targets_say(target, text, sizeof(text));
		fprintf(out, "%-16s %-8s %s\n", target->name, "attached", text);
	}
}

static int open_engine(struct daemon *d, const struct options *options)
{
	struct pools_config config = {
		.peers_max = options->peers_max,
		.series_max = options->series_max,
		.ttl_ns = options->peers_ttl_ns,
		.handshake = options->handshake,
		.lifetime = options->lifetime,
		.aggregate_count = options->aggregate_count,
	};
	uint8_t key[16];
	int err;

	memcpy(config.aggregate, options->aggregate, sizeof(config.aggregate));
	if (getrandom(config.hash_key, sizeof(config.hash_key), 0) != sizeof(config.hash_key) ||
	    getrandom(key, sizeof(key), 0) != sizeof(key))
		return -errno;
	err = pools_open(&d->pools, &config);
	if (!err)
		err = connections_open(&d->connections, TRACKED_MAX, d->pools, key);
	return err;
}

/* Before anything is fed. --check leaves no file behind. */
static enum exit_code open_recording(struct daemon *d, const struct options *options, char *why,
				     size_t why_size)
{
	struct recording_header header = {.tracked_max = TRACKED_MAX,
					  .config = *pools_config(d->pools)};
	struct utsname host;
	int err;

	if (!options->record || options->check)
		return EXIT_OK;
	uname(&host);
	header.begun_realtime_ns = util_realtime_ns();
	snprintf(header.version, sizeof(header.version), "%s", version_text);
	snprintf(header.revision, sizeof(header.revision), "%s", version_revision);
	snprintf(header.kernel, sizeof(header.kernel), "%.*s", RECORDING_TEXT_MAX - 1,
		 host.release);
	d->recording_path = options->record;
	err = recording_open(&d->recording, options->record, &header);
	if (!err)
		return EXIT_OK;
	snprintf(why, why_size, "--record: cannot make %s: %s%s", options->record, strerror(-err),
		 err == -EEXIST ? " (a recording never replaces a file)" : "");
	return EXIT_USAGE;
}

static int open_scrape(struct daemon *d)
{
	struct scrape_sources sources = {
		.probes = d->probes,
		.pools = d->pools,
		.connections = d->connections,
		.targets = d->targets,
		.inventory = d->inventory,
		.recording = d->recording,
		.drain = daemon_drain,
		.arg = d,
	};

	return scrape_open(&d->scrape, &sources);
}

/* Not the kernel's or the target's fault: this process may have no more. */
static bool is_shortage(int err)
{
	return err == -EMFILE || err == -ENFILE || err == -ENOMEM;
}

static void log_attached(const struct daemon *d, const struct target *target)
{
	const struct feature *names = &d->metadata.support->of[FEATURE_CGROUPS];
	size_t count = targets_processes(d->targets, target);
	char text[TARGETS_TEXT_SIZE];

	targets_say(target, text, sizeof(text));
	if (target->selects)
		log_info("attached %s as %s: %zu processes now", text, target->name, count);
	else
		log_info("attached %s as %s", text, target->name);
	if (target->selects && target->selector.kind <= SELECTOR_CGROUP && !names->present)
		log_warn("%s is not recognised when its cgroup is made anew: %s", text,
			 names->detail);
}

/* Looks cgroups up anew: loading took a while, in which a unit may have been started again. `selectors` has room for all. */
static int make_specs(const struct options *options, struct selector *selectors,
		      struct target_spec *specs, char *why, size_t why_size)
{
	int err = 0;

	for (size_t i = 0; i < options->target_count && !err; i++) {
		const struct option_target *t = &options->targets[i];

		selectors[i] = t->selector;
		if (!t->pid && t->selector.kind <= SELECTOR_CGROUP)
			err = selector_resolve(&selectors[i], t->selector.kind, t->selector.text,
					       why, why_size);
		specs[i] = (struct target_spec){.pid = t->pid,
						.start_ticks = t->start_ticks,
						.selector = t->pid ? NULL : &selectors[i],
						.name = t->name};
	}
	return err;
}

static enum exit_code attach_targets(struct daemon *d, const struct options *options, char *why,
				     size_t why_size)
{
	struct target_spec specs[OPTIONS_TARGETS_MAX];
	_cleanup_free_ struct selector *selectors = calloc(OPTIONS_TARGETS_MAX, sizeof(*selectors));
	int err;

	if (!selectors)
		return EXIT_RUNTIME;
	if (make_specs(options, selectors, specs, why, why_size))
		return EXIT_TARGET;
	err = targets_attach(d->targets, specs, options->target_count, options->follow,
			     daemon_drain, d, why, why_size);
	if (err)
		return is_shortage(err) ? EXIT_RUNTIME : EXIT_TARGET;
	if (options->target_count && inventory_take(d->inventory, INVENTORY_ATTACH, d->now_ns))
		log_warn("the first inventory is incomplete; the next one follows");
	for (size_t i = 0; i < targets_count(d->targets); i++)
		log_attached(d, targets_at(d->targets, i));
	return EXIT_OK;
}

enum exit_code daemon_attach(struct daemon *d, const struct target_spec *spec, bool follow,
			     char *why, size_t why_size)
{
	int err = targets_attach(d->targets, spec, 1, follow, daemon_drain, d, why, why_size);
	const struct target *target;

	if (err) {
		if (targets_unreleased(d->targets))
			release(d);
		return is_shortage(err) ? EXIT_RUNTIME : EXIT_TARGET;
	}
	target = targets_at(d->targets, targets_count(d->targets) - 1);
	if (inventory_take(d->inventory, INVENTORY_ATTACH, d->now_ns))
		log_warn("the first inventory of %s is incomplete; the next one follows",
			 target->name);
	log_attached(d, target);
	return EXIT_OK;
}

int daemon_detach(struct daemon *d, pid_t pid, const char *name, char *why, size_t why_size)
{
	size_t count;

	daemon_drain(d);
	count = targets_drop(d->targets, pid, name);
	if (!count && name)
		snprintf(why, why_size, "no target is named %s", name);
	else if (!count)
		snprintf(why, why_size, "PID %d is not attached", (int)pid);
	if (!count)
		return -ESRCH;
	release(d);
	if (name)
		log_info("detached %s: %zu targets", name, count);
	else
		log_info("detached PID %d", (int)pid);
	return 0;
}

static enum exit_code open_kernel(struct daemon *d, const struct options *options,
				  const struct support *support, char *why, size_t why_size)
{
	struct probes_config config = {.ring_bytes = options->ring_bytes,
				       .optmem_max = support->optmem_max,
				       .since_7 = support->since_7,
				       .cgroups = support->of[FEATURE_CGROUPS].present};
	enum exit_code code = choice_of_accept(options, support, &config, why, why_size);
	int err;

	if (code)
		return code;
	err = probes_open(&d->probes, &config, why, why_size);
	if (is_shortage(err))
		return EXIT_RUNTIME;
	if (err)
		return err == -EPERM || err == -EACCES ? EXIT_PRIVILEGE : EXIT_KERNEL;
	err = options->probe_stats ? probes_enable_stats(d->probes) : 0;
	if (err) {
		snprintf(why, why_size, "--probe-stats: %s%s", strerror(-err),
			 err == -EPERM ? " (it takes CAP_SYS_ADMIN)" : "");
		return err == -EPERM ? EXIT_PRIVILEGE : EXIT_KERNEL;
	}
	return choice_check_accept(d->probes, options, support, why, why_size);
}

enum exit_code daemon_open(struct daemon **ret, const struct options *options,
			   const struct support *support, char *why, size_t why_size)
{
	struct daemon *d = calloc(1, sizeof(*d));
	enum exit_code code = EXIT_RUNTIME;

	snprintf(why, why_size, "out of memory");
	if (!d)
		return EXIT_RUNTIME;
	if (open_engine(d, options))
		goto fail;
	code = open_recording(d, options, why, why_size);
	if (code)
		goto fail;
	code = open_kernel(d, options, support, why, why_size);
	if (code)
		goto fail;
	code = EXIT_RUNTIME;
	if (targets_open(&d->targets, d->probes, d->pools) ||
	    inventory_open(&d->inventory, d->probes, d->connections, d->targets,
			   options->reconcile_interval_ns, daemon_drain, d) ||
	    open_scrape(d))
		goto fail;
	targets_set_recording(d->targets, d->recording);
	inventory_set_recording(d->inventory, d->recording);
	d->listing = (struct listing_source){
		.probes = d->probes, .connections = d->connections, .pools = d->pools};
	d->metadata = (struct metadata_source){.probes = d->probes,
					       .connections = d->connections,
					       .targets = d->targets,
					       .options = options,
					       .support = support};
	metadata_prepare();
	daemon_drain(d);
	code = attach_targets(d, options, why, why_size);
	if (code)
		goto fail;
	*ret = d;
	return EXIT_OK;
fail:
	daemon_close(d);
	return code;
}

/* One that never ran leaves no file; else the last word is a reading, in case that nobody has scraped for long. */
static void close_recording(struct daemon *d)
{
	if (!d->recording)
		return;
	if (!d->last_second_ns) {
		recording_discard(d->recording);
		return;
	}
	scrape_read(d->scrape);
	report_recording(d, recording_close(d->recording));
}

void daemon_close(struct daemon *d)
{
	if (!d)
		return;
	close_recording(d);
	scrape_close(d->scrape);
	inventory_close(d->inventory);
	targets_close(d->targets);
	probes_close(d->probes);
	connections_close(d->connections);
	pools_close(d->pools);
	free(d);
}
