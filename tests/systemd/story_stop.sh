#!/bin/bash
# What ends and what stays: stop of the agent, stop_instances_on_exit, stop of the instances' unit, and an agent that is started again.
# timeout: 180
. /src/tests/systemd/inside.sh
install_muster
needs_keeping
start_muster
COUNT=2
config $COUNT
apply
wait_for 5 "two are ready" ready api $COUNT
WAS=$(processes)
instances() { pgrep -cu api gunicorn; }

systemctl stop muster-agent || fail "stop"
expect "the agent has stopped" [ "$(property muster-agent ActiveState)" = inactive ]
expect "its instances run on" [ "$(instances)" -ge 2 ]
expect "and serve" answers
expect "no process of muster-agent is left" bash -c "! pgrep -x muster-agent"
expect "musterd's line says so" bash -c "sleep 1; systemctl show -P StatusText musterd | grep -q 'no agent is connected'"
systemctl start muster-agent || fail "start"
wait_for 10 "the next agent has taken them over" same

systemctl stop musterd musterd.socket musterd-agent.socket muster-agent || fail "stop of all"
expect "with all of muster stopped they serve" answers
start_muster
wait_for 10 "they are taken over" same

echo 'stop_instances_on_exit: true' >>/etc/muster/agent.yaml
systemctl restart muster-agent || fail "restart"     # the old one does not know of it yet
wait_for 10 "the agent runs with stop_instances_on_exit" same
systemctl stop muster-agent || fail "stop"
expect "nothing of the instances is left" bash -c "! pgrep -u api gunicorn"
expect "nor of the balancer" bash -c "! pgrep -x haproxy"
systemctl start muster-agent || fail "start"
wait_for 20 "the next start runs all again" ready api $COUNT
wait_for 5 "it serves" answers

sed -i /stop_instances_on_exit/d /etc/muster/agent.yaml
systemctl restart muster-agent; systemctl restart muster-agent
wait_for 20 "ready again" ready api $COUNT
systemctl stop muster-instances || fail "stop of the instances' unit"
expect "it takes the agent along" [ "$(property muster-agent ActiveState)" = inactive ]
expect "and all instances" bash -c "! pgrep -u api gunicorn && ! pgrep -x haproxy"
expect "nothing failed" [ "$(property muster-instances Result) $(property muster-agent Result)" = "success success" ]
systemctl start muster-agent || fail "start"
wait_for 20 "started again, all is back" ready api $COUNT
wait_for 5 "it serves" answers
echo "= instances outlive the agent, and end when told to"
