#!/bin/bash
# A pid that a stranger got while no keeper looked: it is not taken for the instance that had it, and never signalled.
. /src/tests/systemd/inside.sh
install_muster
needs_keeping
rm -f /etc/systemd/system/muster-agent.service.d/story.conf
systemctl daemon-reload
start_muster
COUNT=2
COMMAND='python3 -m http.server --bind ${HOST} ${PORT}' config $COUNT
sed -i 's,readiness: { http: /healthz,readiness: { tcp: true,' /etc/muster/muster.yaml
APPLY_CAP=60s apply
wait_for 30 "two are ready" ready api $COUNT
WAS=$(processes)

# With the agent away an instance dies and its number goes to a stranger.
victim=$(status "i['api.1']['pid']")
systemctl stop muster-agent || fail "stop"
kill -9 "$victim"
wait_for 10 "api.1 is gone while the agent is away" bash -c "! [ -e /proc/$victim ]"
sysctl -qw kernel.pid_max=$((victim > 400 ? victim + 1 : 401)) || fail "pid_max"
python3 - "$victim" >/run/stranger <<'P' &
import os, sys, time
want = int(sys.argv[1])
for i in range(200000):
    pid = os.fork()
    if pid == 0:
        if os.getpid() == want:
            os.setsid()
            print("stranger", os.getpid(), flush=True)
            time.sleep(600)
        os._exit(0)
    if pid == want:
        os.wait()
        break
    os.waitpid(pid, 0)
P
wait_for 60 "a stranger has its number, $victim" grep -q stranger /run/stranger
systemctl start muster-agent || fail "start"
wait_for 40 "the agent has started another api.1" ready api $COUNT
expect "the stranger lives" grep -q . "/proc/$victim/cmdline"
expect "api.1 is another process" [ "$(status "i['api.1']['pid']")" != "$victim" ]
expect "the exit that nobody saw counts as a failure" bash -c "musterctl events api -n 50 | grep -qiE 'unknown|not seen|unseen'"
systemctl stop muster-instances || fail "stop"
expect "and lives on when all is stopped" grep -q . "/proc/$victim/cmdline"
echo "= the stranger lives"
