#!/bin/bash
# The state file is destroyed while muster runs, and its controller dies: it says clearly what is wrong with which file, goes on with
# what the agent knows, and the instances and their traffic are not touched.
# timeout: 60
. "$(dirname "$0")/lib.sh"
PORT=$(free_port)
api_config flask_gthread 2
up
expect "two are ready" ready api 2
was=$(pids api)
db=$(find "$MUSTER_STATE" -name '*.db' ! -name '*event*' | head -1)
[ -n "$db" ] || fail "no database below $MUSTER_STATE"
for f in "$db" "$db-wal"; do
    [ -s "$f" ] && dd if=/dev/urandom of="$f" bs=4096 count=4 conv=notrunc status=none
done
kill -9 "$(role_pid musterd)"
say "destroyed $db and killed the controller"
said() {
    timeout 5 "$B/musterctl" status >"$T/out" 2>&1
    grep -rhsiE "(corrupt|damaged|malformed|not a database|torn|broken)" "$T/out" "$T/up.log" "$MUSTER_STATE" --include='*.log' --include=out --include=up.log | grep -q "$(basename "$db")"
}
wait_for 10 "it is said which file is broken" said
sleep 2
for p in $was; do expect "instance process $p lives" kill -0 "$p"; done
expect "traffic goes on" answers /
same() { ready api 2 && [ "$(pids api)" = "$was" ]; }
wait_for 10 "what runs is known again, with the same processes" same
muster scale api 2 >/dev/null 2>&1
head -c 500 /dev/urandom >"$MUSTER_STATE/agent/desired"
echo "api.1 banana" >"$MUSTER_STATE/agent/ports"
kill -9 "$(role_pid 'muster-agent.*--role supervisor')"
say "destroyed the agent's files and killed the supervisor"
sleep 1
wait_for 10 "what runs is adopted with its ports, with the same processes" same
expect "traffic goes on" answers /
kill -9 "$(role_pid musterd)"
expect "who asks while the controller is started again gets an answer" timeout 5 "$B/musterctl" status
expect "down works" muster down
