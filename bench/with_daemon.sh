# What the scripts share that start the daemon, feed and subscribers themselves
# (journal_cost.sh, slow_subscribers.sh); sourced.  They are called with BUILD_DIR
# and the DIRECTORY for the journals, and have a function `config` that prints
# the daemon's configuration, and `subscription`, options of `ringtick sub`.

LC_ALL=C
export LC_ALL

# shellcheck source=bench/common.sh
. "$(dirname "$(realpath "$0")")/common.sh"
if [ $# -lt 1 ] || [ $# -gt 2 ]; then
	usage
fi
build=$(realpath "$1") || exit 1
scratch=$(mktemp -d "$(realpath "${2:-/tmp}")/ringtick-bench.XXXXXX") || exit 1
cd "$here/.." || exit 1
log=$scratch/log
results=$scratch/results	# lines "KEY VALUE"

stop()
{
	local pid

	for pid in $(jobs -p); do
		kill "$pid" 2>/dev/null
	done
	wait
	rm -rf "$scratch"
}
stop_at_exit

# ---- figures ----

field()	# NAME FILE [LINES_WITH]: what NAME= is in the last such line
{
	sed -n "/${3-}/s/.* $1=\([^ ]*\).*/\1/p" "$2" | tail -n 1
}

calculate()	# FORMAT EXPRESSION
{
	awk "BEGIN { printf \"$1\", $2 }"
}

note()	# KEY VALUE
{
	echo "$*" >>"$results"
}

values()	# KEY: from the least to the greatest
{
	awk -v key="$1" '$1 == key { print $2 }' "$results" | sort -g
}

median()	# KEY
{
	values "$1" | awk '{ v[NR] = $1 }
		END { print NR ? v[int((NR + 1) / 2)] : "nan" }'
}

ratio()	# KEY KEY
{
	calculate %.2f "$(median "$1") / $(median "$2")"
}

now_us()
{
	echo "${EPOCHREALTIME/./}"
}

note_cat()	# KEY FILE: GB/s of cat; the file is in the page cache then
{
	local start_us

	cat "$2" >/dev/null
	start_us=$(now_us)
	cat "$2" >/dev/null
	note "$1" "$(calculate %.3f \
		"$(stat -c %s "$2") / 1e3 / ($(now_us) - $start_us)")"
}

# ---- tables ----

conditions()
{
	machine
	echo "Journals on $(df --output=fstype "$scratch" | tail -n 1)," \
		"load before: $(cut -d' ' -f1 /proc/loadavg)." \
		"Medians on a machine that may do other work: read the ratios."
}

heading()	# COLUMN...
{
	printf '\n|'
	printf ' %s |' "$@"
	printf '\n|'
	printf -- '---|%.0s' "$@"
	printf '\n'
}

# ---- the daemon ----

await()	# TEXT in the daemon's log; PROCESS that brings it, FILE of its words
{
	local i

	for ((i = 0; i < 500; i++)); do
		grep -q "$1" "$log" && return
		kill -0 "$2" 2>/dev/null || break
		sleep 0.02
	done
	die "no $1 in the daemon's log; the last words are" "$3"
}

start_daemon()	# ARGUMENT of config
{
	config "$1" >"$scratch/conf"
	: >"$log"
	"$build/ringtickd" -c "$scratch/conf" 2>"$log" &
	daemon=$!
	await event=ready "$daemon" "$log"
	port=$(field port "$log" event=ready)
}

stop_daemon()
{
	kill "$daemon"
	wait "$daemon" || die "the daemon failed; its log ends with" "$log"
}

# From a feed to a subscriber of that name, all messages.  The subscriber's
# account is in $scratch/sub.
transfer()	# USER COUNT FEED_OPTION...
{
	local feed sub

	"$build/ringtick" sub -p "$port" "${subscription[@]}" --user "$1" \
		--rates --latency --count "$2" --seconds 60 \
		>"$scratch/sub" 2>&1 &
	sub=$!
	await "event=subscribe.* user=$1 " "$sub" "$scratch/sub"
	"$build/ringtick" feed -p "$port" --count "$2" "${@:3}" \
		>"$scratch/feed" 2>&1 &
	feed=$!
	wait "$feed" || die "the feed failed; it says" "$scratch/feed"
	wait "$sub" || die "the subscriber failed; it says" "$scratch/sub"
	[ "$(field messages "$scratch/sub" ^total)" = "$2" ] ||
		die "of $2 messages not all came" "$scratch/sub"
}
