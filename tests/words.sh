# words.sh - the words that stories are told with, wherever they run (tests/scenario/lib.sh, tests/systemd/inside.sh). Who sources it has now_ms,
# say and fail, and sets MUSTERCTL.

expect() { local what=$1; shift; "$@" || fail "expected: $what"; say "$what"; }
# wait_for SECONDS WHAT COMMAND...: tries every 0.1 s.
wait_for() {
    local until=$(( $(now_ms) + $1 * 1000 )) what=$2
    shift 2
    until "$@" >/dev/null 2>&1; do
        [ "$(now_ms)" -lt "$until" ] || fail "not within its time: $what"
        sleep 0.1
    done
    say "$what"
}

# status EXPRESSION: Python over d (the whole), s (services by name), i (instances by name), b (balancers by name).
status() {
    timeout 10 "$MUSTERCTL" status -o json 2>/dev/null | python3 -c '
import json, sys
d = json.load(sys.stdin)
s = {x["name"]: x for x in d["services"]}
i = {y["name"]: y for x in d["services"] for y in x["instances"]}
b = {x["name"]: x for x in d.get("balancers", [])}
r = eval(sys.argv[1])
print(r if not isinstance(r, (list, tuple)) else " ".join(map(str, r)))' "$1" 2>"$T/status.err"
}
is() { [ "$(status "$1")" = True ]; }                           # is EXPRESSION
ready() { is "s['$1']['ready'] == $2 and sum(x['ready'] for x in s['$1']['instances']) == $2"; }       # ready SERVICE COUNT

# load_start ARGS...: build/load in the background; load_stop: ends it and leaves $T/load.json.
load_start() {
    "$B/load" --url "http://127.0.0.1:$PORT/" --log "$T/load.log" "$@" >"$T/load.json" 2>"$T/load.err" &
    LOAD_PID=$!
}
load_stop() {
    kill -TERM "$LOAD_PID" 2>/dev/null
    load_wait
}
load_wait() { wait "$LOAD_PID" 2>/dev/null; LOAD_PID=; [ -s "$T/load.json" ] || fail "the load generator: $(cat "$T/load.err")"; say "load: $(cut -c 1-300 "$T/load.json")"; }
# load_query EXPRESSION: Python over j (the summary) and, of each request, r = [(due_ms, id, method, result, latency_ms, instance)].
load_query() {
    python3 -c '
import json, sys
j = json.load(open(sys.argv[1] + "/load.json"))
r = [(int(a), b, c, d, int(e) / 1000, f) for a, b, c, d, e, f in (l.split() for l in open(sys.argv[1] + "/load.log"))]
bad = [x for x in r if not x[3].startswith(("2", "3"))]
try:
    ids = [tuple(l.split()[:2]) for l in open(sys.argv[1] + "/ids")]
except FileNotFoundError:
    ids = []
posts = [i for i, m in ids if m == "POST"]
doubled = len(posts) - len(set(posts))
v = eval(sys.argv[2])
print(v)' "$T" "$1"
}
load_is() { [ "$(load_query "$1")" = True ]; }                  # load_is EXPRESSION
