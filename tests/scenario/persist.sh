#!/bin/bash
# A scaled count is durable once acknowledged: it survives kill -9 of the controller at once after the answer, `down` and `up`, and an apply
# of the same file.
# timeout: 120
. "$(dirname "$0")/lib.sh"
PORT=$(free_port)
cat >"$T/muster.yaml" <<Y
services:
  range: { command: sleep 1000, directory: $T, instances: { min: 1, max: 8 } }
  plain: { command: sleep 1000, directory: $T, instances: 2 }
Y
up
expect "one and two run" is "s['range']['desired'] == 1 and s['plain']['desired'] == 2"
for n in 3 5 4; do
    muster scale range $n >/dev/null || fail "scale"
    kill -9 "$(role_pid musterd)"
    wait_for 10 "killed the controller right after the answer: still $n" is "s['range']['desired'] == $n"
done
muster scale plain 3 >/dev/null || fail "scale of a plain number"
wait_for 10 "three of the plain one" exactly plain 3
muster apply -f "$T/muster.yaml" >/dev/null || fail "apply"
sleep 1
expect "the same file changes no count" is "s['range']['desired'] == 4 and s['plain']['desired'] == 3"
before=$(pids range)
muster down >/dev/null || fail "down"
up
wait_for 10 "after down and up: four and three" is "s['range']['desired'] == 4 and s['plain']['desired'] == 3"
wait_for 10 "and they run" exactly range 4
sed -i 's/instances: 2/instances: 4/' "$T/muster.yaml"
muster apply -f "$T/muster.yaml" >/dev/null || fail "apply of another number"
wait_for 10 "a changed number in the file counts" exactly plain 4
muster scale range 9 >"$T/out" 2>&1; rc=$?
expect "a count beyond the range is refused (exit status $rc)" [ $rc = 2 -o $rc = 5 ]
expect "and the range is named" grep -q 8 "$T/out"
