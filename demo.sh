#!/bin/bash
# Shows ringtick at work: builds it, starts the daemon with etc/demo.conf, a
# feed, a fast subscriber and a slow one, and prints what they say until Ctrl-C.
#
#   ./demo.sh [--seconds N] [--port P]
#
# Needs no kdb+ and no root, but for installing compilers that are missing.
# Everything stays on 127.0.0.1.
set -u
cd "$(dirname "$0")" || exit 1
. build-aux/common.sh

seconds=0
port=5010
while [ $# -gt 0 ]; do
	case $1 in
	--seconds)	seconds=${2-} ;;
	--port)		port=${2-} ;;
	*)		sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0"
			[ "$1" = --help ]
			exit ;;
	esac
	case ${2-} in
	''|*[!0-9]*)	echo "demo.sh: $1 takes a number" >&2
			exit 2 ;;
	esac
	shift 2
done

started=()
stop()
{
	trap - EXIT INT TERM
	# Clients first: then the daemon has nothing left to drain.
	for ((i = ${#started[@]} - 1; i >= 0; i--)); do
		kill -TERM "${started[i]}" 2>/dev/null
		wait "${started[i]}" 2>/dev/null
	done
	wait	# for the daemon's last lines to be shown
}
trap stop EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# start PREFIX COMMAND...: runs it, each line of its output after the prefix.
start()
{
	local prefix=$1
	shift
	"$@" > >(exec sed -u "s/^/$prefix | /") 2>&1 </dev/null &
	started+=($!)
}

need "${BUILD_NEEDS[@]}" || exit 1
mkdir -p build
echo "building (log: build/demo.log)"
if ! build build/demo >build/demo.log 2>&1; then
	tail -n 40 build/demo.log
	exit 1
fi

log=build/demo/ringtickd.log
: >$log	# there before it is looked at
build/demo/ringtickd -c etc/demo.conf -p "$port" >>$log 2>&1 </dev/null &
daemon=$!
started+=("$daemon")
tail -n +1 -s 0.2 -f --pid="$daemon" $log |
	sed -u 's/^<[0-7]>//; s/^/daemon | /' &
until grep -q event=ready $log; do
	kill -0 "$daemon" 2>/dev/null || exit 1
	sleep 0.1
done

ringtick=build/demo/ringtick
start 'fast  ' $ringtick sub -p "$port" --user fast --rates
start 'slow  ' $ringtick sub -p "$port" --user slow --rates --slow 200000
start 'feed  ' $ringtick feed -p "$port" --user feed -t trade,quote \
	--rate 500 --size 2000

[ "$seconds" -gt 0 ] || echo "Ctrl-C ends it"
# The summary comes by itself; now and then, all consumers' counters are asked
# for as well.
for ((t = 0; seconds == 0 || t < seconds; t++)); do
	kill -0 "$daemon" 2>/dev/null || exit 1
	[ $((t % 4)) -ne 3 ] || kill -USR1 "$daemon"
	sleep 1
done
