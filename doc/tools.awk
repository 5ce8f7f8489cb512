# Puts the options of the tools into their manual page:
#
#   awk -f tools.awk src/tools/feed.def ... doc/ringtick.1.in
#
# A line @OPTION feed rate@ of the page becomes the option's tag and the sentence
# of its row in feed.def; details follow in the page.  It is an error if a row
# has no such line, or a line has no row.

function escape(s)
{
	gsub(/\\"/, "\"", s)
	gsub(/\\/, "\\e", s)
	gsub(/-/, "\\-", s)
	gsub(/`/, "\\(ga", s)
	return s
}

# One row, OPTION(name, letter, value, flags, "sentence"), as a tagged paragraph.
function entry(tool, row,    f, i, dash, tag, value)
{
	sub(/^OPTION\(/, "", row)
	for (i = 1; i <= 4; i++) {
		match(row, /,[ \t]*/)
		f[i] = substr(row, 1, RSTART - 1)
		row = substr(row, RSTART + RLENGTH)
	}
	sub(/^"/, "", row)
	sub(/"\)$/, "", row)
	value = f[3] == "NULL" ? "" : "\\fI" substr(f[3], 2, length(f[3]) - 2) "\\fP"

	tag = "\\fB\\-\\-" f[1] "\\fP"
	if (f[4] == "OPTION_ARG_OPTIONAL")
		tag = tag "[\\fB=\\fP" value "]"
	else if (value != "")
		tag = tag "\\fB=\\fP" value
	if (f[2] != "0")
		tag = "\\fB\\-" substr(f[2], 2, 1) "\\fP" \
			(value == "" ? "" : " " value) ", " tag
	text[tool " " f[1]] = ".TP\n" tag "\n" \
		escape(toupper(substr(row, 1, 1)) substr(row, 2)) ".\n"
}

FNR == 1 {
	tool = FILENAME
	sub(/.*\//, "", tool)
	is_table = sub(/\.def$/, "", tool)
}
is_table && /^OPTION\(/ { entry(tool, $0) }
is_table { next }
/^@OPTION .*@$/ {
	name = substr($0, 9, length($0) - 9)
	if (!(name in text)) {
		print FILENAME ":" FNR ": no such option: " name | "cat >&2"
		failed = 1
	}
	printf "%s", text[name]
	is_told[name] = 1
	next
}
{ print }
END {
	for (name in text)
		if (!(name in is_told)) {
			print FILENAME ": an option is missing: " name | "cat >&2"
			failed = 1
		}
	exit failed
}
