#!/bin/bash
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
expect "with what does it instead" grep -q "systemctl stop muster-instances" "$T/down.log"

expect "no TCP listener but the balancer's" bash -c "[ \"\$(ss -Hltn | awk '{ print \$4 }' | grep -v ':2[0-9]\{4\}\$' | sort -u | tr '\n' ' ')\" = '127.0.0.1:$PORT ' ]"
systemd-cgls --no-pager /system.slice/muster-instances.service >"$T/cgls" 2>&1
expect "systemd-cgls shows the instances by name" bash -c "for i in $(status "list(i)"); do grep -q \"\$i\" $T/cgls || exit 1; done"
expect "and the balancer" grep -q haproxy "$T/cgls"
expect "nothing of them is in muster-agent's own cgroup" bash -c "! systemctl status --no-pager muster-agent | grep -qE 'gunicorn|haproxy'"
echo "= three instances, $(systemctl show -P StatusText musterd)"
