#!/bin/bash
# HAProxy is killed under load. Its listening socket is not its own, so nobody is refused; a second later all is as before.
# timeout: 60
. "$(dirname "$0")/lib.sh"
PORT=$(free_port)
api_config flask_gthread 3
up
expect "three are ready" ready api 3
load_start --rate 150 --duration 600 --conn new
sleep 1
pid=$(status "b['edge']['pid']")
at=$(now_ms)
kill -9 "$pid" || fail "no such process: $pid"
say "killed HAProxy ($pid)"
sleep 3
back() { is "b['edge']['running'] and b['edge']['pid'] != $pid"; }
wait_for 5 "HAProxy runs again" back
load_stop
load_query "bad[:20]"
expect "nobody was refused" load_is "'refused' not in j['failed']"
expect "at most those in flight were lost" load_is "j['failed']['total'] <= 16"
expect "all is well after one second" load_is "not [x for x in bad if x[0] >= $at + 1000]"
expect "no instance was restarted" is "sum(x['restarts'] for x in s['api']['instances']) == 0"
expect "all servers are in the list" is "sum(x['up'] for x in b['edge']['servers']) == 3"
echo "= $(load_query "j['failed']['total']") in flight lost"
