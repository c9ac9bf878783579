// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * Owns the file that is written, a buffer before it, and the text of the header. Invariant: what stands in the file ends between frames
 * unless a write failed, and after a failure nothing is written any more: the one who records goes on without. Bounded by
 * its buffer: when that is full the caller waits for write(2), which copies into the page cache. A disk that is so slow that the
 * kernel makes writers wait ends the recording. Knows nothing of what a frame does.
 */
#include "recording.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "address.h"
#include "util.h"

#define FLUSH_NS NSEC_PER_SEC
#define COOKIES_MAX (RECORDING_PAYLOAD_MAX / sizeof(uint64_t))

struct recording {
	int fd;
	const char *path; /* NULL: not known */
	int err; /* it ended early */
	bool told; /* err was returned */
	uint64_t frames;
	uint64_t flushed_ns;
	size_t len;
	char buffer[RECORDING_BUFFER_BYTES];
};

/* ---- the header ---- */

/* One line each, in this order; what must be the same here and there is compared as text. */
enum line {
	LINE_FORMAT,
	LINE_BYTE_ORDER,
	LINE_SIZES,
	LINE_VERSION,
	LINE_REVISION,
	LINE_KERNEL,
	LINE_BEGUN,
	LINE_TRACKED_MAX,
	LINE_PEERS_MAX,
	LINE_SERIES_MAX,
	LINE_PEERS_TTL,
	LINE_AGGREGATE,
	LINE_HANDSHAKE,
	LINE_LIFETIME,
	LINES,
};

static const char *const line_names[LINES] = {
	[LINE_FORMAT] = "poolscope-recording",
	[LINE_BYTE_ORDER] = "byte-order",
	[LINE_SIZES] = "sizes",
	[LINE_VERSION] = "version",
	[LINE_REVISION] = "revision",
	[LINE_KERNEL] = "kernel",
	[LINE_BEGUN] = "begun-ns",
	[LINE_TRACKED_MAX] = "tracked-max",
	[LINE_PEERS_MAX] = "peers-max",
	[LINE_SERIES_MAX] = "series-max",
	[LINE_PEERS_TTL] = "peers-ttl-ns",
	[LINE_AGGREGATE] = "peers-aggregate",
	[LINE_HANDSHAKE] = "buckets-handshake",
	[LINE_LIFETIME] = "buckets-lifetime",
};

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define BYTE_ORDER_TEXT "little"
#else
#define BYTE_ORDER_TEXT "big"
#endif

static void format_bounds(FILE *out, const struct histogram_bounds *b)
{
	for (uint32_t i = 0; i < b->count; i++)
		fprintf(out, "%s%s", i ? "," : "", b->le[i]);
}

static void format_aggregate(FILE *out, const struct pools_config *config)
{
	for (uint32_t i = 0; i < config->aggregate_count; i++) {
		char text[ADDRESS_TEXT_MAX];

		address_prefix_format(&config->aggregate[i], text);
		fprintf(out, "%s%s", i ? "," : "", text);
	}
}

/* What frames carry: a file of another layout is another format. */
static void format_sizes(FILE *out)
{
	fprintf(out, "message=%zu accept=%zu shown=%zu record=%zu listener=%zu counters=%zu",
		sizeof(struct ps_message_record), sizeof(struct ps_message_accept),
		sizeof(struct ps_message_shown), sizeof(struct ps_record),
		sizeof(struct ps_listener_row), sizeof(struct gather_counters));
}

static void format_line(FILE *out, enum line line, const struct recording_header *h)
{
	switch (line) {
	case LINE_FORMAT:
		fprintf(out, "%d", RECORDING_FORMAT);
		break;
	case LINE_BYTE_ORDER:
		fputs(BYTE_ORDER_TEXT, out);
		break;
	case LINE_SIZES:
		format_sizes(out);
		break;
	case LINE_VERSION:
		fputs(h->version, out);
		break;
	case LINE_REVISION:
		fputs(h->revision, out);
		break;
	case LINE_KERNEL:
		fputs(h->kernel, out);
		break;
	case LINE_BEGUN:
		fprintf(out, "%llu", (unsigned long long)h->begun_realtime_ns);
		break;
	case LINE_TRACKED_MAX:
		fprintf(out, "%u", h->tracked_max);
		break;
	case LINE_PEERS_MAX:
		fprintf(out, "%u", h->config.peers_max);
		break;
	case LINE_SERIES_MAX:
		fprintf(out, "%u", h->config.series_max);
		break;
	case LINE_PEERS_TTL:
		fprintf(out, "%llu", (unsigned long long)h->config.ttl_ns);
		break;
	case LINE_AGGREGATE:
		format_aggregate(out, &h->config);
		break;
	case LINE_HANDSHAKE:
		format_bounds(out, &h->config.handshake);
		break;
	case LINE_LIFETIME:
		format_bounds(out, &h->config.lifetime);
		break;
	case LINES:
		break;
	}
}

size_t recording_header_format(const struct recording_header *h, char ret[RECORDING_HEADER_MAX])
{
	_cleanup_fclose_ FILE *out = fmemopen(ret, RECORDING_HEADER_MAX, "w");

	if (!out)
		return 0;
	for (enum line line = 0; line < LINES; line++) {
		fprintf(out, "%s ", line_names[line]);
		format_line(out, line, h);
		fputc('\n', out);
	}
	fputc('\n', out);
	return fflush(out) || ferror(out) ? 0 : (size_t)ftell(out);
}

static int parse_u64(const char *text, uint64_t max, uint64_t *ret)
{
	char *end;

	errno = 0;
	*ret = strtoull(text, &end, 10);
	return *text < '0' || *text > '9' || *end || errno || *ret > max ? -EINVAL : 0;
}

static int parse_u32(const char *text, uint32_t *ret)
{
	uint64_t n;
	int err = parse_u64(text, UINT32_MAX, &n);

	*ret = (uint32_t)n;
	return err;
}

static int parse_text(const char *text, char ret[RECORDING_TEXT_MAX])
{
	size_t len = strlen(text);

	for (size_t i = 0; i < len; i++)
		if (text[i] < ' ' || text[i] > '~')
			return -EINVAL;
	if (!len || len >= RECORDING_TEXT_MAX)
		return -EINVAL;
	memcpy(ret, text, len + 1);
	return 0;
}

static int parse_aggregate(char *text, struct pools_config *ret)
{
	char *rest = NULL;

	for (char *item = strtok_r(text, ",", &rest); item; item = strtok_r(NULL, ",", &rest)) {
		if (ret->aggregate_count == POOLS_AGGREGATES_MAX ||
		    address_prefix_parse(item, &ret->aggregate[ret->aggregate_count]))
			return -EINVAL;
		ret->aggregate_count++;
	}
	return 0;
}

static int parse_line(enum line line, char *text, struct recording_header *ret)
{
	char why[8];

	switch (line) {
	case LINE_VERSION:
		return parse_text(text, ret->version);
	case LINE_REVISION:
		return parse_text(text, ret->revision);
	case LINE_KERNEL:
		return parse_text(text, ret->kernel);
	case LINE_BEGUN:
		return parse_u64(text, UINT64_MAX, &ret->begun_realtime_ns);
	case LINE_TRACKED_MAX:
		return parse_u32(text, &ret->tracked_max);
	case LINE_PEERS_MAX:
		return parse_u32(text, &ret->config.peers_max);
	case LINE_SERIES_MAX:
		return parse_u32(text, &ret->config.series_max);
	case LINE_PEERS_TTL:
		return parse_u64(text, UINT64_MAX, &ret->config.ttl_ns);
	case LINE_AGGREGATE:
		return parse_aggregate(text, &ret->config);
	case LINE_HANDSHAKE:
		return histogram_bounds_parse(text, &ret->config.handshake, why, sizeof(why));
	case LINE_LIFETIME:
		return histogram_bounds_parse(text, &ret->config.lifetime, why, sizeof(why));
	default:
		return -EINVAL;
	}
}

/* What this program writes in the same place, for lines that must be equal. NULL: they need not. */
static const char *expected_text(enum line line, char ret[256])
{
	_cleanup_fclose_ FILE *out = line <= LINE_SIZES ? fmemopen(ret, 256, "w") : NULL;

	if (!out)
		return NULL;
	format_line(out, line, NULL);
	return ret;
}

/* Foreign bytes come to a terminal: none of them restyles it. */
static void make_printable(char *text)
{
	for (; *text; text++)
		if (*text < ' ' || *text > '~')
			*text = '?';
}

/* One line without its end. */
static int read_line(enum line line, const char *at, size_t len, struct recording_header *ret,
		     char *why, size_t why_size)
{
	size_t name_len = strlen(line_names[line]);
	char text[RECORDING_HEADER_MAX], expected[256] = "";

	if (len <= name_len || memcmp(at, line_names[line], name_len) || at[name_len] != ' ' ||
	    memchr(at, 0, len)) {
		snprintf(why, why_size,
			 line ? "the header lacks its line \"%s\""
			      : "this is no recording (no \"%s\")",
			 line_names[line]);
		return -EINVAL;
	}
	memcpy(text, at + name_len + 1, len - name_len - 1);
	text[len - name_len - 1] = '\0';
	if (expected_text(line, expected)) {
		if (strcmp(text, expected) == 0)
			return 0;
		make_printable(text);
		snprintf(why, why_size, "%s is \"%.100s\", and this program reads \"%s\"",
			 line_names[line], text, expected);
		return -EINVAL;
	}
	if (!parse_line(line, text, ret))
		return 0;
	snprintf(why, why_size, "the header's line \"%s\" is wrong", line_names[line]);
	return -EINVAL;
}

int recording_header_parse(const char *text, size_t len, struct recording_header *ret,
			   size_t *ret_offset, char *why, size_t why_size)
{
	struct recording_header h = {};
	size_t at = 0;

	*ret_offset = 0;
	for (enum line line = 0; line < LINES; line++) {
		const char *end = memchr(text + at, '\n', len - at);
		size_t first = strlen(line_names[0]);
		int err;

		if (!end && len < RECORDING_HEADER_MAX &&
		    !memcmp(text, line_names[0], len < first ? len : first))
			return -ENODATA;
		if (!end) /* one that names no line, and is told so */
			end = text + at;
		err = read_line(line, text + at, (size_t)(end - text) - at, &h, why, why_size);
		if (err)
			return err;
		at = (size_t)(end - text) + 1;
		*ret_offset = at;
	}
	if (at == len)
		return -ENODATA;
	if (text[at] != '\n') {
		snprintf(why, why_size, "the header has a line too many");
		return -EINVAL;
	}
	*ret = h;
	return (int)at + 1;
}

/* ---- the file ---- */

static void fail(struct recording *r, int err)
{
	r->err = err;
	close(r->fd);
	r->fd = -1;
	r->len = 0;
}

static void write_buffer(struct recording *r)
{
	uint64_t begin_ns = util_now_ns();
	size_t at = 0;

	while (at < r->len) {
		ssize_t n = write(r->fd, r->buffer + at, r->len - at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			fail(r, n < 0 ? -errno : -EIO);
			return;
		}
		at += (size_t)n;
	}
	r->len = 0;
	r->flushed_ns = util_now_ns();
	if (r->flushed_ns - begin_ns > RECORDING_PATIENCE_NS)
		fail(r, -ETIME);
}

/* A payload in up to two pieces. */
static void put(struct recording *r, enum recording_kind kind, const void *a, size_t a_size,
		const void *b, size_t b_size)
{
	struct recording_frame frame = {.kind = kind, .size = (uint32_t)(a_size + b_size)};

	if (!r || r->err)
		return;
	if (sizeof(r->buffer) - r->len < sizeof(frame) + frame.size)
		write_buffer(r);
	if (r->err)
		return;
	memcpy(r->buffer + r->len, &frame, sizeof(frame));
	r->len += sizeof(frame);
	if (a_size)
		memcpy(r->buffer + r->len, a, a_size);
	r->len += a_size;
	if (b_size)
		memcpy(r->buffer + r->len, b, b_size);
	r->len += b_size;
	r->frames++;
}

int recording_open_fd(struct recording **ret, int fd, const struct recording_header *h)
{
	_Static_assert(sizeof(struct recording_frame) + RECORDING_PAYLOAD_MAX <=
			       RECORDING_BUFFER_BYTES,
		       "a frame fits an empty buffer");
	_Static_assert(RECORDING_HEADER_MAX <= RECORDING_BUFFER_BYTES, "so does the header");
	struct recording *r = malloc(sizeof(*r));
	int err;

	if (!r) {
		close(fd);
		return -ENOMEM;
	}
	/* the buffer is only ever read where it was written */
	memset(r, 0, offsetof(struct recording, buffer));
	r->fd = fd;
	r->len = recording_header_format(h, r->buffer);
	if (r->len)
		write_buffer(r);
	else
		fail(r, -EINVAL);
	err = r->err;
	if (err)
		free(r);
	else
		*ret = r;
	return err;
}

int recording_open(struct recording **ret, const char *path, const struct recording_header *h)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600), err;

	if (fd < 0)
		return -errno;
	err = recording_open_fd(ret, fd, h);
	if (err)
		unlink(path);
	else
		(*ret)->path = path;
	return err;
}

int recording_close(struct recording *r)
{
	uint64_t frames;
	int err;

	if (!r)
		return 0;
	frames = r->frames;
	put(r, RECORDING_END, &frames, sizeof(frames), NULL, 0);
	if (!r->err)
		write_buffer(r);
	err = r->told ? 0 : r->err;
	if (r->fd >= 0 && close(r->fd))
		err = -errno;
	free(r);
	return err;
}

void recording_discard(struct recording *r)
{
	if (!r)
		return;
	if (r->path)
		unlink(r->path);
	cleanup_close(&r->fd);
	free(r);
}

int recording_flush(struct recording *r, uint64_t now_ns)
{
	if (!r || r->told)
		return 0;
	if (!r->err && r->len && now_ns >= r->flushed_ns + FLUSH_NS)
		write_buffer(r);
	r->told = r->err != 0;
	return r->err;
}

/* ---- the frames ---- */

void recording_clock(struct recording *r, uint64_t now_ns)
{
	put(r, RECORDING_CLOCK, &now_ns, sizeof(now_ns), NULL, 0);
}

void recording_message(struct recording *r, const void *data, size_t size)
{
	put(r, RECORDING_MESSAGE, data, size < RECORDING_MESSAGE_MAX ? size : RECORDING_MESSAGE_MAX,
	    NULL, 0);
}

void recording_drained(struct recording *r, uint64_t consumed, uint64_t produced)
{
	const struct recording_ring ring = {consumed, produced};

	put(r, RECORDING_DRAINED, &ring, sizeof(ring), NULL, 0);
}

void recording_parked(struct recording *r, const struct ps_record *record)
{
	put(r, RECORDING_PARKED, record, sizeof(*record), NULL, 0);
}

void recording_orphans(struct recording *r, uint32_t max)
{
	put(r, RECORDING_ORPHANS, &max, sizeof(max), NULL, 0);
}

void recording_expire(struct recording *r, uint32_t slots)
{
	put(r, RECORDING_EXPIRE, &slots, sizeof(slots), NULL, 0);
}

void recording_owner(struct recording *r, uint32_t owner, const char *name)
{
	put(r, RECORDING_OWNER, &owner, sizeof(owner), name, strlen(name));
}

void recording_owner_dropped(struct recording *r, uint32_t owner)
{
	put(r, RECORDING_OWNER_DROPPED, &owner, sizeof(owner), NULL, 0);
}

void recording_listener(struct recording *r, const struct ps_listener_row *row)
{
	put(r, RECORDING_LISTENER, row, sizeof(*row), NULL, 0);
}

void recording_queued(struct recording *r, const uint64_t *cookies, size_t count)
{
	for (size_t at = 0; at < count; at += COOKIES_MAX) {
		size_t n = count - at < COOKIES_MAX ? count - at : COOKIES_MAX;

		put(r, RECORDING_QUEUED, cookies + at, n * sizeof(*cookies), NULL, 0);
	}
}

void recording_processes(struct recording *r, const struct recording_processes *rows, size_t count)
{
	put(r, RECORDING_PROCESSES, rows, count * sizeof(*rows), NULL, 0);
}

void recording_counters(struct recording *r, const struct gather_counters *counters)
{
	put(r, RECORDING_COUNTERS, counters, sizeof(*counters), NULL, 0);
}

void recording_mark(struct recording *r, enum recording_kind kind)
{
	put(r, kind, NULL, 0, NULL, 0);
}
