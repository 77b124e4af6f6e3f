#!/bin/bash
# A new revision under load: instances are replaced one by one and no request is lost. A revision that never becomes healthy pauses and
# says why, while the old one serves on; a good one after it goes through.
# timeout: 120
. "$(dirname "$0")/lib.sh"
PORT=$(free_port)
rev() { VERSION=$1 api_config flask_gthread 3 "    deploy: { strategy: rolling, surge: 1, unavailable: 0, healthy_for: 1s }
    stop: { drain: 5s, timeout: 5s }
    restart: { delay: 100ms, max_delay: 1s, limit: 5 in 1m }"
    sed -i 's|health: {|health: { startup: { http: /healthz, within: 8s },|' "$T/muster.yaml"; }
all_say() { [ "$(for _ in 1 2 3 4 5 6; do answers / | awk '{print $2}'; done | sort -u)" = "$1" ]; }
rev 1
up
expect "three are ready" ready api 3
expect "all are of version 1" all_say 1
load_start --rate 150 --duration 600 --mix get=80,post=20 --conn mixed

rev 2
muster apply -f "$T/muster.yaml" >"$T/apply.log" || fail "apply: $(cat "$T/apply.log")"
expect "apply shows what changes" grep -q VERSION "$T/apply.log"
steady() { is "s['api']['state'] == 'steady' and all(x['revision'] == s['api']['revision'] for x in s['api']['instances'])" && exactly api 3; }
wait_for 45 "rolled to version 2" steady
expect "all are of version 2" all_say 2

rev bad
muster apply -f "$T/muster.yaml" >/dev/null || fail "apply of the bad version"
paused() { is "s['api']['state'] == 'paused' and s['api']['reason'] != ''"; }
wait_for 75 "the bad version pauses" paused
say "because: $(status "s['api']['reason']")"
expect "the old one serves on" all_say 2
expect "three are ready" is "s['api']['ready'] >= 3"

rev 3
muster apply -f "$T/muster.yaml" >/dev/null || fail "apply of version 3"
wait_for 60 "rolled to version 3" steady
expect "all are of version 3" all_say 3
load_stop
load_query "bad[:20]"
expect "no request was lost" load_is "j['failed']['total'] == 0"
expect "no POST was executed twice" load_is "doubled == 0"
echo "= $(load_query "j['sent']") requests, none lost"
