#!/bin/bash
# The machine's clock jumps by ten years, forward and back, which only a kernel of one's own allows: nothing is restarted, nothing fails.
. /src/tests/systemd/inside.sh
install_muster
start_muster
COUNT=2
COMMAND='python3 -m http.server --bind ${HOST} ${PORT}' config $COUNT
sed -i 's,readiness: { http: /healthz,readiness: { tcp: true,' /etc/muster/muster.yaml
APPLY_CAP=60s apply
wait_for 30 "two are ready" ready api $COUNT
WAS=$(processes)

for years in 10 -10; do
    at=$(date +%s)
    date -s "$years years" >/dev/null || fail "date"
    say "the clock says $(date -u +%Y)"
    sleep 3
    wait_for 10 "  the same processes, all ready" same
    expect "  they serve" answers
    systemctl restart musterd || fail "restart"
    wait_for 30 "  and after a restart of musterd" same
    date -s "@$((at + 5))" >/dev/null
    sleep 1
done
wait_for 10 "with the old time, the same processes" same
expect "no restart was counted" is "sum(x['restarts'] for x in s['api']['instances']) == 0"

echo "= ten years there and back"
