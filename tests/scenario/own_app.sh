#!/bin/bash
# What README promises: somebody's own Flask or FastAPI app, two commands (`init`, `up`), at most eight lines of YAML, and a balanced answer
# within ten seconds.
# timeout: 60
. "$(dirname "$0")/lib.sh"
mkdir "$T/flask" "$T/fastapi"
printf 'from flask import Flask\napp = Flask(__name__)\n\n@app.route("/")\ndef hello():\n    return "hello, flask"\n' >"$T/flask/app.py"
printf 'from fastapi import FastAPI\napp = FastAPI()\n\n@app.get("/")\ndef hello():\n    return "hello, fastapi"\n' >"$T/fastapi/main.py"
for kind in flask fastapi; do
    cd "$T/$kind" || fail "cd"
    PORT=$(free_port)
    expect "$kind: init" muster init
    expect "$kind: what it wrote passes check" muster check muster.yaml
    lines=$(grep -cvE '^ *(#|$)' muster.yaml)
    expect "$kind: at most eight lines of YAML ($lines)" [ "$lines" -le 8 ]
    sed -i -E "s/(listen: *\"?[^\"]*:)8080/\1$PORT/" muster.yaml
    grep -q "$PORT" muster.yaml || fail "no port 8080 in $(cat muster.yaml)"
    t0=$(now_ms)
    muster up muster.yaml --detach >"$T/up.log" 2>&1 &
    up_pid=$!
    wait_for 10 "$kind: a balanced answer" answers /
    say "after $(( $(now_ms) - t0 )) ms: $(answers /)"
    wait $up_pid || fail "up ended with $?"
    answers / | grep -q "hello, $kind" || fail "not the app's answer"
    muster down >/dev/null || fail "down"
    muster_state=$MUSTER_STATE; rm -rf "$muster_state"
done
