#!/bin/bash
# From nothing to the first balanced answer: the quickstart example, as it is but for the port, must answer within ten seconds of `up`.
# timeout: 60
. "$(dirname "$0")/lib.sh"
PORT=$(free_port)
cp -r "$ROOT/etc/examples/quickstart" "$T/app"
sed -i "s/127.0.0.1:8080/127.0.0.1:$PORT/" "$T/app/muster.yaml"
lines=$(grep -cvE '^ *(#|$)' "$T/app/muster.yaml")
expect "the example has at most eight lines of YAML (it has $lines)" [ "$lines" -le 8 ]
expect "the example passes check" muster check "$T/app/muster.yaml"

t0=$(now_ms)
muster up "$T/app/muster.yaml" --detach >"$T/up.log" 2>&1 &
up_pid=$!
wait_for 10 "a balanced answer" answers /
ms=$(( $(now_ms) - t0 ))
wait $up_pid || fail "up --detach ended with $?"
say "up --detach returned"
expect "all instances are ready when it returns" ready api 2
two() { [ "$(for _ in 1 2 3 4 5 6 7 8; do answers / | sed 's/, process.*//'; done | sort -u | wc -l)" = 2 ]; }
wait_for 3 "both instances answer" two
expect "down" muster down
gone() { [ -z "$(own_pids)" ]; }
wait_for 3 "nothing is left running" gone
echo "= first answer after $ms ms"
