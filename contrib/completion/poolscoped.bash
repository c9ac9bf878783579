# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
# Completion of poolscoped's flags and of their values, for bash. Runs no program. The flags stand here as in --help, which
# tests/lint/test_manual compares. Names of files that hold blanks are not completed.
# shellcheck shell=bash

_poolscoped_flags=(
	'--pid=PID[=NAME]'
	'--no-follow'
	'--accept-probe=auto|fexit|syscall|off'
	'--web.listen-address=ADDRESS:PORT'
	'--web.systemd-socket'
	'--web.telemetry-path=PATH'
	'--web.auth.token-file=FILE'
	'--web.tls.cert-file=FILE'
	'--web.tls.key-file=FILE'
	'--web.allow-unauthenticated'
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

# What may stand for an argument that --help calls by this name.
_poolscoped_value() { # name, beginning
	local -a pids
	case $1 in
	*'|'*)
		mapfile -t COMPREPLY < <(compgen -W "${1//|/ }" -- "$2")
		;;
	FILE)
		compopt -o filenames
		mapfile -t COMPREPLY < <(compgen -f -- "$2")
		;;
	USER)
		mapfile -t COMPREPLY < <(compgen -u -- "$2")
		;;
	PID*)
		pids=(/proc/[0-9]*)
		mapfile -t COMPREPLY < <(compgen -W "${pids[*]##*/}" -- "$2")
		;;
	esac
}

_poolscoped_flag() { # beginning
	local flag
	for flag in "${_poolscoped_flags[@]}"; do
		case $flag in
		"$1"*=*) COMPREPLY+=("${flag%%=*}=") ;;
		"$1"*) COMPREPLY+=("$flag") ;;
		esac
	done
	[[ ${#COMPREPLY[@]} != 1 || ${COMPREPLY[0]} != *= ]] || compopt -o nospace
}

# A value follows its flag behind '=', where bash may begin a new word or not, or as the next argument.
_poolscoped() {
	local line=${COMP_LINE:0:COMP_POINT} word name value prefix='' flag
	local -a before
	word=${line##*[[:blank:]]}
	value=$word
	if [[ $word == --*=* ]]; then
		name=${word%%=*} value=${word#*=}
		[[ $COMP_WORDBREAKS == *=* ]] || prefix=$name=
	else
		read -r -a before <<<"${line%"$word"}"
		name=${before[-1]}
	fi
	COMPREPLY=()
	for flag in "${_poolscoped_flags[@]}"; do
		if [[ $flag == "$name="* ]]; then
			_poolscoped_value "${flag#*=}" "$value"
			COMPREPLY=("${COMPREPLY[@]/#/"$prefix"}")
			return
		fi
	done
	_poolscoped_flag "$word"
}

complete -F _poolscoped poolscoped
