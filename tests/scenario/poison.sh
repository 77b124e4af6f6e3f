#!/bin/bash
# A GET that kills the worker process that serves it: it must not walk through the instances. At most two of six are hit, at most one
# answer fails (its own), and the others serve on.
# timeout: 60
. "$(dirname "$0")/lib.sh"
PORT=$(free_port)
api_config flask_sync1 6
up
expect "six are ready" ready api 6
load_start --rate "${RATE:-100}" --duration 600 --conn mixed
sleep 1
code=$(curl -s -m 10 -o /dev/null -w '%{http_code}' -H 'X-Request-Id: poison' "http://127.0.0.1:$PORT/poison")
say "the poison request was answered $code"
sleep 3
load_stop
load_query "bad[:20]"
hit=$(grep -c '^poison ' "$T/ids")
echo "@ hit $hit"
echo "@ lost $(load_query "j['failed']['total']")"
expect "it was executed at most twice ($hit)" [ "$hit" -ge 1 -a "$hit" -le 2 ]
expect "no other request failed" load_is "j['failed']['total'] == 0"
wait_for 10 "all six are ready" ready api 6
echo "= executed $hit times, answered $code"
