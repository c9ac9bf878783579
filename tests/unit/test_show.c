/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* What people see: quantiles as Prometheus estimates them, times in words, tables character by character. */
#include "check.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "quantile.h"
#include "show.h"
#include "table.h"
#include "util.h"

/* By histogram_quantile() of Prometheus 2.42, over the cumulative buckets. */
static void quantiles_are_those_of_prometheus(void **state)
{
	static const double upper[] = {0.1, 0.5, 1};
	static const struct {
		uint64_t buckets[4];
		double q, expected;
	} rows[] = {
		{{10, 0, 0, 0}, 0.5, 0.05},	 {{10, 0, 0, 0}, 0.99, 0.099},
		{{0, 10, 0, 0}, 0.5, 0.3},	 {{5, 5, 0, 0}, 0.5, 0.1},
		{{5, 5, 10, 0}, 0.9, 0.9},	 {{1, 0, 0, 1}, 0.5, 0.1},
		{{1, 0, 0, 1}, 0.99, 1},	 {{0, 0, 0, 7}, 0.5, 1},
		{{2, 0, 2, 0}, 0.75, 0.75},	 {{0, 0, 1, 0}, 0.5, 0.75},
		{{100, 0, 0, 1}, 0.99, 0.09999},
	};
	static const uint64_t none[4];

	(void)state;
	assert_true(isnan(quantile(0.5, upper, none, 3)));
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		double found = quantile(rows[i].q, upper, rows[i].buckets, 3);

		if (fabs(found - rows[i].expected) > 1e-12)
			fail_msg("row %zu: %.17g", i, found);
	}
}

static void times_are_short(void **state)
{
	static const struct {
		double seconds;
		const char *text;
	} rows[] = {
		{0, "0us"},	 {0.00005, "50us"}, {0.0012345, "1.23ms"},
		{0.1, "100ms"},	 {1, "1s"},	    {42.5, "42.5s"},
		{450, "7.5m"},	 {43200, "12h"},    {86400 * 3, "72h"},
		{864000, "10d"}, {NAN, "-"},
	};
	char text[SHOW_SECONDS_MAX];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		show_seconds(rows[i].seconds, text);
		assert_string_equal(text, rows[i].text);
	}
}

static char shown[8192];

static void show_json(show_fn *fn, const char *text, bool color)
{
	FILE *out = fmemopen(shown, sizeof(shown), "w");
	json_t *answer = json_loads(text, 0, NULL);

	assert_non_null(answer);
	assert_true(fn(answer, out, color));
	json_decref(answer);
	fclose(out);
}

#define BOUNDS "\"bounds\":{\"handshake_seconds\":[0.001,1.0],\"lifetime_seconds\":[60.0]}"
#define CLOSED \
	"{\"local\":1,\"peer\":2,\"reset_by_peer\":0,\"reset_by_local\":0,\"timeout\":0,\"other\":0}"
#define OUT                                                                                    \
	"{\"process\":\"w\\u00e9b\",\"direction\":\"outbound\",\"peer_address\":\"10.0.0.1\"," \
	"\"server_port\":5432,\"active\":12,\"pending\":1,\"queued\":null,\"stale\":0,"        \
	"\"opened\":100,\"closed\":" CLOSED ",\"failed\":{\"refused\":4,\"timeout\":5},"       \
	"\"handshake\":{\"count\":2,\"buckets\":[2,0,0]},"                                     \
	"\"lifetime\":{\"count\":4,\"buckets\":[4,0]}}"
#define IN                                                                                        \
	"{\"process\":\"a\\u001bb\",\"direction\":\"inbound\",\"peer_address\":\"2001:db8::1\","  \
	"\"server_port\":80,\"active\":0,\"pending\":null,\"queued\":3,\"stale\":1,\"opened\":0," \
	"\"closed\":" CLOSED ",\"failed\":null,\"handshake\":{\"count\":0,\"buckets\":[0,0,0]},"  \
	"\"lifetime\":{\"count\":0,\"buckets\":[0,0]}}"
#define OTHER \
	"{\"process\":\"web\",\"direction\":\"inbound\",\"peer_address\":\"other\",\"server_port\":null}"

static void a_snapshot_is_a_table(void **state)
{
	(void)state;
	show_json(show_snapshot,
		  "{" BOUNDS ",\"listeners\":[],\"series\":[" OUT "," IN "," OTHER "]}", false);
	assert_string_equal(
		shown,
		"PROCESS  DIRECTION  PEER              ACTIVE  PENDING  QUEUED  STALE  OPENED  CLOSED  FAILED  HANDSHAKE P50    P99  LIFETIME P50\n"
		"w\xc3\xa9"
		"b      outbound   10.0.0.1:5432         12        1       -      0     100       3       9          500us  990us           30s\n"
		"a?b      inbound    [2001:db8::1]:80       0        -       3      1       0       3       -              -      -             -\n"
		"web      inbound    other                  -        -       -      -       -       -       -              -      -             -\n");
}

static void what_calls_for_attention_is_marked_on_a_terminal_only(void **state)
{
	(void)state;
	show_json(show_snapshot, "{" BOUNDS ",\"series\":[" OUT "]}", false);
	assert_null(strchr(shown, '\033'));
	show_json(show_snapshot, "{" BOUNDS ",\"series\":[" OUT "]}", true);
	assert_non_null(strstr(shown, "\033[1mPROCESS\033[0m"));
	assert_non_null(strstr(shown, "\033[33m9\033[0m")); /* failed */
	assert_non_null(strstr(shown, "\033[33m1\033[0m")); /* pending */
	assert_null(strstr(shown, "\033[33m0\033[0m"));
	assert_null(strstr(shown, "\033[33m12\033[0m"));
}

static void listeners_stand_below(void **state)
{
	(void)state;
	show_json(show_snapshot,
		  "{\"series\":[],\"listeners\":[{\"process\":\"web\",\"server_port\":80,"
		  "\"listeners\":1,\"half_open\":2,\"queue_limit\":511,\"dropped\":7}]}",
		  false);
	assert_non_null(strstr(shown, "\n\n"
				      "PROCESS  LISTENS AT  HALF OPEN  QUEUE LIMIT  DROPPED\n"
				      "web              80          2          511        7\n"));
}

static void targets_checks_and_connections_are_tables(void **state)
{
	(void)state;
	show_json(
		show_list,
		"{\"targets\":[{\"name\":\"web\",\"pid\":12,\"selector\":null,\"follow\":true,\"processes\":[12,"
		"13]},{\"name\":\"x\",\"pid\":4194304,\"follow\":false,\"processes\":[]},"
		"{\"name\":\"cache\",\"pid\":null,\"selector\":\"unit:redis.service\",\"follow\":true,\"processes\":[1,2,3]}]}",
		false);
	assert_string_equal(shown, "NAME       PID  SELECTOR            FOLLOWED  PROCESSES NOW\n"
				   "web         12  -                   yes                   2\n"
				   "x      4194304  -                   no                    0\n"
				   "cache        -  unit:redis.service  yes                   3\n");
	show_json(show_check,
		  "{\"checks\":[{\"id\":\"fexit\",\"present\":false,\"detail\":\"refused\"},"
		  "{\"id\":\"kernel BTF\",\"present\":true,\"detail\":\"/sys\"}],"
		  "\"programs\":[{\"program\":\"fork\",\"attach\":\"tp_btf\"}]}",
		  false);
	assert_string_equal(shown, "WHAT        HERE  HOW, OR WHAT TO DO\n"
				   "fexit       no    refused\n"
				   "kernel BTF  yes   /sys\n"
				   "fork        runs  tp_btf\n");
	show_json(show_connections,
		  "{\"total\":9,\"limit\":1,\"truncated\":true,\"connections\":[{\"process\":"
		  "\"web\",\"pid\":null,\"direction\":\"inbound\",\"state\":\"queued\","
		  "\"peer_address\":\"10.0.0.1\",\"peer_port\":5555,\"server_port\":80,"
		  "\"local_port\":80,\"age_seconds\":1.5,\"handshake_seconds\":null,"
		  "\"rtt_seconds\":0.0001,\"bytes_sent\":1,\"bytes_received\":2,"
		  "\"retransmits\":0}]}",
		  false);
	assert_string_equal(
		shown,
		"PROCESS  PID  DIRECTION  STATE   PEER           LOCAL PORT   AGE  HANDSHAKE    RTT  SENT  RECEIVED  RETRANSMITS\n"
		"web        -  inbound    queued  10.0.0.1:5555          80  1.5s          -  100us     1         2            0\n"
		"1 of 9 (--limit)\n");
}

static void long_and_foreign_cells_stay_one_line(void **state)
{
	static const struct table_column columns[] = {{"A", false}, {"B", true}, {NULL, false}};
	FILE *out = fmemopen(shown, sizeof(shown), "w");
	struct table *t = table_open(columns);

	(void)state;
	assert_non_null(t);
	table_cell(t, "%0300d", 0);
	table_cell(t, "x\ny\xff\033[31m");
	assert_true(table_print(t, out, false));
	table_close(t);
	fclose(out);
	assert_int_equal(strspn(strchr(shown, '\n') + 1, "0"), TABLE_CELL_MAX - 1);
	assert_non_null(strstr(shown, "  x?y??[31m\n"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(quantiles_are_those_of_prometheus),
		cmocka_unit_test(times_are_short),
		cmocka_unit_test(a_snapshot_is_a_table),
		cmocka_unit_test(what_calls_for_attention_is_marked_on_a_terminal_only),
		cmocka_unit_test(listeners_stand_below),
		cmocka_unit_test(targets_checks_and_connections_are_tables),
		cmocka_unit_test(long_and_foreign_cells_stay_one_line),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
