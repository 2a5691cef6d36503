#!/bin/sh
# Runs fuzz targets of the module, each for a while, and prints a line for each:
#
#	fuzz.sh [DURATION [PATTERN]]
#
# DURATION is what go test -fuzztime takes, 30s by default. PATTERN, as grep -E has it,
# chooses among lines such as "./fsm FuzzMachines", all by default. Prints what a
# target that fails has found, goes on with the others, and fails at the end.
set -eu

cd "$(dirname "$0")/.."
duration=${1:-30s}
pattern=${2:-.}

# Everything that the targets start works in here: a redis-server that is still there
# in the end, which should not be, is known by its directory.
work=$(mktemp -d)
export TMPDIR="$work"
finish() {
	for process in /proc/[0-9]*; do
		case $(readlink "$process/cwd" 2>/dev/null || true) in
		"$work"/*) kill -9 "${process#/proc/}" 2>/dev/null || true ;;
		esac
	done
	rm -rf "$work"
}
trap finish EXIT
trap 'exit 130' INT TERM

targets=$(grep -rEo '^func Fuzz[[:alnum:]_]+' --include='*_test.go' . |
	sed -E 's|/[^/]*_test.go:func | |' | sort | grep -E -- "$pattern") || {
	echo "fuzz: no target matches $pattern" >&2
	exit 1
}
failed=
while read -r package target; do
	start=$(date +%s)
	verdict=ok
	# Little time for making an input that reaches new code smaller: it takes all
	# workers. An input that fails is made smaller, too, and kept in testdata.
	go test -run '^$' -fuzz "^$target\$" -fuzztime "$duration" -fuzzminimizetime 200x "$package" \
		>"$work/log" 2>&1 </dev/null || verdict=FAILED
	figures=$(sed -nE 's/.*(execs: [0-9]+).*(new interesting: [0-9]+).*/\1, \2/p' "$work/log" | tail -1)
	printf '%-6s %-20s %-22s %s, %d s\n' "$verdict" "$package" "$target" "${figures:-execs: 0}" $(($(date +%s) - start))
	if [ "$verdict" != ok ]; then
		failed="$failed $target"
		grep -v '^fuzz: elapsed' "$work/log" || true
	fi
done <<EOT
$targets
EOT
if [ -n "$failed" ]; then
	echo "fuzz: findings in$failed" >&2
	exit 1
fi
