# What check.sh and demo.sh share; sourced, in the top folder.

# need ITEM...: installs the Debian packages that are missing.  An item is a
# package, or command:package where the command may come from elsewhere.
need()
{
	local item missing=() sudo=
	for item in "$@"; do
		case $item in
		*:*)	command -v "${item%:*}" >/dev/null ||
				missing+=("${item#*:}") ;;
		*)	[ "$(dpkg-query -W -f '${db:Status-Status}' "$item" \
				2>/dev/null)" = installed ] ||
				missing+=("$item") ;;
		esac
	done
	[ ${#missing[@]} -gt 0 ] || return 0
	if ! command -v apt-get >/dev/null; then
		echo "not Debian: please install what these packages hold:" \
			"${missing[*]}" >&2
		return 1
	fi
	[ "$(id -u)" = 0 ] || sudo="sudo"
	echo "installing ${missing[*]}"
	$sudo apt-get update -q || return 1
	$sudo env DEBIAN_FRONTEND=noninteractive \
		apt-get install -q -y --no-install-recommends "${missing[@]}"
}

BUILD_NEEDS=(gcc:gcc libc6-dev make:make autoreconf:autoconf
	automake:automake pkg-config:pkg-config
	liburing-dev libconfig-dev libsystemd-dev libcrypt-dev nettle-dev
	libpam0g-dev libseccomp-dev)

# build DIR FLAG...: configures in DIR (build/NAME) with the flags, if that was
# not done before, and makes everything there.
build()
{
	local dir=$1
	shift
	if [ ! -x configure ] || [ configure.ac -nt configure ] ||
		[ Makefile.am -nt Makefile.in ]; then
		autoreconf -fi || return 1
	fi
	mkdir -p "$dir" || return 1
	if [ ! -e "$dir/Makefile" ] ||
		[ "$(cat "$dir/flags" 2>/dev/null)" != "$*" ]; then
		(cd "$dir" && ../../configure -q "$@") || return 1
		echo "$*" >"$dir/flags"
	fi
	make -C "$dir" -j2 all
}

build_fuzzers()
{
	build build/clang --enable-werror --enable-fuzzers CC="ccache clang"
}
