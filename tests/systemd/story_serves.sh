#!/bin/bash
# timeout: 120
# From nothing to an API behind a balancer: make install, systemctl start, musterctl apply. Who may speak with it, and what systemd shows of it.
. /src/tests/systemd/inside.sh
install_muster
expect "the accounts are there" id muster muster-agent muster-log
expect "musterd may read the instances' logs" bash -c "id -nG muster | grep -qw muster-log"
start_muster
config 3
apply
expect "it serves" answers
expect "three are ready" ready api 3
expect "both daemons are ready" [ "$(property musterd ActiveState) $(property muster-agent ActiveState)" = "active active" ]
wait_for 3 "musterd's line says how it is" bash -c "systemctl show -P StatusText musterd | grep -qx '1 service, 3/3 ready'"
say "muster-agent's line: $(property muster-agent StatusText)"

mode() { stat -c '%a %U %G' "$1"; }
expect "the API's socket is for root and the group muster" [ "$(mode /run/muster/musterd.sock)" = "660 root muster" ]
expect "the agent's socket is for root and muster-agent" [ "$(mode /run/muster/agent.sock)" = "660 root muster-agent" ]
expect "musterd is no root" [ "$(ps -o user= -p "$(main_pid musterd)")" = muster ]

useradd --create-home ada; useradd --create-home -G muster eve
as() { setpriv --reuid "$1" --regid "$1" --init-groups env HOME="/home/$1" "${@:2}"; }
expect "a member of the group muster sees it" as eve musterctl status
expect "and may change it" as eve musterctl scale api 2 --wait
expect "somebody else is told why not" bash -c "setpriv --reuid ada --regid ada --init-groups env HOME=/home/ada musterctl status 2>&1 | grep -q 'members of its group (muster)'"
musterctl scale api 3 --wait >/dev/null || fail "scale"
musterctl down >"$T/down.log" 2>&1
expect "down is refused" [ $? = 5 ]
expect "with what does it instead" grep -q "systemctl stop muster-agent" "$T/down.log"

expect "no TCP listener but the balancer's" bash -c "[ \"\$(ss -Hltn | awk '{ print \$4 }' | grep -v ':2[0-9]\{4\}\$' | sort -u | tr '\n' ' ')\" = '127.0.0.1:$PORT ' ]"
systemd-cgls --no-pager /system.slice >"$T/cgls" 2>&1
expect "systemd-cgls shows the instances by name" bash -c "for i in $(status "list(i)"); do grep -q \"\$i\" $T/cgls || exit 1; done"
expect "and the balancer" grep -q haproxy "$T/cgls"
wait_for 10 "no instance is being stopped any more" is "len([x for x in s['api']['instances'] if x['pid']]) == 3"
WAS=$(processes) COUNT=3
load_start --rate 100 --duration 600 --mix get=80,post=20 --conn mixed
sleep 0.5
for round in 1 2 3; do
    systemctl restart musterd || fail "restart"
    sleep 0.5
    wait_for 10 "musterd was restarted: the same processes, all ready" same
    kill -9 "$(main_pid musterd)"
    sleep 0.5
    wait_for 10 "musterd was killed: the same processes, all ready" same
    pid=$(main_pid muster-agent) exec=$(stat -Lc %i /proc/$pid/exe)
    cp -p "$(command -v muster-agent)" /tmp/next && mv /tmp/next "$(command -v muster-agent)"     # a new version, as install puts it there
    systemctl reload muster-agent || fail "reload"
    wait_for 10 "muster-agent was reloaded: another program" bash -c "[ \$(stat -Lc %i /proc/$pid/exe) != $exec ]"
    expect "  with the same pid" [ "$(main_pid muster-agent)" = "$pid" ]
    wait_for 10 "  the same processes, all ready" same
done
expect "systemctl daemon-reexec is no trouble" systemctl daemon-reexec
rm /var/lib/muster/state.db* && systemctl restart musterd
sleep 0.5
wait_for 10 "musterd's state was lost: it takes over what the agent has" same
load_stop
load_query "bad[:10]"
expect "no request was lost" [ "$(load_query "j['failed']['total']")" = 0 ]
systemctl kill -s STOP musterd
t=$(now_ms)
wait_for 30 "systemd's watchdog ends a musterd that hangs" bash -c "timeout 1 musterctl status"
say "after $(( ($(now_ms) - t) / 1000 )) s"
wait_for 10 "the same processes, all ready" same
kill -9 "$(main_pid muster-agent)"
sleep 0.5
wait_for 30 "the keeper was killed: all are ready again" ready api 3
wait_for 10 "it serves" answers
wait_for 10 "and nothing runs twice: a master and a worker each" bash -c "[ \$(pgrep -u api -c .) = 6 ]"
systemctl stop muster-agent || fail "stop"
expect "stopped: nothing is left" bash -c "! pgrep -u api . && ! pgrep -x haproxy"
systemctl start muster-agent || fail "start"
wait_for 20 "the next start runs what was applied" ready api 3
wait_for 5 "it serves" answers
echo "= serves, through restarts and kills of musterd and reloads of muster-agent"
