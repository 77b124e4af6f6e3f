#!/bin/bash
# muster-agent is replaced on disk and told to start anew in place, N -> N+1 -> N, under load: same pids all over, no request lost; a program that
# is missing or broken changes nothing.
# timeout: 120
. "$(dirname "$0")/lib.sh"
PORT=$(free_port)
api_config flask_gthread 3
mkdir "$T/bin"
cp "$B/muster-agent" "$B/musterd" "$B/musterctl" "$T/bin"
version=$("$B/muster-agent" --version); version=${version##* }
next=${version%?}$((9 - ${version: -1}))
sed "s/${version//./\\.}/$next/g" "$B/muster-agent" >"$T/bin/next" && chmod 755 "$T/bin/next"
cp "$B/muster-agent" "$T/bin/now"
expect "the next version is $next" [ "$("$T/bin/next" --version)" = "muster-agent $next" ]
B=$T/bin up
expect "three are ready" ready api 3
keeper=$(head -1 "$MUSTER_STATE/run/keeper.pid")
log=$MUSTER_STATE/log/muster.log
all() { echo "$keeper" $(pids api) $(status "b['edge']['pid']") $(role_pid 'muster-agent.*--role supervisor') $(role_pid 'muster-agent.*--role logger') $(role_pid musterd); }
was=$(all)
say "keeper, instances, balancer, supervisor, logger, musterd: $was"
same() { ready api 3 && [ "$(all)" = "$was" ]; }
load_start --rate 150 --duration 600 --mix get=80,post=20 --conn mixed
sleep 0.5
replaced() { [ "$(grep -c "version .* was replaced by $1 in place" "$log")" = "$2" ]; }
n=0
for round in 1 2 3; do
    n=$((n + 1))
    for v in next now; do
        cp "$T/bin/$v" "$T/bin/muster-agent.new" && mv "$T/bin/muster-agent.new" "$T/bin/muster-agent"
        kill -HUP "$keeper"
        [ $v = next ] && name=$next || name=$version
        wait_for 5 "round $round: replaced by $name" replaced "$name" $n
        expect "with the same processes" same
    done
done
sleep 1
load_stop
load_query "bad[:20]"
expect "no request was lost" load_is "j['failed']['total'] == 0"
rm "$T/bin/muster-agent"
kill -HUP "$keeper"
wait_for 5 "a missing program is told" grep -q "cannot take over .*going on as before" "$log"
expect "and changes nothing" same
cp "$T/bin/now" "$T/bin/muster-agent"
victim=$(pid_of api.1)
kill -9 "$victim"
restarted() { ready api 3 && [ "$(pid_of api.1)" != "$victim" ]; }
wait_for 10 "an instance that is killed is started again as ever" restarted
grep -q "api.1.*signal 9" <(muster events -n 50) || fail "its signal is not told"
echo "= $(load_query "j['sent']") requests, none lost"
