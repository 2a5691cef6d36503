#!/bin/sh
# Installs what the tests and "make torture" need besides Go: redis-server, whose
# replies are compared with, and the tools that come with it; on Linux also what
# makes networks and file systems, and breaks them. With the argument "clients" also
# what "make clients" needs. Does nothing where they are in PATH.
set -eu

packages=
# need PACKAGE TOOL... adds the package if one of its tools is missing.
need() {
	package=$1
	shift
	for tool in "$@"; do
		if ! PATH="$PATH:/usr/sbin:/sbin" command -v "$tool" >/dev/null; then
			packages="$packages $package"
			return
		fi
	done
}
need redis-server redis-server
need redis-tools redis-cli redis-benchmark
if [ "$(uname)" = Linux ]; then
	need iproute2 ip
	need nftables nft
	need strace strace
	need e2fsprogs mkfs.ext4
	need util-linux fsfreeze nsenter
	need mount mount umount
fi
if [ "${1-}" = clients ]; then
	need nodejs node
	need npm npm
	need bsdutils script
	# Debian's own Python is the one that Debian's packages are for.
	if ! /usr/bin/python3 -c 'import redis' 2>/dev/null; then
		packages="$packages python3-redis"
	fi
fi
if [ -z "$packages" ]; then
	exit 0
fi
if ! command -v apt-get >/dev/null; then
	echo "install-tools: there is no apt-get here: install by hand what is in Debian's packages$packages (Redis 7.0)" >&2
	exit 1
fi
root=
if [ "$(id -u)" != 0 ]; then
	if ! command -v sudo >/dev/null; then
		echo "install-tools: there is no sudo here: as root, apt-get install$packages" >&2
		exit 1
	fi
	root="sudo"
fi

# The service that comes with redis-server must not take port 6379.
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
	printf '#!/bin/sh\nexit 101\n' | $root tee $policy >/dev/null
	$root chmod +x $policy
	trap '$root rm -f $policy' EXIT
fi
$root apt-get update -q
# shellcheck disable=SC2086 # a list
$root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $packages </dev/null
