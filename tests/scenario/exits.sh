#!/bin/bash
# How a process ended is told as it was: exit codes and signals. A crash loop is slowed down, given up loudly, and still tried slowly; a
# service that is told not to be restarted is not.
# timeout: 90
. "$(dirname "$0")/lib.sh"
service() { printf '  %s: { command: "python3 %s/child.py %s/%s.json %s", directory: %s, instances: 1, restart: { policy: %s, delay: 200ms, max_delay: 1s, limit: 4 in 1m } }\n' \
    "$1" "$APPS" "$T" "$1" "$2" "$T" "$3"; }
{ echo "services:"; service three "exit 3" never; service high "exit 255" on-failure; service zero "exit 0" on-failure; service segv "kill 11" never; service killed "kill 9" always; } >"$T/muster.yaml"
muster up "$T/muster.yaml" --detach >"$T/up.log" 2>&1
starts() { [ "$(wc -l <"$T/$1.json.starts" 2>/dev/null || echo 0)" "$2" "$3" ]; }
exit_says() { is "__import__('re').search(r'$2', i['$1.1']['last_exit']) is not None"; }
wait_for 10 "exit code 3" exit_says three '\b3\b'
wait_for 10 "exit code 255" exit_says high '\b255\b'
wait_for 10 "exit code 0" exit_says zero '\b0\b'
wait_for 10 "signal 11" exit_says segv '(11|SEGV)'
wait_for 20 "given up after the limit: failed" is "i['killed.1']['state'] == 'failed'"
expect "with the signal" exit_says killed '(9|KILL)'
expect "said loudly" sh -c "'$B/musterctl' events -n 100 | grep -qi 'killed.*failed\|failed.*killed\|killed.1.*giv'"
expect "with the next try" is "i['killed.1']['next_try'] is not None"
expect "its last lines are shown" is "any('started' in l for l in i['killed.1']['last_lines'])"
n=$(wc -l <"$T/killed.json.starts")
expect "it was started at most $((4 + 2)) times by now ($n)" [ "$n" -le 6 ]
expect "never: started once" starts three = 1
expect "on-failure, and it ended well: started once" starts zero = 1
expect "on-failure, and it failed: started again" starts high -gt 1
python3 - "$T/killed.json.starts" <<'P' && say "each wait is longer than the one before, up to the cap" || fail "no back-off"
import sys
t = [float(l.split()[1]) for l in open(sys.argv[1])]
gaps = [b - a for a, b in zip(t, t[1:])]
print([round(g, 2) for g in gaps])
sys.exit(not (len(gaps) >= 3 and gaps[2] > gaps[0] and max(gaps[:4]) < 3))
P
muster stop killed >/dev/null
sleep 0.5
for s in three high zero segv killed; do muster stop $s >/dev/null 2>&1; done
