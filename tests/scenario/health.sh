#!/bin/bash
# Readiness takes out and brings back, without a restart; all unready at once changes no list (panic mode); a hung probe is alone and is killed with
# its group at its time-out; liveness restarts, but never all at once.
# timeout: 120
. "$(dirname "$0")/lib.sh"
PORT=$(free_port)
cat >"$T/probe.sh" <<P
#!/bin/sh
echo x >>$T/probes
[ -e $T/hang ] && { sleep 300 & sleep 300; }
[ -e $T/dead ] && exit 1
exit 0
P
chmod +x "$T/probe.sh"
api_config flask_gthread 4 "    restart: { delay: 100ms, limit: 50 in 1m }"
sed -i "s|readiness: { http: /healthz, every: 500ms }|readiness: { http: /healthz, every: 200ms, fail_after: 2 }, liveness: { command: [$T/probe.sh], every: 500ms, timeout: 1s, fail_after: 2 }|" "$T/muster.yaml"
up
expect "four are ready" ready api 4
before=$(pids api)
servers() { is "sum(x['state'] == 'ready' and x['up'] for x in b['edge']['servers']) == $1"; }
touch "$T/unhealthy.api.2"
wait_for 5 "one is unready" is "i['api.2']['state'] == 'unready'"
wait_for 3 "and out of the list" servers 3
rm "$T/unhealthy.api.2"
wait_for 5 "ready again" ready api 4
wait_for 3 "and in the list" servers 4
expect "no process changed" [ "$(pids api)" = "$before" ]

load_start --rate 50 --duration 600
touch "$T/unhealthy"
wait_for 5 "all are unready" is "s['api']['ready'] == 0"
sleep 1
expect "and still get traffic: ignorance empties no list" answers /
rm "$T/unhealthy"
wait_for 5 "all are ready again" ready api 4
load_stop
expect "no request failed" load_is "j['failed']['total'] == 0"

touch "$T/hang"
sleep 3
n=$(own_pids | while read -r p; do tr '\0' ' ' <"/proc/$p/cmdline" 2>/dev/null | grep -c 'probe.sh'; done | awk '{n += $1} END {print n + 0}')
expect "a hung probe runs at most once for each instance ($n)" [ "$n" -le 4 ]
rm "$T/hang"
wait_for 20 "all well once it no longer hangs" ready api 4
sleep 2
left=$(own_pids | while read -r p; do tr '\0' ' ' <"/proc/$p/cmdline" 2>/dev/null; echo; done | grep -c 'sleep 300')
expect "nothing of the hung probes is left ($left)" [ "$left" = 0 ]

touch "$T/dead"
lowest=4 restarts=0
for _ in $(seq 40); do
    r=$(status "s['api']['ready']"); [ -n "$r" ] && [ "$r" -lt "$lowest" ] && lowest=$r
    sleep 0.1
done
rm "$T/dead"
expect "liveness restarts some" is "sum(x['restarts'] for x in s['api']['instances']) > 0"
expect "but one at a time (ready at least: $lowest of 4)" [ "$lowest" -ge 2 ]
wait_for 20 "all are ready in the end" ready api 4
