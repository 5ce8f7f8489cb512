#!/bin/sh
# The house style as a test (TAP); every finding is one line, file:line: what.
# Runs from any folder: srcdir=PATH tests/tidy.sh
set -u
LC_ALL=C
export LC_ALL
cd "${srcdir:-$(dirname "$0")/..}" || exit 99

# The folders of src/, lowest first: a file includes its own folder and those
# before it.  Within a folder no circle leads back to a unit, which is x.c and
# x.h together; but a private header (private.h, x_private.h) is what the files
# of one object share, above its public header and below all of them.
folders='base wire schema config auth login io ring journal q client tick
	daemon tools'
# The client tools use these folders and headers, and nothing else.
tools_use='base wire schema tools auth/crypt_hash.h auth/user_name.h
	journal/file.h journal/window.h journal/torn_tail.h'

C_FILES=$(find src tests/unit tests/fuzz tests/sim bench -name '*.[ch]' | sort)
TEXT_FILES="$C_FILES configure.ac Makefile.am $(find . \
	'(' -path ./.git -o -path ./build -o -name node_modules \
	-o -name autom4te.cache ')' -prune -o -type f '(' -name '*.sh' \
	-o -name '*.py' -o -name '*.q' -o -name '*.conf' -o -name '*.def' \
	-o -name '*.in' -path '*systemd*' -o -name '*.[158]' ')' -print | sort)"

tests_cnt=0
failed_cnt=0
found=$(mktemp) || exit 99
trap 'rm -f "$found"' EXIT

# report NAME: the test passed if the checks before it found nothing.
report()
{
	tests_cnt=$((tests_cnt + 1))
	if [ -s "$found" ]; then
		failed_cnt=$((failed_cnt + 1))
		echo "not ok $tests_cnt - $1"
		sed 's/^/# /' "$found"
	else
		echo "ok $tests_cnt - $1"
	fi
}

# C without comments and without what is between quotes; lines stay lines.
bare()
{
	awk '
	FNR == 1 { in_comment = 0 }
	{
		out = ""
		line = $0
		while (line != "") {
			if (in_comment) {
				end = index(line, "*/")
				if (end == 0)
					break
				line = substr(line, end + 2)
				in_comment = 0
			} else if (match(line, /["\047]|\/\*/)) {
				out = out substr(line, 1, RSTART - 1)
				start = substr(line, RSTART, RLENGTH)
				line = substr(line, RSTART + RLENGTH)
				if (start == "/*") {
					in_comment = 1
					continue
				}
				while (line != "") {
					c = substr(line, 1, 1)
					line = substr(line, c == "\\" ? 3 : 2)
					if (c == start)
						break
				}
				out = out start start
			} else {
				out = out line
				line = ""
			}
		}
		print FILENAME ":" FNR ": " out
	}' $C_FILES
}

bare_c=$(bare)

# ---- layers ----

grep -n '^#[[:space:]]*include "' src/*/*.[ch] |
awk -F '[:"]' -v folders="$folders" -v tools_use="$tools_use" '
BEGIN {
	n = split(folders, words, " ")
	for (i = 1; i <= n; i++)
		place[words[i]] = i
	n = split(tools_use, words, " ")
	for (i = 1; i <= n; i++)
		for_tools[words[i]] = 1
}
{
	from = $1
	sub(/^src\//, "", from)
	to = $4
	if (to == "config.h" || to ~ /\.def$/)
		next
	own = from
	sub(/\/.*/, "", own)
	folder = to
	sub(/\/.*/, "", folder)
	if (!(own in place))
		what = own "/ has no place in tests/tidy.sh"
	else if (!(folder in place))
		what = to " has no place in tests/tidy.sh"
	else if (own == "tools" && !(to in for_tools) &&
	    !(folder in for_tools))
		what = to " is the daemon'\''s"
	else if (place[folder] > place[own])
		what = to " is above " own "/"
	else
		next
	print $1 ":" $2 ": " what
}' >"$found"
report "includes point to lower layers only"

# circles: reads lines `unit unit place`, the first unit uses the second at that
# place; each circle is a finding.
circles()
{
	awk '
	# Continues from a unit to all that it uses; the way to it is
	# trail[1 .. k].
	function visit(unit, k,    all, n, i, j, text) {
		trail[k] = unit
		place[unit] = k
		n = split(uses[unit], all, " ")
		for (i = 1; i <= n; i++) {
			if (!(all[i] in place)) {
				visit(all[i], k + 1)
			} else if (place[all[i]] > 0) {
				text = ""
				for (j = place[all[i]]; j <= k; j++)
					text = text trail[j] " -> "
				print where[unit, all[i]] ": circle: " \
					text all[i]
			}
		}
		place[unit] = 0
	}
	!(($1, $2) in where) {
		where[$1, $2] = $3
		uses[$1] = uses[$1] " " $2
	}
	END {
		for (unit in uses)
			if (!(unit in place))
				visit(unit, 1)
	}'
}

grep -n '^#[[:space:]]*include "' src/*/*.[ch] |
awk -F '[:"]' '
{
	from = $1
	sub(/^src\//, "", from)
	to = $4
	if (to ~ /private\.h$/ || to !~ /\.h$/)
		next
	sub(/\.[ch]$/, "", from)
	sub(/\.h$/, "", to)
	own = from
	sub(/\/.*/, "", own)
	if (from != to && index(to, own "/") == 1)
		print from, to, $1 ":" $2
}' | circles >"$found"
report "no circle of files within a folder"

# A private header hides circles from the test before: here a unit uses another
# if it calls a function that the other defines.  eval <-> apply is natural.
echo "$bare_c" | awk -F ': ' '
{
	unit = $1
	if (!sub(/^src\//, "", unit) || !sub(/\.c:.*/, "", unit))
		next
	own = unit
	sub(/\/.*/, "", own)
	line = substr($0, length($1) + 3)
	if (line ~ /^[a-z_0-9]+\(/) {
		if (type !~ /^static/)
			home[own, substr(line, 1, index(line, "(") - 1)] = unit
		next
	}
	type = line
	while (match(line, /[a-z_0-9]+\(/)) {
		name = substr(line, RSTART, RLENGTH - 1)
		line = substr(line, RSTART + RLENGTH)
		if (!((unit, name) in call))
			call[unit, name] = own SUBSEP name SUBSEP $1
	}
}
END {
	for (i in call) {
		split(i, from, SUBSEP)
		split(call[i], to, SUBSEP)
		unit = home[to[1], to[2]]
		if (unit != "" && unit != from[1] &&
		    from[1] " " unit != "q/apply q/eval")
			print from[1], unit, to[3]
	}
}' | sort | circles >"$found"
report "no circle of calls within a folder"

for f in src/*/*.c; do
	name=${f#src/}
	name=${name%.c}
	set -- $(sed -n 's/^#[[:space:]]*include ["<]\(.*\)[">].*/\1/p' "$f")
	[ "${1-}" = config.h ] ||
		echo "$f:1: the first include is ${1-none}, not config.h"
	[ ! -e "src/$name.h" ] || [ "${2-}" = "$name.h" ] ||
		echo "$f:1: the second include is ${2-none}, not $name.h"
done >"$found"
report "config.h comes first, then a file's own header"

awk '
/^#[ \t]*include / {
	if (FNR == line + 1 && FILENAME == file && $2 < last)
		print FILENAME ":" FNR ": " $2 " comes before " last
	file = FILENAME
	line = FNR
	last = $2
}' src/*/*.[ch] >"$found"
report "the includes of a block are sorted"

only()
{
	grep -n "^#[[:space:]]*include <$1>" src/*/*.[ch] |
		grep -v "^$2:" | sed "s|\$|: only $2 may|"
}
{
	only liburing.h src/io/engine.c
	only libconfig.h src/config/reader.h
	only systemd/sd-daemon.h src/base/notify.c
	only crypt.h src/auth/crypt_hash.c
	only 'nettle/.*' src/auth/users.c
	only seccomp.h src/login/sandbox.c
	only 'security/.*' src/login/pam_check.c
} >"$found"
report "each library has one file that knows it"

# ---- how C is written ----

echo "$bare_c" | awk '
BEGIN {
	with["strcpy"] = with["strncpy"] = with["stpcpy"] = \
		"memcpy with a checked length"
	with["strcat"] = with["strncat"] = "snprintf at an offset"
	with["sprintf"] = with["vsprintf"] = "snprintf, vsnprintf"
	with["alloca"] = "an array with a limit, or the pool"
	with["sleep"] = with["usleep"] = "a timer of the turn"
	with["signal"] = "signalfd, or sigaction"
	with["strtok"] = "strcspn and strspn"
	with["gets"] = "fgets"
	with["atoi"] = with["atol"] = with["atof"] = \
		"strtol, strtod, with their errors looked at"
	with["localtime"] = with["gmtime"] = with["ctime"] = \
		"localtime_r, gmtime_r"
	with["rand"] = "a generator with a seed of its own"
	with["assert"] = "CHECK; in unit tests assert_true"
}
{
	where = $1
	line = substr($0, length(where) + 1)
	while (match(line, /[A-Za-z_][A-Za-z_0-9]*[ \t]*\(/)) {
		name = substr(line, RSTART, RLENGTH - 1)
		line = substr(line, RSTART + RLENGTH)
		sub(/[ \t]+$/, "", name)
		if (name in with)
			print where " " name ": use " with[name]
	}
}' >"$found"
report "no banned calls"

echo "$bare_c" | grep '//' >"$found"
report "comments are /* */"

awk '
/^(struct|enum|union) [a-z_0-9]+ \{/ {
	if ($2 in place)
		print FILENAME ":" FNR ": " $1 " " $2 " is at " place[$2] " too"
	place[$2] = FILENAME ":" FNR
}' src/*/*.[ch] >"$found"
report "a tag means one thing"

awk '
/^{/ { start = FNR }
/^}/ {
	if (start && FNR - start + 1 > 70)
		print FILENAME ":" start ": " FNR - start + 1 " lines"
	start = 0
}' $C_FILES >"$found"
report "functions have at most 70 lines"

# Columns: tabs are 8, a UTF-8 character is 1.
for f in $(echo "$C_FILES"; ls check.sh demo.sh tests/*.sh 2>/dev/null); do
	expand "$f" | tr -d '\200-\277' | awk -v f="$f" '
		length > 80 { print f ":" NR ": " length " columns" }'
done >"$found"
report "lines have at most 80 columns"

grep -n '[[:space:]]$' $TEXT_FILES >"$found"
report "no space at the end of a line"

for f in src/*/*.[ch] bench/*; do
	lines=$(wc -l <"$f")
	[ "$lines" -le 800 ] || echo "$f:800: $lines lines: split it"
done >"$found"
report "modules have at most 800 lines"

# ---- tables and what is written about them ----

# rows FILE FIELD...: the fields of each row of a table, without quotes.
rows()
{
	sed -n 's/^[A-Z_]*(\(.*\))[^)]*$/\1/p' "src/$1" |
		awk -F '[[:space:]]*,[[:space:]]*' -v fields="$2" '
		{
			n = split(fields, f, " ")
			for (i = 1; i <= n; i++)
				printf "%s%s", $f[i], i < n ? " " : "\n"
		}' | tr -d '"'
}

# A sample names each setting, set or commented out, inside its group.
if [ -e etc/ringtick.conf ]; then
	awk '
	FNR == NR {
		group[$1 "." $2] = 1
		next
	}
	{ sub(/^[ \t]*(#|\/\/)?[ \t]*/, "") }
	match($0, /^[a-z_]+ *[=:] *[{]/) {
		at = $0
		sub(/[ =:].*/, "", at)
		sub(/^[^{]*[{][ \t]*/, "")
	}
	match($0, /^[a-z_]+ *[=:]/) {
		name = $0
		sub(/[ =:].*/, "", name)
		delete group[at "." name]
	}
	END {
		for (row in group)
			print "src/config/options.def: " row \
				" is not in etc/ringtick.conf"
	}' - etc/ringtick.conf <<-END >"$found"
	$(rows config/options.def '2 3')
	END
	report "the sample has every setting"
fi

# documented TABLE DOC FIELDS: DOC has each row's name, whole.
documented()
{
	rows "$1" "$3" | tr ' ' '.' | while read -r name; do
		tr -d '\\' <"$2" | tr -c 'a-z0-9_.\n' '\n' | sed 's/\.$//' |
			grep -qxF "$name" || echo "src/$1: $name is not in $2"
	done
}
while read -r table doc fields; do
	[ -e "src/$table" ] && [ -e "$doc" ] || continue
	documented "$table" "$doc" "$fields" >"$found"
	report "every row of $table is in $doc"
done <<'END'
config/options.def doc/configuration.md 2 3
config/counters.def doc/operations.md 1
client/close_reasons.def doc/operations.md 1
daemon/figures.def doc/operations.md 1
END

# ---- what is where ----

find src etc q doc systemd tests bench -name __pycache__ -prune -o \
	-name .pytest_cache -prune -o -name node_modules -prune -o \
	-type f ! -name '*.o' ! -name .dirstamp ! -name '*.log' \
	! -name '*.trs' ! -path '*/.deps/*' ! -perm -u=x -print |
	while read -r f; do
		grep -qF "${f%.in}" Makefile.am ||
			echo "$f:1: Makefile.am does not name it"
	done >"$found"
report "the package has every file"

folders='(\./)?(q|etc|doc|src|systemd|tests|bench)'
for f in README.md SECURITY.md bench/README.md doc/*.md doc/notes/*.md; do
	[ -e "$f" ] || continue
	grep -no ']([^)#:]*[)#]' "$f" | sed 's/](\(.*\).$/\1/' |
	while IFS=: read -r line to; do
		[ -z "$to" ] || [ -e "$(dirname "$f")/$to" ] ||
			echo "$f:$line: there is no $to"
	done
	grep -noE "(^|[\`( ])$folders/[a-z0-9_./-]*[a-z0-9]" "$f" |
	sed 's/:[`( ]/:/' | while IFS=: read -r line to; do
		[ -e "$to" ] || [ -e "$to.in" ] || [ -e "src/$to" ] ||
			echo "$f:$line: there is no $to"
	done
	grep -noE '(^|[^.])\./[a-z_]+\.sh' "$f" | sed 's/:[^.]/:/' |
	while IFS=: read -r line to; do
		[ -x "$to" ] || echo "$f:$line: $to is no script to run"
	done
done >"$found"
report "documents name files that exist"

# FILE::FUNCTION of a test, or FILE alone; fuzz_NAME.
name='[a-z0-9_]+'
grep -oEn "(test_$name\\.(c|py)(::$name)?|fuzz_$name)" doc/testing.md \
	doc/security.md | while IFS=: read -r doc line file _ function; do
	case $file in
	fuzz_*)	found_in=$(find tests/fuzz -name "$file.c") ;;
	*)	found_in=$(find tests/unit tests/system -name "$file") ;;
	esac
	if [ -z "$found_in" ]; then
		echo "$doc:$line: there is no $file"
	elif [ -n "$function" ]; then
		grep -qE "^(def )?$function\(" $found_in || echo \
			"$doc:$line: $file has no $function"
	fi
done >"$found"
report "the tests that documents name exist"

# Words without the bars of tables; doc/notes and the manual pages are apart.
words_max=21500
words=$(cat README.md doc/*.md | tr -d '|' | grep -v '^[-: ]*$' | wc -w)
{
	[ "$words" -le "$words_max" ] ||
		echo "doc:1: $words words: say each thing once"
} >"$found"
report "documents have at most $words_max words"

echo "1..$tests_cnt"
[ "$failed_cnt" -eq 0 ]
