#!/bin/bash
# Under load: restarts, reloads, kills and a hang of musterd and muster-agent. No process of an instance changes, no request is lost.
# timeout: 240
. /src/tests/systemd/inside.sh
install_muster
needs_keeping
drop_in muster-agent.service Service WatchdogSec=2s
drop_in musterd.service Service WatchdogSec=2s
start_muster
COUNT=4
config $COUNT
apply
wait_for 5 "four are ready" ready api $COUNT
WAS=$(processes)
say "processes: $WAS"
load_start --rate 120 --duration 600 --mix get=80,post=20 --conn mixed
sleep 0.5

killed() { kill -"$2" "$(main_pid "$1")"; }
restarts() { property "$1" NRestarts; }
restarted() { [ "$(restarts "$1")" -gt "$2" ]; }
reexecuted() { kill -HUP "$(main_pid muster-agent)"; }
step() {
    local what=$1
    shift
    "$@" || fail "$what"
    say "$what"
    sleep 0.7
    wait_for 20 "  the same processes, all ready" same
}
for round in 1 2; do
    step "systemctl restart musterd" systemctl restart musterd
    step "systemctl restart muster-agent" systemctl restart muster-agent
    step "systemctl restart of both" systemctl restart musterd muster-agent
    pid=$(main_pid muster-agent)
    step "systemctl reload muster-agent" systemctl reload muster-agent
    expect "  in place: the same pid" [ "$(main_pid muster-agent)" = "$pid" ]
    step "kill -9 of musterd" killed musterd KILL
    step "kill -9 of the keeper" killed muster-agent KILL
    step "kill -9 of both" bash -c "kill -9 $(main_pid musterd) $(main_pid muster-agent)"
done
n=$(restarts muster-agent)
killed muster-agent STOP
say "the keeper is stopped by SIGSTOP"
wait_for 15 "systemd's watchdog ends it" restarted muster-agent "$n"
wait_for 20 "  the same processes, all ready" same
n=$(restarts musterd)
killed musterd STOP
say "musterd is stopped by SIGSTOP"
wait_for 15 "systemd's watchdog ends it" restarted musterd "$n"
wait_for 20 "  the same processes, all ready" same
step "systemctl daemon-reexec" systemctl daemon-reexec
say "descriptors in systemd's store: $(property muster-agent NFileDescriptorStore)"
expect "the store holds what it should: between 3 and 5 an instance" \
    bash -c "n=$(property muster-agent NFileDescriptorStore); [ \$n -ge $((COUNT * 3)) ] && [ \$n -le $((COUNT * 5 + 10)) ]"
load_stop
load_query "bad[:10]"
expect "no request was lost" [ "$(load_query "j['failed']['total']")" = 0 ]
expect "no instance was restarted" is "sum(x['restarts'] for x in s['api']['instances']) == 0"
echo "= $(load_query "j['sent']") requests, none lost; $(restarts muster-agent) restarts of muster-agent by systemd, $(restarts musterd) of musterd"
