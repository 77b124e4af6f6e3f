#!/bin/bash
# Any of muster's own processes may die at any time: traffic goes on, no instance and no balancer is restarted, and all comes back.
# timeout: 120
. "$(dirname "$0")/lib.sh"
PORT=$(free_port)
api_config flask_gthread 3
up
expect "three are ready" ready api 3
was="$(pids api) $(status "b['edge']['pid']")"
load_start --rate 150 --duration 600 --mix get=80,post=20 --conn mixed
sleep 0.5
same() { ready api 3 && [ "$(pids api) $(status "b['edge']['pid']")" = "$was" ]; }
for role in 'muster-agent.*--role supervisor' 'muster-agent.*--role logger' 'musterd'; do
    for round in 1 2; do
        pid=$(role_pid "$role")
        [ -n "$pid" ] || fail "no process of $role"
        kill -9 "$pid"
        say "killed $role ($pid)"
        sleep 1
        wait_for 15 "round $round: all are ready, with the same processes" same
    done
done
sleep 1
load_stop
load_query "bad[:20]"
expect "no request was lost" load_is "j['failed']['total'] == 0"
echo "= $(load_query "j['sent']") requests, none lost"
