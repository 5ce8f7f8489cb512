# What the scripts of bench/ share; sourced.

here=$(dirname "$(realpath "$0")")

# The head of the script says how it is called.
usage()
{
	sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0" >&2
	exit 2
}

die()	# SENTENCE [FILE to show the end of]
{
	echo "$0: $1" >&2
	[ $# -lt 2 ] || tail -n 5 "$2" >&2
	exit 1
}

# Calls stop, a function of the script, at its end, also by a signal.
stop_at_exit()
{
	trap 'trap - EXIT INT TERM; stop' EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM
}

machine()
{
	echo "Linux $(uname -r), $(nproc) CPUs:" \
		"$(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -n 1)."
}

# As root "${alone[@]}" COMMAND runs it in a network namespace of its own with
# congestion control reno (or $CONGESTION): where bbr is the system's default, it
# paces loopback down.  Without root the system's is used.
alone=()
make_alone()
{
	if [ "$(id -u)" != 0 ] || ! unshare -n true 2>/dev/null; then
		echo "not root: the system's congestion control is used" >&2
		return
	fi
	# shellcheck disable=SC2016
	alone=(unshare -n bash -c 'ip link set lo up &&
		sysctl -qw net.ipv4.tcp_congestion_control="$0" &&
		exec "$@"' "${CONGESTION:-reno}")
}
