#!/bin/bash
# hashicorp/nomad#9705: the folder of the logs is removed while instances run, and every process of muster is killed after it. Nothing is
# stopped or restarted for it; what instances print then is in a new folder.
# timeout: 60
. "$(dirname "$0")/lib.sh"
cat >"$T/count.py" <<'P'
import itertools, time
for n in itertools.count():
    print("number", n, flush=True)
    time.sleep(0.02)
P
cat >"$T/muster.yaml" <<Y
services:
  writer: { command: python3 $T/count.py, directory: $T, instances: 2 }
Y
up
expect "two write" ready writer 2
was=$(pids writer)
log=$MUSTER_STATE/log
expect "there are logs" [ -s "$log/writer.1.log" ]
same() { ready writer 2 && [ "$(pids writer)" = "$was" ]; }
for role in 'muster-agent.*--role logger' 'muster-agent.*--role supervisor' musterd; do
    rm -rf "$log"
    kill -9 "$(role_pid "$role")"
    say "no logs any more, and $role killed"
    sleep 1
    wait_for 10 "both run, the same processes" same
    wait_for 10 "and what they print is there" [ -s "$log/writer.1.log" -a -s "$log/writer.2.log" ]
done
expect "musterctl shows it" sh -c "'$B/musterctl' logs writer -n 5 | grep -q number"
