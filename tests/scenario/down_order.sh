#!/bin/bash
# `down` (as Ctrl-C on `up`) ends all in order: a request that is under way is answered, what came `after` stops before what it needed,
# and nothing is left.
# timeout: 60
. "$(dirname "$0")/lib.sh"
PORT=$(free_port)
stopper='import signal,sys,time,os
def end(*_):
    open(sys.argv[1],"a").write("%s %.3f\n" % (sys.argv[2], time.time())); sys.exit(0)
signal.signal(signal.SIGTERM, end)
time.sleep(1000)'
printf '%s\n' "$stopper" >"$T/stopper.py"
api_config flask_gthread 2 "    after: [db]
    stop: { drain: 10s }
  db:
    command: python3 $T/stopper.py $T/stops db
    directory: $T
    instances: 1
  worker:
    command: python3 $T/stopper.py $T/stops worker
    directory: $T
    instances: 1
    after: [db]"

for way in down ctrl-c; do
    rm -f "$T/stops"
    if [ $way = down ]; then
        up
    else
        # A shell without job control starts background jobs with INT ignored; a terminal would not.
        python3 -c 'import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL); os.execv(sys.argv[1], sys.argv[1:])' \
            "$B/musterctl" up "$T/muster.yaml" >"$T/up.log" 2>&1 &
        fg=$!
        wait_for 20 "up in the foreground: two are ready" ready api 2
    fi
    all=$(own_pids)
    code=$(curl -s -m 20 -o /dev/null -w '%{http_code}' "http://127.0.0.1:$PORT/?ms=1500" & sleep 0.5
        if [ $way = down ]; then muster down >"$T/down.log" 2>&1 || echo "down: $?"; else kill -INT $fg; fi; wait)
    expect "$way: the request under way was answered" [ "$code" = 200 ]
    if [ $way = ctrl-c ]; then wait $fg; expect "up ended with status 0" [ $? = 0 ]; fi
    gone() { [ -z "$(own_pids)" ]; }
    wait_for 15 "$way: nothing is left" gone
    expect "$way: the worker stopped before the database" [ "$(cut -d' ' -f1 "$T/stops" | tr '\n' ' ')" = "worker db " ]
done
