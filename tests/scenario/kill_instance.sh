#!/bin/bash
# Of six instances under load one is killed every 0.6 s, ten times: no GET is lost, no POST is executed twice, and only POSTs in flight on
# the killed one may be lost.
# timeout: 90
. "$(dirname "$0")/lib.sh"
PORT=$(free_port)
api_config flask_sync1 6 "    restart: { delay: 0s, limit: 50 in 1m }"
up
expect "six are ready" ready api 6
victims=
load_start --rate "${RATE:-200}" --duration 600 --mix get=80,post=20 --conn mixed
sleep 1
for k in 1 2 3 4 5 6 7 8 9 10; do
    victim=$(status "(lambda v: v[($k * 5) % len(v)])([x['pid'] for x in s['api']['instances'] if x['pid']])")    # one that restarts has none
    kill -9 "$victim" || fail "no such process: $victim"
    say "killed $victim"
    victims="$victims $victim"
    sleep 0.55
done
wait_for 15 "all six are ready again" ready api 6
sleep 1
load_stop
load_query "[x for x in bad][:20]"
echo "@ get_lost $(load_query "j['GET']['failed']")"
echo "@ post_lost $(load_query "j['POST']['failed']")"
echo "@ doubled $(load_query doubled)"
expect "no GET was lost" load_is "j['GET']['failed'] == 0"
expect "no POST was executed twice" load_is "doubled == 0"
# A sync worker has one request at a time, so at most one for each kill.
expect "POSTs lost: at most those in flight on the killed" load_is "j['POST']['failed'] <= 10"
expect "restarts are counted" is "sum(x['restarts'] for x in s['api']['instances']) == 10"
none_of_them() { for p in $(pids api); do case " $victims " in *" $p "*) return 1 ;; esac; done; }
expect "none of the ready ones is one that was killed" none_of_them
echo "= $(load_query "j['sent']") requests, lost: $(load_query "j['GET']['failed']") GET, $(load_query "j['POST']['failed']") POST"
