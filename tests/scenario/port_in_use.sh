#!/bin/bash
# A port that somebody else has: said with its cause within two seconds, and healed once the port is free.
# timeout: 60
. "$(dirname "$0")/lib.sh"
PORT=$(free_port) taken=$(free_port)
hold() { exec python3 -c 'import socket, sys, time
s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1); s.bind(("127.0.0.1", int(sys.argv[1]))); s.listen(); time.sleep(300)' "$1" "$T"; }
hold "$taken" &
holder=$!
sleep 0.5
cat >"$T/muster.yaml" <<Y
services:
  api:
    command: $(app flask_sync1)
    directory: $APPS
    port: $taken
    instances: 1
    health: { readiness: { http: /healthz, every: 200ms } }
    restart: { delay: 200ms, max_delay: 500ms, limit: 100 in 1m }
Y
muster up "$T/muster.yaml" --detach >"$T/up.log" 2>&1 &
up_pid=$!
told() { is "not i['api.1']['ready'] and 'use' in (i['api.1']['reason'] + ' '.join(i['api.1'].get('last_lines', []))).lower()"; }
wait_for 10 "musterd answers" is "'api' in s"
wait_for 4 "the instance is not ready, and the cause is told" told
say "reason: $(status "i['api.1']['reason']")"
kill $holder; wait $holder 2>/dev/null
wait_for 20 "ready once the port is free" ready api 1
wait $up_pid
muster down >/dev/null

hold "$PORT" &
holder=$!
sleep 0.3
api_config flask_sync1 1
muster up "$T/muster.yaml" --detach >"$T/up.log" 2>&1 &
up_pid=$!
listen_told() { grep -qiE "$PORT.*in use|in use.*$PORT" "$T/up.log" || is "'use' in b['edge']['problem']"; }
wait_for 15 "a balancer's port in use is told" listen_told
kill $holder; wait $holder 2>/dev/null
wait_for 20 "and taken once it is free" answers /
kill $up_pid 2>/dev/null; wait $up_pid
muster down >/dev/null

# Worse: a stranger takes the port after muster has looked at it and before the instance binds it, and answers the probe in its place.
taken=$(free_port)
mkdir "$T/www"
cat >"$T/muster.yaml" <<Y
services:
  late:
    command: [sh, -c, "sleep 1.5; exec python3 -m http.server --bind \${HOST} \${PORT}"]
    directory: $T/www
    port: $taken
    health: { readiness: { http: /, every: 200ms } }
    restart: { delay: 200ms, max_delay: 500ms, limit: 100 in 1m }
Y
muster up "$T/muster.yaml" --detach >"$T/up.log" 2>&1 &
up_pid=$!
wait_for 10 "the instance starts" is "i['late.1']['pid'] is not None"
(cd "$T" && exec python3 -m http.server --bind 127.0.0.1 "$taken" >/dev/null 2>&1) &
holder=$!
wait_for 5 "the stranger answers" curl -sf -m 1 "http://127.0.0.1:$taken/"
wait_for 4 "the instance is not ready, and the stranger is named" is "not i['late.1']['ready'] and 'answered by pid $holder' in i['late.1']['reason'] or 'in use by pid $holder' in i['late.1']['reason']"
kill $holder; wait $holder 2>/dev/null
wait_for 20 "ready once the stranger is gone" ready late 1
kill $up_pid 2>/dev/null; wait $up_pid
true
