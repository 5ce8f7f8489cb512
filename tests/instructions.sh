#!/bin/sh
# The instructions of one update on its way from recv to commit, by callgrind
# (TAP).  They are the same in every run, so that a bound can hold them: what
# was counted with gcc 12 at -O2, and a tenth.  Who has made it cheaper lowers
# the bound; bench/update_cost.sh prints the figures.
set -u

# FORM and bound; the forms are explained in bench/update_cost.c
bounds='row 527
columns 650
stamp 552
rows 5330
strings 7690'

skip()
{
	echo "1..0 # SKIP $1"
	exit 0
}

[ "$(uname -m)" = x86_64 ] || skip "the bounds are for x86_64"
[ -z "${SAN_CFLAGS-}" ] || skip "sanitizers count too"
command -v valgrind >/dev/null || skip "valgrind is not installed"
case " ${CFLAGS-} " in
*" -O2 "*)	;;
*)	skip "the bounds are for -O2" ;;
esac
! ${CC:-cc} --version 2>/dev/null | grep -qi clang ||
	skip "the bounds are for gcc"

echo 1..5
failed=0
n=0
while read -r form bound; do
	n=$((n + 1))
	count=$("${srcdir:-.}/bench/update_cost.sh" --instructions . "$form" |
		sed 's/.* //')
	if [ "${count:-0}" -gt 0 ] && [ "$count" -le "$bound" ]; then
		echo "ok $n - $form: $count instructions, at most $bound"
	else
		echo "not ok $n - $form: $count instructions, at most $bound"
		failed=1
	fi
done <<END
$bounds
END
exit $failed
