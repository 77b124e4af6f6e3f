#!/bin/bash
# The keeper is killed: what it ran goes on. The next `up` says so, ends that, and runs each instance once.
. "$(dirname "$0")/lib.sh"
PORT=$((12000 + $$ % 20000))
cat >"$T/muster.yaml" <<Y
services:
  api:
    command: [python3, -m, http.server, --bind, "\${HOST}", "\${PORT}"]
    instances: 3
    balance: edge
  stubborn: { command: [sh, -c, "trap '' TERM; sleep 1000 & while :; do sleep 1; done"], port: none, stop: { timeout: 1s } }
balancers: { edge: { haproxy: { listen: "127.0.0.1:$PORT" } } }
Y
"$B/musterctl" up "$T/muster.yaml" --detach >"$T/up.log" 2>&1 || fail "up"
say "up"
run=$(readlink "$MUSTER_STATE/run")
count() { grep -lsaF "NOTIFY_SOCKET=$run/notify/$1." /proc/[0-9]*/environ | wc -l; }
three() { [ "$(count api)" = 3 ]; }
wait_for 2 "three of api run" three            # a new environment is seen a moment after exec was told to have succeeded
kill -9 "$(head -1 "$run/keeper.pid")"
wait_for 5 "muster is gone" bash -c "! '$B/musterctl' status"
expect "what it ran goes on" [ "$(count api)" = 3 ]
expect "and serves" curl -sf -o /dev/null "http://127.0.0.1:$PORT/"
"$B/musterctl" up "$T/muster.yaml" --detach >"$T/up.log" 2>&1 || fail "the second up"
expect "the second up says what it found" grep -q "Warning: the keeper before this one was killed and left" "$T/up.log"
wait_for 2 "each of api runs once" three
expect "so does the one that ignores TERM" [ "$(grep -lsaF "MUSTER_ID=stubborn.1" $(grep -lsaF "NOTIFY_SOCKET=$run/notify/stubborn" /proc/[0-9]*/environ) | while read -r f; do p=${f%/environ}; [ "$(ps -o sid= -p "${p#/proc/}" | tr -d ' ')" = "${p#/proc/}" ] && echo x; done | wc -l)" = 1 ]
expect "the balancer serves" curl -sf -o /dev/null "http://127.0.0.1:$PORT/"
