#!/bin/bash
# An apply touches what it changes and nothing else; another number of instances restarts nobody; a wrong file changes nothing.
# timeout: 60
. "$(dirname "$0")/lib.sh"
write() {
    cat >"$T/muster.yaml" <<Y
services:
  one: { command: sleep 1000, directory: $T, instances: $1 }
  two: { command: sleep $2, directory: $T, instances: 2 }
Y
}
write 2 2000
up
one=$(pids one) two=$(pids two)
muster apply -f "$T/muster.yaml" >"$T/out" || fail "apply of the same file"
sleep 1
expect "the same file again: no process changed" [ "$(pids one) $(pids two)" = "$one $two" ]
write 4 2000
muster apply -f "$T/muster.yaml" --dry-run >"$T/out" || fail "dry run"
expect "a dry run shows what would change" grep -q 'instances' "$T/out"
expect "and changes nothing" ready one 2
muster apply -f "$T/muster.yaml" >"$T/out" || fail "apply"
wait_for 10 "four of one" ready one 4
expect "the first two are the same processes" [ "$(pids one | cut -d' ' -f1,2)" = "$one" ]
expect "two was not touched" [ "$(pids two)" = "$two" ]
one=$(pids one)
write 4 3000
muster apply -f "$T/muster.yaml" >"$T/out" || fail "apply"
rolled() { is "s['two']['state'] == 'steady' and s['two']['ready'] == 2 and all(x['revision'] == s['two']['revision'] for x in s['two']['instances'])"; }
wait_for 40 "two has its new command" rolled
for p in $two; do expect "its old process $p is gone" sh -c "! kill -0 $p 2>/dev/null"; done
expect "one was not touched" [ "$(pids one)" = "$one" ]
echo "  three: { comand: x }" >>"$T/muster.yaml"
muster apply -f "$T/muster.yaml" >"$T/out" 2>&1
expect "a wrong file is refused" [ $? = 2 ]
expect "two is as it was" ready two 2
muster delete two >/dev/null || fail "delete"
wait_for 10 "two is deleted" is "'two' not in s"
