# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
# Completion for bash of poolscoped and poolscope: commands, flags and their values. Runs no program. They stand here as in --help,
# which tests/lint/test_manual compares. Names of files that hold blanks are not completed.
# shellcheck shell=bash

_poolscoped_words=(
	'--pid=PID[=NAME]'
	'--unit=UNIT[=NAME]'
	'--cgroup=CGROUP[=NAME]'
	'--exe=FILE[=NAME]'
	'--comm=COMM[=NAME]'
	'--no-follow'
	'--accept-probe=auto|fexit|syscall|off'
	'--web.listen-address=ADDRESS:PORT'
	'--web.systemd-socket'
	'--web.telemetry-path=PATH'
	'--web.auth.token-file=FILE'
	'--web.tls.cert-file=FILE'
	'--web.tls.key-file=FILE'
	'--web.allow-unauthenticated'
	'--control.socket=PATH'
	'--control.group=GROUP'
	'--control.admin-group=GROUP'
	'--user=USER'
	'--peers.max=N'
	'--series.max=N'
	'--peers.aggregate=CIDR[,CIDR…]'
	'--peers.ttl=DURATION'
	'--ring-size=BYTES'
	'--reconcile-interval=DURATION'
	'--probe-stats'
	'--record=FILE'
	'--buckets.handshake=SECONDS[,…]'
	'--buckets.lifetime=SECONDS[,…]'
	'--log.level=error|warn|info|debug'
	'--log.format=logfmt|json'
	'--check'
	'--version'
	'--help'
)
_poolscope_words=(
	'attach PID[=NAME]'
	'detach PID|NAME'
	'list'
	'check'
	'snapshot'
	'connections'
	'replay FILE'
	'--socket=PATH'
	'--unit=UNIT[=NAME]'
	'--cgroup=CGROUP[=NAME]'
	'--exe=FILE[=NAME]'
	'--comm=COMM[=NAME]'
	'--no-follow'
	'--format=table|json|prom|openmetrics'
	'--watch[=SECONDS]'
	'--process=NAME'
	'--peer=ADDRESS|CIDR'
	'--limit=N'
	'--partial'
	'--version'
	'--help'
)

# What may stand for an argument that --help calls by this name.
_poolscope_value() { # name, beginning
	local -a pids
	case $1 in
	[a-z]*'|'*)
		mapfile -t COMPREPLY < <(compgen -W "${1//|/ }" -- "$2")
		;;
	FILE*)
		compopt -o filenames
		mapfile -t COMPREPLY < <(compgen -f -- "$2")
		;;
	USER)
		mapfile -t COMPREPLY < <(compgen -u -- "$2")
		;;
	GROUP)
		mapfile -t COMPREPLY < <(compgen -g -- "$2")
		;;
	PID*)
		pids=(/proc/[0-9]*)
		mapfile -t COMPREPLY < <(compgen -W "${pids[*]##*/}" -- "$2")
		;;
	esac
}

# The commands ('[!-]*') or flags ('-*') that begin so.
_poolscope_offer() { # pattern, beginning
	local entry word
	for entry in "${entries[@]}"; do
		word=${entry%%[ =[]*}
		[[ $entry != "$word="* ]] || word+='='
		# shellcheck disable=SC2053 # a pattern
		[[ $word != $1 || $word != "$2"* ]] || COMPREPLY+=("$word")
	done
	[[ ${#COMPREPLY[@]} != 1 || ${COMPREPLY[0]} != *= ]] || compopt -o nospace
}

# A value follows its flag behind '=', where bash may begin a new word or not, or as the next argument.
_poolscope() { # program
	local -n entries=_${1##*/}_words
	local line=${COMP_LINE:0:COMP_POINT} word name value prefix='' entry command=''
	local -a before
	word=${line##*[[:blank:]]}
	read -r -a before <<<"${line%"$word"}"
	name=${before[-1]} value=$word
	if [[ $word == --*=* ]]; then
		name=${word%%=*} value=${word#*=}
		[[ $COMP_WORDBREAKS == *=* ]] || prefix=$name=
	fi
	COMPREPLY=()
	for entry in "${entries[@]}"; do
		if [[ $entry == "$name"[=\ ]* && $value != -* ]]; then
			_poolscope_value "${entry#"$name"?}" "$value"
			COMPREPLY=("${COMPREPLY[@]/#/"$prefix"}")
			return
		fi
		[[ $entry == -* || " ${before[*]:1} " != *" ${entry%% *} "* ]] || command=$entry
	done
	[[ $command ]] || _poolscope_offer '[!-]*' "$word"
	[[ ${#COMPREPLY[@]} != 0 ]] || _poolscope_offer '-*' "$word"
}

complete -F _poolscope poolscoped poolscope
