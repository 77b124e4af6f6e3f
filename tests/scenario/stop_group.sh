#!/bin/bash
# Nobody of an instance outlives it: a grandchild in a session of its own that ignores TERM is gone when its instance is stopped, and
# before its replacement starts when it was killed. A bystander that muster did not start is never touched.
# timeout: 60
. "$(dirname "$0")/lib.sh"
cat >"$T/muster.yaml" <<Y
services:
  family:
    command: python3 $APPS/child.py $T/family.json fork
    directory: $T
    instances: 1
    restart: { delay: 0s, limit: 20 in 1m }
    stop: { timeout: 1s }
Y
sleep 900 &
bystander=$!
up
wait_for 5 "the grandchild runs" [ -s "$T/family.json.pid" ]
sleep 0.3
grandchild=$(cat "$T/family.json.pid")
rm "$T/family.json.pid"
main=$(pid_of family.1)
# cgroup_views.sh says which kind of cgroup it must be.
if [ "${MUSTER_EXPECT_CGROUP:-}" = none ]; then
    expect "no cgroup is used" sh -c "! grep -q /muster- /proc/$main/cgroup"
elif [ -n "${MUSTER_EXPECT_CGROUP:-}" ]; then
    expect "it is in its cgroup" grep -qE "$MUSTER_EXPECT_CGROUP" "/proc/$main/cgroup"
fi
kill -9 "$main"
wait_for 5 "the main process was killed: replaced" [ -s "$T/family.json.pid" ]
expect "the old grandchild is gone" sh -c "! kill -0 $grandchild 2>/dev/null"
wait_for 5 "ready again" ready family 1
grandchild=$(cat "$T/family.json.pid")
expect "the new one runs" kill -0 "$grandchild"
muster stop family >/dev/null || fail "stop"
gone() { ! kill -0 "$grandchild" 2>/dev/null; }
wait_for 4 "stopped: the grandchild too" gone
wait_for 4 "and told so" is "s['family']['stopped'] and s['family']['ready'] == 0"
expect "the bystander lives" kill -0 $bystander
kill $bystander
