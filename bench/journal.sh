#!/bin/bash
# What the journal costs: end-to-end messages per second and the daemon's CPU
# time with the journal off and on, at four message sizes, alternating; then
# recovery speed against reading the same file.  Prints Markdown.
#
#   bench/journal.sh BUILD_DIR [DIRECTORY_FOR_JOURNALS]
#
# The machine's noise is in the figures: read the ratios, not the rates.
set -u
build=$1
directory=${2:-$(mktemp -d)}
seconds=2
rounds=3
port=$((20000 + $$ % 12000)) # below the ports that the kernel gives out

config()	# off|on
{
	cat <<-EOF
	listen = { port = $port; unix_socket = false; };
	schema = "$PWD/etc/sym.q";
	ring = { size = "64M"; };
	slow = { policy = "block"; block_limit = "60s"; };
	EOF
	[ "$1" = off ] || echo "journal = { directory = \"$directory\"; };"
}

cpu_ticks()
{
	awk '{ print $14 + $15 }' "/proc/$1/stat"
}

# Prints: messages per second, megabytes per second in, CPU seconds per GB
run()	# off|on SIZE
{
	local conf=$directory/bench.conf daemon sub ticks out rate mb

	rm -f "$directory"/sym* "$directory"/bench.log
	config "$1" >"$conf"
	"$build/ringtickd" -c "$conf" 2>"$directory/bench.log" &
	daemon=$!
	until grep -qs event=ready "$directory/bench.log"; do sleep 0.05; done
	"$build/ringtick" sub -p $port --rates >/dev/null 2>&1 &
	sub=$!
	ticks=$(cpu_ticks $daemon)
	out=$("$build/ringtick" feed -p $port --rate 0 --size "$2" \
		--seconds $seconds 2>&1 | grep '^total')
	ticks=$(($(cpu_ticks $daemon) - ticks))
	kill $sub $daemon
	wait $sub $daemon 2>/dev/null
	rate=$(sed 's/.*messages_s=\([0-9.]*\).*/\1/' <<<"$out")
	mb=$(sed 's/.*mb_s=\([0-9.]*\).*/\1/' <<<"$out")
	awk -v r="$rate" -v m="$mb" -v t="$ticks" -v s=$seconds \
		'BEGIN { printf "%.0f %.1f %.2f\n", r, m, t / 100 / (m * s / 1000) }'
}

median()	# of column $1 of the lines on stdin
{
	sort -n -k"$1,$1" | awk -v c="$1" '{ v[NR] = $c } END { print v[int((NR + 1) / 2)] }'
}

echo "| message | journal off, MB/s in | on, MB/s in | on / off | CPU s per GB off | on |"
echo "|---|---|---|---|---|---|"
for size in 100 1024 16384 262144; do
	off= on=
	for ((i = 0; i < rounds; i++)); do
		off+=$(run off $size)$'\n'
		on+=$(run on $size)$'\n'
	done
	awk -v size=$size -v a="$(median 2 <<<"${off%$'\n'}")" \
		-v b="$(median 2 <<<"${on%$'\n'}")" \
		-v ca="$(median 3 <<<"${off%$'\n'}")" \
		-v cb="$(median 3 <<<"${on%$'\n'}")" 'BEGIN {
		printf "| %d B | %.0f | %.0f | %.2f | %.2f | %.2f |\n",
			size, a, b, b / a, ca, cb }'
done

file=$(ls "$directory"/sym????.??.??)
echo
echo "Recovery of a journal of 100 B messages:"
run on 100 >/dev/null
cat "$file" >/dev/null
TIMEFORMAT='cat: %R s'
time cat "$file" >/dev/null
config on >"$directory/bench.conf"
rm -f "$directory/bench.log"
"$build/ringtickd" -c "$directory/bench.conf" 2>"$directory/bench.log" &
daemon=$!
until grep -qs event=ready "$directory/bench.log"; do sleep 0.05; done
grep -o 'records=[0-9]* bytes=[0-9]* seconds=[0-9.]* mb_s=[0-9]*' "$directory/bench.log"
kill $daemon
wait $daemon
rm -f "$directory"/sym* "$directory"/bench.*
