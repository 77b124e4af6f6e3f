#!/bin/bash
# systemd/systemd#31288, systemd/systemd#8122: what does not end gets its whole stop timeout after the stop signal, the grandchild too, and is
# killed then and not later: at `stop`, and at `down` just so.
# timeout: 60
. "$(dirname "$0")/lib.sh"
cat >"$T/stubborn.py" <<'P'
import os, signal, sys, time
who = "child"
def told(*_):
    with open(sys.argv[1] + "." + who, "a") as f:
        f.write("%.3f\n" % time.monotonic())
signal.signal(signal.SIGTERM, told)
if os.fork() == 0:
    who = "grandchild"
    os.setsid()
    with open(sys.argv[1] + ".pid", "w") as f:
        f.write(str(os.getpid()))
while True:
    time.sleep(1)
P
cat >"$T/muster.yaml" <<Y
services:
  stubborn:
    command: python3 $T/stubborn.py $T/told
    directory: $T
    instances: 1
    stop: { timeout: 1s }
Y
# Prints when the process ended.
cat >"$T/watch.py" <<'P'
import os, select, sys, time
fd = os.pidfd_open(int(sys.argv[1]))
p = select.poll()
p.register(fd, select.POLLIN)
print("%.3f" % time.monotonic() if p.poll(20000) else "never")
P
up
for way in stop down; do
    wait_for 10 "ready, with a grandchild" [ -s "$T/told.pid" ]
    wait_for 5 "ready" ready stubborn 1
    sleep 0.3
    pid=$(pid_of stubborn.1) grandchild=$(cat "$T/told.pid")
    rm -f "$T/told.child" "$T/told.grandchild" "$T/told.pid"
    python3 "$T/watch.py" "$pid" >"$T/ended" & a=$!
    python3 "$T/watch.py" "$grandchild" >"$T/ended.grandchild" & b=$!
    sleep 0.2
    if [ $way = stop ]; then muster stop stubborn >/dev/null || fail "stop"; else muster down >"$T/down.log" 2>&1 || fail "down"; fi
    wait $a $b
    took=$(python3 -c 'import sys; print("%.3f" % (float(open(sys.argv[1]).readline()) - float(open(sys.argv[2]).readline())))' "$T/ended" "$T/told.child")
    expect "$way: killed after its timeout of 1 s ($took s)" python3 -c "import sys; sys.exit(not 0.9 <= $took <= 1.3)"
    both=$(python3 -c 'import sys; print("%.3f" % abs(float(open(sys.argv[1]).readline()) - float(open(sys.argv[2]).readline())))' "$T/ended" "$T/ended.grandchild")
    expect "$way: and the grandchild with it ($both s apart)" python3 -c "import sys; sys.exit(not $both <= 0.3)"
    if [ $way = stop ]; then muster start stubborn >/dev/null || fail "start"; fi
done
