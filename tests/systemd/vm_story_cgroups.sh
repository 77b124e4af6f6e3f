#!/bin/bash
# With the kernel's controllers on: limits hold, and the agent is restarted in every way although its instances have divided their cgroup. Beside it
# stands a unit that divides its own cgroup, to see that this kernel and this systemd do have the trap (systemd/systemd#24064).
. /src/tests/systemd/inside.sh
install_muster

# The trap: a main process in a sub-cgroup of its own unit, with controllers handed on, and another process beside it that outlives it.
cat >/run/trap.sh <<'T'
#!/bin/bash
c=/sys/fs/cgroup/system.slice/trap.service
mkdir -p $c/main $c/child
echo $$ >$c/main/cgroup.procs
echo '+memory +pids' >$c/cgroup.subtree_control
(echo $BASHPID >$c/child/cgroup.procs; exec sleep 1000) &
exec sleep 1000
T
mkdir -p /run/systemd/system
printf '[Service]\nDelegate=yes\nKillMode=process\nExecStart=/bin/bash /run/trap.sh\n' >/run/systemd/system/trap.service
systemctl daemon-reload
systemctl start trap || fail "trap.service"
wait_for 10 "a unit has divided its own cgroup" grep -q memory /sys/fs/cgroup/system.slice/trap.service/cgroup.subtree_control
systemctl restart trap
sleep 0.5
expect "it cannot be restarted: the trap is there" [ "$(property trap ActiveState)" = failed ]
journalctl --no-pager -u trap 2>/dev/null | grep -o 'Failed.*busy' | head -1
pkill -9 -f 'sleep 1000'

needs_keeping
drop_in muster-agent.service Service WatchdogSec=4s TimeoutAbortSec=1s
start_muster
COUNT=3
COMMAND='python3 -m http.server --bind ${HOST} ${PORT}' config $COUNT '    resources: { memory: 64M, tasks: 16, cpu: 0.5 }'
sed -i 's,readiness: { http: /healthz,readiness: { tcp: true,' /etc/muster/muster.yaml
APPLY_CAP=60s apply
wait_for 20 "three are ready" ready api $COUNT
wait_for 20 "they serve" answers
group_of() { echo "/sys/fs/cgroup$(sed -n 's/^0:://p' "/proc/$1/cgroup")"; }
pid=$(status "i['api.1']['pid']")
g=$(group_of "$pid")
say "api.1 lives in ${g#/sys/fs/cgroup}"
expect "below the instances' unit" bash -c "case $g in */muster-instances.service/*) ;; *) exit 1 ;; esac"
expect "memory is limited" [ "$(cat "$g/memory.max")" = 67108864 ]
expect "tasks are limited" [ "$(cat "$g/pids.max")" = 16 ]
expect "cpu is limited" [ "$(cat "$g/cpu.max")" = "50000 100000" ]
expect "controllers are handed on" grep -q memory /sys/fs/cgroup/system.slice/muster-instances.service/cgroup.subtree_control

WAS=$(processes)
step() {
    local what=$1
    shift
    "$@" || fail "$what"
    say "$what"
    sleep 1
    wait_for 40 "  the same processes, all ready" same
}
step "systemctl restart muster-agent" systemctl restart muster-agent
step "systemctl restart musterd muster-agent" systemctl restart musterd muster-agent
pid=$(main_pid muster-agent)
step "systemctl reload muster-agent" systemctl reload muster-agent
expect "  in place: the same pid" [ "$(main_pid muster-agent)" = "$pid" ]
step "kill -9 of the keeper" bash -c "kill -9 $(main_pid muster-agent)"
n=$(property muster-agent NRestarts)
kill -STOP "$(main_pid muster-agent)"
wait_for 30 "the watchdog ends a stopped keeper" bash -c "[ \$(systemctl show -P NRestarts muster-agent) -gt $n ]"
wait_for 40 "  the same processes, all ready" same
expect "the instances' unit was never touched" [ "$(property muster-instances NRestarts) $(property muster-instances ActiveState)" = "0 active" ]
systemctl daemon-reload
wait_for 10 "systemctl daemon-reload changes nothing" same

say "limits hold"
python3 - <<'P'
p = "/etc/muster/muster.yaml"
s = open(p).read()
o = open("/src/build-folder").read().strip()
s = s.replace("balancers:", f"""  eater: {{ command: /src/{o}/child memory 200000000, user: api, directory: /, port: none, instances: 1, resources: {{ memory: 32M }}, restart: {{ delay: 1s }} }}
  forker: {{ command: [bash, -c, "for i in $(seq 60); do sleep 100 & done 2>/dev/null; wait"], user: api, directory: /, port: none, instances: 1, resources: {{ tasks: 8 }} }}
  burner: {{ command: [bash, -c, "while :; do :; done"], user: api, directory: /, port: none, instances: 1, resources: {{ cpu: 0.25 }} }}
balancers:""", 1)
open(p, "w").write(s)
P
musterctl apply -f /etc/muster/muster.yaml >"$T/apply.log" 2>&1 || { cat "$T/apply.log"; fail "apply"; }
wait_for 30 "who eats more memory than its limit is killed, and muster says for what" bash -c "musterctl events eater -n 50 | grep -qiE 'memory'"
pid=$(status "i['forker.1']['pid']")
wait_for 10 "tasks end at the limit" bash -c "[ \$(cat $(group_of "$pid")/pids.current) -le 8 ] && [ \$(cat $(group_of "$pid")/pids.current) -ge 6 ]"
pid=$(status "i['burner.1']['pid']")
usage() { awk '$1 == "usage_usec" { print $2 }' "$(group_of "$pid")/cpu.stat"; }
a=$(usage) t=$(now_ms); sleep 4; b=$(usage) t=$(( $(now_ms) - t ))
share=$(( (b - a) / 10 / t ))
expect "a quarter of a core is a quarter ($share%)" [ $share -ge 15 -a $share -le 32 ]
expect "the others did not notice" same
systemctl stop muster-instances || fail "stop"
expect "nothing is left in its cgroup" bash -c "! pgrep -u api ."
expect "it can be started again" systemctl start muster-agent
wait_for 40 "and all is back" ready api $COUNT
echo "= limits hold, restarts do not"
