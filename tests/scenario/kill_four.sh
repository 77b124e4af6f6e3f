#!/bin/bash
# Four of six instances are killed at once: at most 1% of that second's GETs fail, and none that comes a second later.
# timeout: 60
. "$(dirname "$0")/lib.sh"
PORT=$(free_port)
api_config flask_sync1 6 "    restart: { delay: 0s, limit: 50 in 1m }"
up
expect "six are ready" ready api 6
load_start --rate "${RATE:-200}" --duration 600 --conn mixed
sleep 2
victims=$(status "[x['pid'] for x in s['api']['instances']][:4]")
at=$(now_ms)
kill -9 $victims
say "killed $victims"
wait_for 15 "all six are ready again" ready api 6
sleep 1.5
load_stop
load_query "bad[:20]"
lost=$(load_query "len([x for x in bad if $at - 1000 <= x[0] < $at + 1000])")
second=$(load_query "len([x for x in r if $at <= x[0] < $at + 1000])")
echo "@ lost_pct $(python3 -c "print(round(100 * $lost / max(1, $second), 2))")"
echo "@ lost_later $(load_query "len([x for x in bad if x[0] >= $at + 1000])")"
expect "at most 1% of that second's GETs failed ($lost of $second)" [ $((lost * 100)) -le "$second" ]
expect "all is well after one second" load_is "not [x for x in bad if x[0] >= $at + 1000]"
echo "= lost $lost of $second"
