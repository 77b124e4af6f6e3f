#!/bin/bash
# Three sync instances at three times their capacity for 10 s, then at half of it. With `queue_timeout: 2s` nobody gets a 503 earlier
# than after 2 s, and 5 s after the load dropped the queue is empty.
# timeout: 90
. "$(dirname "$0")/lib.sh"
PORT=$(free_port) QUEUE_TIMEOUT=2s
api_config flask_sync1 3
up
expect "three are ready" ready api 3
start=$(now_ms)
# 50 ms a request: 3 instances can do 60 a second.
load_start --path '/?ms=50' --profile 0:180,10:180,10.01:30,20:30 --conn mixed --timeout 15000
load_wait
load_query "{k: v for k, v in j['failed'].items()}"
early=$(load_query "len([x for x in r if x[3] == '503' and x[4] < 1950])")
echo "@ early $early"
expect "no 503 before the queue time-out ($early)" [ "$early" = 0 ]
expect "nothing but 503 failed" load_is "not [x for x in bad if x[3] != '503']"
late=$(load_query "max([x[4] for x in r if x[0] >= $start + 15200])")
echo "@ late_ms $late"
expect "5 s after the load dropped answers are quick again (slowest $late ms)" load_is "max([x[4] for x in r if x[0] >= $start + 15200]) < 1000"
expect "and none fails" load_is "not [x for x in bad if x[0] >= $start + 15200]"
expect "all three are still ready" ready api 3
echo "= $(load_query "j['ok']") served, $(load_query "j['failed']['total']") refused after 2 s"
