#!/bin/bash
# Boots a real systemd in a container, on an overlay of this machine's root file
# system, and plays an operator's day in it, with ringtick as a service: day.py.
#
#   tests/systemd/run.sh [BUILD [STEP...]]
#
# BUILD is a folder that was configured (build/plain).  With STEPs only these
# are played, after the service was installed and started.  Where no container
# can be booted it says "skipped:" and why, and succeeds.
#
# The machine is left as it is.  All mounts are in a mount namespace of this
# script, all files in memory below one of them, all processes in a PID
# namespace that ends with this script, however it ends; the network is the
# container's own.
set -u
cd "$(dirname "$0")/../.." || exit 1
top=$PWD
[ $# -gt 0 ] || set -- build/plain
build=$(realpath -e "$1") || exit 1
shift

skip()
{
	echo "skipped: $*"
	echo "# SKIP: 1"
	exit 0
}

[ "$(id -u)" = 0 ] || skip "only root can boot a container"
for program in systemd-nspawn unshare setpriv python3 make; do
	command -v $program >/dev/null || skip "$program is not here"
done
if [ -z "${RINGTICK_DAY_IS_PRIVATE:-}" ]; then
	# what is out of date cannot be made in the container
	make -s -C "$build" all >&2 || exit 1
	unshare --mount true 2>/dev/null || skip "no mount namespace is to be had"
	scope=()
	# systemd gives the container a part of its tree of control groups.
	[ ! -d /run/systemd/system ] ||
		scope=(systemd-run --quiet --scope -p Delegate=yes)
	RINGTICK_DAY_IS_PRIVATE=1 \
		exec "${scope[@]}" unshare --mount "$0" "$build" "$@"
fi

# ---- from here on no mount is seen outside ----

group= # the control group that this script has made
inner= # the process with which the PID namespace ends

cleanup()
{
	if [ -n "$inner" ]; then
		kill -KILL "$inner"
		wait "$inner" 2>/dev/null
	fi
	[ -n "$group" ] || return
	echo $$ >/sys/fs/cgroup/cgroup.procs
	for _ in {1..100}; do
		remove_group "$group" && return
		sleep 0.1
	done
	echo "cannot remove $group"
}

remove_group()
{
	find "$1" -depth -type d -exec rmdir {} + 2>/dev/null
	[ ! -e "$1" ]
}

trap cleanup EXIT
trap 'exit 1' HUP INT TERM

mount -t tmpfs tmpfs /run && mkdir -p /run/day/upper /run/day/work \
	/run/day/root || skip "no tmpfs is to be had"
upper=/run/day/upper root=/run/day/root
mount -t overlay overlay \
	-o lowerdir=/,upperdir=$upper,workdir=/run/day/work $root ||
	skip "no overlay of / is to be had"
[ "$(stat -f -c %T /sys/fs/cgroup)" = cgroup2fs ] ||
	mount -t cgroup2 cgroup2 /sys/fs/cgroup ||
	skip "cgroup 2 is not to be had"
# A group beside all others, where no systemd has given one; one whose script
# was killed is removed.
if [ "$(sed -n 's/^0:://p' /proc/self/cgroup)" = / ]; then
	for old in /sys/fs/cgroup/ringtick-day.*; do
		[ -d "/proc/${old##*.}" ] || remove_group "$old"
	done
	group=/sys/fs/cgroup/ringtick-day.$$
	mkdir "$group" && echo $$ >"$group/cgroup.procs" ||
		skip "no control group can be made"
fi

# Of the machine's services only those that systemd itself wants, nothing of a
# ringtick that is installed here, and nobody logs in at the console.
units=$root/etc/systemd/system
rm -rf $units/*.wants $units/*.requires $units/ringtick.* \
	$root/etc/ringtick $root/usr/local/etc/ringtick $root/var/lib/ringtick
mkdir $units/multi-user.target.wants
ln -sf /dev/null $units/console-getty.service
ln -s ../day.service $units/multi-user.target.wants
cat >$units/day.service <<UNIT
[Unit]
Description=an operator's day

[Service]
ExecStartPre=touch /booted
ExecStart=sh -c "python3 $top/tests/systemd/day.py $build $*; systemctl exit \$\$?"
Environment=PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
Environment=PYTHONPATH=$top/tests/system RINGTICKD=/usr/local/sbin/ringtickd
StandardInput=null
StandardOutput=tty
StandardError=tty
TTYPath=/dev/console
UNIT

boot()
{
	setpriv --pdeathsig KILL \
		unshare --pid --fork --kill-child --mount-proc \
		timeout --signal=KILL 300 \
		systemd-nspawn --quiet --directory=$root --boot --settings=no \
		--register=no --keep-unit --machine=ringtick-day \
		--private-network --link-journal=no --resolv-conf=off \
		--timezone=off --bind-ro="$top" \
		systemd.unit=multi-user.target systemd.show_status=no \
		systemd.log_level=err \
		</dev/null > >(tr -d '\r') 2>/run/day/errors &
	inner=$!
	wait $inner
	status=$?
	inner=
	wait
}

boot
while [ $status -eq 133 ]; do # it was restarted
	boot
done
[ -e $upper/booted ] ||
	skip "systemd does not boot here: $(tail -n 1 /run/day/errors)"
exit $status
