#!/bin/bash
# musterctl against a musterd that only talks: what it says and with which exit status, that it is quick, writes nothing where it should not, and
# that what is piped has no escape byte. Then `up` with the real programs: attaching, hangup, Ctrl-C, and nothing left behind.
# timeout: 90
. "$(dirname "$0")/lib.sh"
PORT=$(free_port)
F=$T/fake; mkdir -m 700 "$F"
FAKE_PID=
story_cleanup() { [ -n "$FAKE_PID" ] && kill "$FAKE_PID" 2>/dev/null; }

# gives STATUS WORDS COMMAND...: the exit status, and the words (a regular expression) in what it said.
gives() {
    local want=$1 words=$2 rc
    shift 2
    timeout 20 "$@" >"$T/out" 2>&1 </dev/null; rc=$?
    [ $rc = "$want" ] || fail "$*: exit status $rc, want $want: $(head -5 "$T/out")"
    grep -qE -- "$words" "$T/out" || fail "$*: does not say \`$words\`: $(head -5 "$T/out")"
    grep -q $'\033' "$T/out" && fail "$*: an escape byte in piped output"
    return 0
}
quick() {       # the median of 9 runs
    python3 - "$@" <<'P' || fail "$* takes longer than 50 ms"
import subprocess, sys, time
took = []
for _ in range(9):
    t = time.monotonic(); subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL); took.append(time.monotonic() - t)
print(f"         {' '.join(sys.argv[2:])[:40]}: {sorted(took)[4] * 1000:.1f} ms"); sys.exit(sorted(took)[4] > 0.05)
P
}
C=$B/musterctl

# --- nothing runs ---------------------------------------------------------------------------------------------
gives 0 'Begin:' "$C" --help
gives 0 '^musterctl [0-9]' "$C" --version
gives 2 'Usage' "$C"
gives 2 'did you mean .status' "$C" staus
gives 2 'did you mean .--wait' "$C" apply --wiat
gives 2 'missing' "$C" scale api
gives 2 'too many' "$C" scale api 1 2
gives 2 'not a duration' "$C" down --timeout soon
gives 2 'did you mean .json' "$C" status -o jsno
for cmd in $("$C" --help | awk '/^  [a-z]+ +[a-z]/ && $1 != "musterctl" { print $1 }'); do gives 0 'Examples:' "$C" help "$cmd"; gives 0 'Usage: musterctl' "$C" "$cmd" --help; done
for cmd in "status" "ps" "top" "events" "down" "explain api" "scale api 3" "restart api" "delete api" "run api -- true"; do gives 4 'no muster runs here' "$C" $cmd; done
gives 2 'there is no muster.yaml here' env -C "$T" "$C" up
gives 2 'no-such.yaml' "$C" check "$T/no-such.yaml"
[ ! -e "$MUSTER_STATE" ] || fail "a command that starts nothing made the state folder"
expect "commands without a muster say so, and touch nothing" true
mkdir "$T/app"; printf 'from flask import Flask\napp = Flask(__name__)\n' >"$T/app/app.py"
gives 0 'for the Flask app in app.py' env -C "$T/app" "$C" init
gives 5 'never overwrites' env -C "$T/app" "$C" init
gives 0 'is valid: 1 service' "$C" check "$T/app/muster.yaml"
sed 's/command:/comand:/' "$T/app/muster.yaml" >"$T/app/bad.yaml"
gives 2 'bad.yaml:5:5: .*did you mean .*command' "$C" check "$T/app/bad.yaml"
gives 2 'nothing was applied' "$C" up "$T/app/bad.yaml"
[ ! -e "$MUSTER_STATE" ] || fail "an invalid file started something"
say "init writes a file that passes check; an invalid one starts nothing"
quick "$C" --version; quick "$C" --help; quick "$C" check "$T/app/muster.yaml"

# --- one that only talks ----------------------------------------------------------------------------------------
mkdir -p "$MUSTER_STATE"; ln -s "$F" "$MUSTER_STATE/run"
python3 "$ROOT/tests/scenario/fake_musterd.py" "$F/musterd.sock" "$T/status.json" "$T/asked" & FAKE_PID=$!
cp "$ROOT/tests/golden/failing.json" "$T/status.json"
wait_for 5 "the fake answers" "$C" status
gives 0 'exit code 3' "$C" status
gives 0 'No module named' "$C" status api
gives 0 'RESTARTS' env COLUMNS=120 "$C" status -o wide
gives 0 '"services"' "$C" status -o json
gives 0 '^services:' "$C" status -o yaml
gives 3 'did you mean .api' "$C" status apo
gives 3 'did you mean .worker' "$C" explain workr
gives 0 '81 \(target 60\) -> 4 instances' "$C" explain api
gives 0 'api.2 exited exit code 3' "$C" events
gives 0 'api.3 failed' "$C" events api -n 1
gives 0 'api.1 ' "$C" top
python3 -c '
import json, sys
s = json.load(sys.stdin)["services"][0]
for k in ("name", "revision", "desired", "ready", "state"): s[k]
for k in ("name", "state", "pid", "host", "port", "restarts", "cpu_pct", "p95_ms"): s["instances"][0][k]' < <("$C" status -o json) || fail "the shape of status -o json"
for bad in -1 1.5 banana "" 0x3 " 3"; do gives 2 'whole number from 2 to 6' "$C" scale api "$bad"; done
gives 5 'whole number from 2 to 6' "$C" scale api 99999999999
gives 5 'outside of the range.* 2 to 6' "$C" scale api 7
gives 0 '3 instances wanted' "$C" scale api 3
gives 3 'works on a whole one' "$C" scale api.1 3
gives 3 'no service' "$C" restart '../x'
gives 1 'api is degraded' "$C" restart api --wait
gives 6 'not ready within 1s' "$C" restart worker --wait --timeout 1s
gives 0 'drain and stop' "$C" delete api
gives 0 'Applied 1 change' "$C" apply -f "$T/app/muster.yaml"
gives 0 'nothing was applied' "$C" apply -f "$T/app/muster.yaml" --dry-run
grep -q '"dry_run": *true' "$T/asked" || fail "the dry run was not asked for"
echo '503 {"error": "the change is refused: no space left on device"}' >"$F/musterd.sock.reply"
gives 1 'no space left' "$C" apply -f "$T/app/muster.yaml"
echo '400 {"error": "the configuration is not valid", "errors": ["muster.yaml:3:5: services.api: wrong"]}' >"$F/musterd.sock.reply"
gives 2 'muster.yaml:3:5' "$C" apply -f "$T/app/muster.yaml"
echo '500 {"error": "line \u001b[2J"}' >"$F/musterd.sock.reply"
gives 1 'line .x1b\[2J' "$C" stop api
cp "$ROOT/tests/golden/ready.json" "$T/status.json"
gives 0 'Done: api is as wanted' "$C" start api --wait
gives 0 '5 of 5 instances ready' "$C" status
cp "$ROOT/tests/golden/empty.json" "$T/status.json"
gives 0 'No services yet' "$C" status
gives 3 'none at all yet' "$C" status api
say "every exit status, and what to do next"
script -qec "stty cols 60; unset NO_COLOR; TERM=xterm-256color LANG=C.UTF-8 $C events" "$T/tty" >/dev/null 2>&1
grep -q $'\033\\[31m' "$T/tty" || fail "no colour on a terminal"
script -qec "NO_COLOR=1 TERM=xterm-256color $C events" "$T/tty" >/dev/null 2>&1
grep -q $'\033' "$T/tty" && fail "colour in spite of NO_COLOR"
say "colour on a terminal only, and not with NO_COLOR"
gives 0 'All stopped' "$C" down
wait "$FAKE_PID"; FAKE_PID=
rm -rf "$MUSTER_STATE"

# --- the real one --------------------------------------------------------------------------------------------------
api_config flask_sync1 2
"$C" up "$T/muster.yaml" >"$T/plain" 2>&1 & UP=$!
wait_for 20 "up without a terminal tells of each event" grep -qE '^[0-9:]{8} api.2 ready' "$T/plain"
grep -q $'\033' "$T/plain" && fail "an escape byte in piped output"
gives 0 'attaching' "$C" up "$T/muster.yaml" --detach
before=$(pids api)
( exec setsid script -qec "$C up $T/muster.yaml" /dev/null ) >"$T/view" 2>&1 </dev/null & VIEW=$!
wait_for 10 "a second up shows a live view" grep -q 'LAST EVENTS' "$T/view"
kill -HUP $(pgrep -f "^$C up $T/muster.yaml\$" | grep -vx "$UP") 2>/dev/null
wait_for 10 "whose terminal is closed" sh -c "! kill -0 $VIEW"
sleep 0.5
[ "$(pids api)" = "$before" ] || fail "a hangup of the view touched instances"
answers >/dev/null || fail "no answer after the hangup"
say "a closed terminal stops nothing"
kill -TERM $UP
wait $UP; rc=$?
[ $rc = 0 ] || fail "up after SIGTERM: exit status $rc: $(tail -3 "$T/plain")"
grep -q 'All stopped' "$T/plain" || fail "up did not say that all stopped"
[ -z "$(own_pids)" ] || fail "something runs on: $(ps -o args -p $(own_pids | paste -sd,))"
[ ! -e "$MUSTER_STATE/run" ] || fail "the runtime folder is still there"
say "SIGTERM (Ctrl-C) ends all of it, in order, and leaves no runtime folder"
gives 0 '^api.1 . .*Shutting down' "$C" logs -n 3
gives 3 'there is no log' "$C" logs nobody
say "logs are there without a muster too"
