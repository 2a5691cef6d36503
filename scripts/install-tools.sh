#!/bin/sh
# Installs what the tests need besides Go: redis-server, whose replies they compare
# with, and the tools that come with it. Does nothing where they are in PATH.
set -eu

missing=
for tool in redis-server redis-cli redis-benchmark; do
	command -v $tool >/dev/null || missing="$missing $tool"
done
if [ -z "$missing" ]; then
	exit 0
fi
if ! command -v apt-get >/dev/null; then
	echo "install-tools: there is no apt-get here: install Redis 7.0 by hand, for$missing" >&2
	exit 1
fi
root=
if [ "$(id -u)" != 0 ]; then
	if ! command -v sudo >/dev/null; then
		echo "install-tools: there is no sudo here: as root, apt-get install redis-server redis-tools" >&2
		exit 1
	fi
	root="sudo"
fi

# The service that comes with the package must not take port 6379.
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
	printf '#!/bin/sh\nexit 101\n' | $root tee $policy >/dev/null
	$root chmod +x $policy
	trap '$root rm -f $policy' EXIT
fi
$root apt-get update -q
$root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends redis-server redis-tools </dev/null
