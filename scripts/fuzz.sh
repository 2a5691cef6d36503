#!/bin/sh
# Runs each fuzz target of the module for a while: fuzz.sh [DURATION].
set -eu

cd "$(dirname "$0")/.."
duration=${1:-30s}
targets=$(grep -rEo '^func Fuzz[[:alnum:]_]+' --include='*_test.go' . | sort)
for target in $(echo "$targets" | sed -E 's|/[^/]*_test.go:func |:|; s| ||g'); do
	go test -run '^$' -fuzz "^${target#*:}\$" -fuzztime "$duration" "${target%:*}"
done
