/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * One engine at a time. Knows no target.
 */
#include "engine.h"

#include <bpf/bpf.h>
#include <stdlib.h>
#include <string.h>

#include "exposition_check.h"
#include "log.h"
#include "version.h"

#define FDS_MAX 1024

static struct engine {
	struct daemon *daemon;
	struct options options;
	struct support support;
} engine;

struct daemon *engine_daemon(void)
{
	return engine.daemon;
}

static char *text_of(void *arg)
{
	const struct body_request request = {.format = NEGOTIATE_TEXT, .query = ""};
	size_t len = 0, cap = 1 << 20;
	char *text = malloc(cap), why[512] = "";
	void *body = NULL;
	ssize_t n;

	daemon_tick(arg);
	assert_int_equal(daemon_metrics.open(arg, &request, &body), 0);
	while ((n = daemon_metrics.read(body, text + len, cap - len - 1)) > 0)
		len += (size_t)n;
	assert_int_equal(n, 0);
	daemon_metrics.close(body);
	text[len] = '\0';
	if (exposition_check(text, why, sizeof(why)) != 0)
		fail_msg("%s", why);
	return text;
}

char *engine_text(void)
{
	return text_of(engine.daemon);
}

static void engine_open(void)
{
	char accept_probe[32], why[512] = "";
	char *argv[] = {(char *)"poolscoped", accept_probe, NULL};
	const char *wanted = getenv("ACCEPT_PROBE");

	snprintf(accept_probe, sizeof(accept_probe), "--accept-probe=%s", wanted ? wanted : "auto");
	assert_int_equal(options_parse(2, argv, &engine.options, version_text, stdout, stderr),
			 OPTIONS_RUN);
	support_probe(&engine.support);
	if (daemon_open(&engine.daemon, &engine.options, &engine.support, why, sizeof(why)))
		fail_msg("%s", why);
}

int engine_setup(void **state)
{
	struct scene *s;

	log_setup(LOG_WARN, LOG_LOGFMT);
	if (scene_setup(state) != 0)
		return -1;
	s = *state;
	engine_open();
	s->scrape = text_of;
	s->scrape_arg = engine.daemon;
	return 0;
}

int engine_teardown(void **state)
{
	daemon_close(engine.daemon);
	engine.daemon = NULL;
	return scene_teardown(state);
}

int engine_map(const char *name)
{
	for (int fd = 3; fd < FDS_MAX; fd++) {
		struct bpf_map_info info = {};
		__u32 size = sizeof(info);

		if (!bpf_obj_get_info_by_fd(fd, &info, &size) && size > 0 &&
		    strcmp(info.name, name) == 0)
			return fd;
	}
	fail_msg("no map %s", name);
	return -1;
}

long engine_count(const char *map)
{
	char key[ENGINE_KEY_MAX], next[ENGINE_KEY_MAX];
	long count = 0;
	int fd = engine_map(map);

	for (void *from = NULL; !bpf_map_get_next_key(fd, from, next); from = key) {
		memcpy(key, next, sizeof(key));
		count++;
	}
	return count;
}
