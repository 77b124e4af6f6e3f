#!/bin/bash
# No space on the state folder's disk: a change is refused and says why, the old state is kept and all runs on; with space again it works.
# timeout: 90
. "$(dirname "$0")/lib.sh"
[ "$(id -u)" = 0 ] || skip "needs root, to mount a small file system"
mkdir "$MUSTER_STATE"
mount -t tmpfs -o size=8m,mode=700 muster-test-$$ "$MUSTER_STATE" 2>/dev/null || skip "cannot mount a tmpfs here"
story_cleanup() { timeout 20 "$B/musterctl" down >/dev/null 2>&1; umount -l "$MUSTER_STATE" 2>/dev/null; }
PORT=$(free_port)
api_config flask_gthread "{ min: 2, max: 4 }"
up
expect "two are ready" ready api 2
was=$(pids api)
head -c 16M /dev/zero >"$MUSTER_STATE/filler" 2>/dev/null
say "the disk is full: $(df --output=avail "$MUSTER_STATE" | tail -1) KiB free"
VERSION=2 api_config flask_gthread "{ min: 3, max: 4 }"
# A few changes may still fit into pages that the database has already; they count as done then. In the end one is refused.
for _ in $(seq 200); do
    muster scale api $((RANDOM % 3 + 2)) >"$T/out" 2>&1 || break
done
muster apply -f "$T/muster.yaml" >"$T/out" 2>&1
rc=$?
say "apply: exit status $rc: $(head -2 "$T/out")"
expect "the apply is refused" [ $rc = 5 -o $rc = 1 ]
expect "and says why" grep -qiE 'full|space' "$T/out"
sleep 1
expect "the old revision is kept" is "s['api']['min'] == 2 and s['api']['revision'] == 1"
for p in $was; do kill -0 "$p" 2>/dev/null && alive=1; done
expect "instances run on" [ -n "${alive:-}" ]
expect "traffic goes on" answers /
rm "$MUSTER_STATE/filler"
applied() { muster apply -f "$T/muster.yaml"; }
wait_for 10 "with space again it is taken" applied
wait_for 30 "and done" is "s['api']['min'] == 3 and s['api']['revision'] > 1"
