#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
# What `make run` does: attaches poolscoped to the process PID, or else to a demo workload that it starts, prints a summary of
# /metrics a few times, and serves until it is interrupted, or for DURATION seconds.
#
#   PID, PORT (10935), DURATION, POOLSCOPED (build/poolscoped), DEMO (build/demo)
set -u
cd "$(dirname "$0")/../.." || exit 1

poolscoped=${POOLSCOPED:-build/poolscoped}
demo=${DEMO:-build/demo}
port=${PORT:-10935}
duration=${DURATION:-}
refreshes=3
refresh_s=2
started=()

# A number without leading zeros, from 1 to $3: bash would read 08 as octal.
want_number() { # name, value, most
	[[ $2 =~ ^[1-9][0-9]{0,8}$ && $2 -le $3 ]] && return
	echo "$1 is a number from 1 to $3, not '$2'" >&2
	exit 2
}
want_number PORT "$port" 65535
[ -z "$duration" ] || want_number DURATION "$duration" 31536000

finish() {
	trap '' INT TERM
	[ ${#started[@]} -eq 0 ] || { kill "${started[@]}"; wait "${started[@]}"; } 2>/dev/null
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# One GET, head and body; nothing if nobody listens.
get() {
	local socket
	{ exec {socket}<>"/dev/tcp/127.0.0.1/$port"; } 2>/dev/null || return 1
	printf 'GET %s HTTP/1.0\r\nHost: localhost\r\n\r\n' "$1" >&"$socket"
	timeout 5 cat <&"$socket" # a stranger's server may never answer
	exec {socket}>&-
}

# Waits, but not longer than the daemon runs: its exit code becomes ours.
pause() {
	local sleeper ended code
	sleep "$1" &
	sleeper=$!
	wait -n -p ended "$daemon" "$sleeper"
	code=$?
	[ "$ended" = "$sleeper" ] && return
	kill "$sleeper" 2>/dev/null
	exit "$code"
}

if [ -n "${PID:-}" ]; then
	targets=(--pid "$PID")
	what="process $PID"
else
	exec {pids}< <(exec "$demo")
	started+=($!)
	read -r server client <&"$pids" || { echo "the demo does not start: $demo" >&2; exit 1; }
	targets=(--pid "$server=demo-server" --pid "$client=demo-client")
	what="the demo workload (demo-server: $server, demo-client: $client)"
fi
targets+=(--web.listen-address "127.0.0.1:$port")

# A stranger's answer must not be taken for ours; the daemon says best what is wrong.
if get / >/dev/null; then
	"$poolscoped" "${targets[@]}"
	exit
fi

"$poolscoped" "${targets[@]}" &
daemon=$!
started+=("$daemon")
SECONDS=0
until answer=$(get /-/ready) && [[ $answer == *' 200 '* ]]; do
	pause 0.1
done

echo
echo "poolscope watches $what."
echo "Metrics: http://127.0.0.1:$port/metrics (try: curl -s http://127.0.0.1:$port/metrics)"
echo "P50 and P99 are those of the handshake, interpolated as Prometheus does it."
for ((i = 0; i < refreshes; i++)); do
	[ -z "$duration" ] || [ $((SECONDS + refresh_s)) -le "$duration" ] || break
	pause "$refresh_s"
	echo
	get /metrics | awk -f contrib/demo/summary.awk
done
echo
if [ -z "$duration" ]; then
	echo "Serving until interrupted (Ctrl-C)."
	pause infinity
elif [ "$SECONDS" -lt "$duration" ]; then
	echo "Serving for $((duration - SECONDS)) s more."
	pause $((duration - SECONDS))
fi
