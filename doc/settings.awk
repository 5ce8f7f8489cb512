# Puts the table of settings into the manual page:
#
#   awk -f settings.awk src/config/options.def doc/ringtick.conf.5.in
#
# A line @SETTINGS@ of the page becomes one entry for each row.

function size(n)
{
	if (n > 0 && n % 1048576 == 0)
		return sprintf("%.0fM", n / 1048576)
	if (n > 0 && n % 1024 == 0)
		return sprintf("%.0fK", n / 1024)
	return sprintf("%.0f", n)
}

function time(ns)
{
	if (ns > 0 && ns % 3600e9 == 0)
		return sprintf("%.0fh", ns / 3600e9)
	if (ns > 0 && ns % 1e9 == 0)
		return sprintf("%.0fs", ns / 1e9)
	if (ns > 0 && ns % 1e6 == 0)
		return sprintf("%.0fms", ns / 1e6)
	return sprintf("%.0f", ns)
}

function escape(s)
{
	gsub(/\\"/, "\"", s)
	gsub(/\\/, "\\e", s)
	gsub(/-/, "\\-", s)
	return s
}

# One row of config/options.def as a tagged paragraph.
function entry(row,    f, i, kind, value, what, from, to)
{
	sub(/^OPTION\(/, "", row)
	for (i = 1; i <= 6; i++) {
		match(row, /,[ \t]*/)
		f[i] = substr(row, 1, RSTART - 1)
		row = substr(row, RSTART + RLENGTH)
	}
	sub(/^"/, "", row)
	sub(/"\)$/, "", row)
	kind = f[1]
	value = f[4]
	gsub(/"/, "", value)
	value = escape(value)

	if (f[2] != group)
		out = out ".SS " f[2] "\n"
	group = f[2]
	if (f[4] ~ /^"/)
		value = "\\(dq" value "\\(dq"
	out = out ".TP\n.B " group "." f[3] " = " value "\n"

	what = toupper(substr(row, 1, 1)) substr(row, 2)
	out = out escape(what) ".\n"
	from = f[5]
	to = f[6]
	if (kind == "SIZE")
		out = out "A size, " size(from) " to " size(to) ".\n"
	else if (kind == "TIME" && from < 0)
		out = out "A duration, 0 to " time(to) ", or \\(dqauto\\(dq.\n"
	else if (kind == "TIME")
		out = out "A duration, " time(from) " to " time(to) ".\n"
	else if (kind == "COUNT")
		out = out "An integer, " escape(from) " to " to ".\n"
}

/^OPTION\(/ { entry($0); next }
FNR == NR { next }
$0 == "@SETTINGS@" { printf "%s", out; next }
{ print }
