#!/bin/bash
# 2 -> 6 -> 2 instances, again and again, under load of GET and POST over kept and new connections: no request is lost.
# usage: scale_under_load.sh KIND CYCLES [RATE]      KIND: flask_sync1 flask_sync4 flask_gthread fastapi
# timeout: 7200
. "$(dirname "$0")/lib.sh"
kind=${1:-flask_gthread} cycles=${2:-1} rate=${3:-220}
PORT=$(free_port)
api_config "$kind" "{ min: 2, max: 6 }" "    stop: { drain: 10s, timeout: 10s }"
up
expect "two are ready" ready api 2
load_start --rate "$rate" --duration 100000 --mix get=80,post=20 --conn mixed
for ((c = 1; c <= cycles; c++)); do
    muster scale api 6 >/dev/null || fail "scale to 6"
    wait_for 40 "cycle $c: six are ready" ready api 6
    sleep 0.5
    muster scale api 2 >/dev/null || fail "scale to 2"
    wait_for 40 "cycle $c: two are left" exactly api 2
    [ $((c % 10)) = 0 ] && ! kill -0 "$LOAD_PID" 2>/dev/null && fail "the load generator ended"
    if [ $((c % 5)) = 0 ] && [ "$(awk '$4 !~ /^[23]/' "$T/load.log" | wc -l)" -gt 20 ]; then break; fi
done
sleep 0.5
load_stop
[ -s "$T/load.log" ] && awk '$4 !~ /^[23]/' "$T/load.log" | head -20
echo "@ lost $(load_query "j['sent'] - j['ok']")"
expect "no request was lost" load_is "j['failed']['total'] == 0 and j['ok'] == j['sent'] and j['unfinished'] == 0"
expect "no POST was executed twice" load_is "doubled == 0"
expect "each POST was executed" load_is "set(x[1] for x in r if x[2] == 'POST') <= set(posts)"
echo "= $cycles cycles, $(load_query "j['sent']") requests, none lost, p99 $(load_query "j['p99_ms']") ms"
