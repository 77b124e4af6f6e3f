#!/bin/bash
# A release is a new link: a restart after the link moved still runs the release that was applied; the next apply rolls to the new one.
# timeout: 60
. "$(dirname "$0")/lib.sh"
mkdir "$T/r1" "$T/r2"
ln -s r1 "$T/current"
cat >"$T/muster.yaml" <<Y
services:
  one: { command: [sh, -c, "pwd -P; exec sleep 1000"], directory: $T/current, restart: { delay: 0s }, deploy: { healthy_for: 1s } }
Y
runs_in() { [ "$(readlink "/proc/$(pids one)/cwd")" = "$T/$1" ]; }
another() { p=$(pids one); [ -n "$p" ] && [ "$p" != "$pid" ]; }
up
expect "it runs the first release" runs_in r1
ln -sfn r2 "$T/current"
pid=$(pids one)
kill -9 "$pid"
wait_for 10 "killed and restarted after the link moved" another
expect "the restart runs the release that was applied" runs_in r1
muster apply -f "$T/muster.yaml" --dry-run >"$T/out" || fail "dry run"
expect "an apply sees the new release as a change" grep -q "directory: .*r1 -> .*r2" "$T/out"
muster apply -f "$T/muster.yaml" --wait --timeout 30s >"$T/out" 2>&1 || fail "apply"
expect "and rolls to it" runs_in r2
