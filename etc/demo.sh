#!/bin/bash
# `make demo`: the quickstart example with a load that rises and falls, and muster adding and removing instances.
# On a terminal: muster's live view, until Ctrl-C. Without one: ends by itself after one rise and fall, says what it saw, and has exit status 0
# only if instances were added and removed and no request failed. All it writes is in a temporary folder, which it removes.
# MUSTER_DEMO_PORT: instead of 8080.
set -u -o pipefail
cd "$(dirname "$0")/.." || exit 2
build=$(realpath -m "${O:-build}") port=${MUSTER_DEMO_PORT:-8080} load_pid=
url=http://127.0.0.1:$port
work=$(mktemp -d "${TMPDIR:-/tmp}/muster-demo-XXXXXX")
export MUSTER_STATE=$work/state
# Seconds : requests per second. Each takes 100 ms, so 100 requests/s are 10 under way at a time: five instances at 2 each.
profile=0:8,8:8,26:100,38:100,46:8,62:8

cleanup() {
    local rc=$? run
    trap - EXIT INT TERM
    run=$(readlink "$MUSTER_STATE/run")
    [ -n "$load_pid" ] && kill "$load_pid" 2>/dev/null
    [ -e "$MUSTER_STATE" ] && timeout 40 "$build/musterctl" down >/dev/null 2>&1
    rm -rf "$work"
    case $run in */muster-?*) rm -rf "$run" ;; esac
    exit $rc
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
    echo "demo: port $port is in use already:" >&2
    { command -v ss >/dev/null && ss -Hltnp "sport = :$port" | sed 's/^/    /'; } >&2
    echo "Stop that program (if it is an earlier muster: musterctl down), or: make demo MUSTER_DEMO_PORT=8090" >&2
    exit 1
fi
cp -r etc/examples/quickstart "$work/app"
sed -i "s/127\.0\.0\.1:8080/127.0.0.1:$port/" "$work/app/muster.yaml"
now_ms() { echo $(($(date +%s%N) / 1000000)); }
load() { "$build/load" --url "$url/work?ms=100" --mix get=80,post=20 --conn mixed "$@"; }
answers() { "$build/load" --url "$url/" --rate 20 --duration 0.02 --timeout 2000 >/dev/null 2>&1; }
summary() { python3 -c 'import json, sys; j = json.load(open(sys.argv[1])); f = j["failed"]; print(*(j[k] for k in ("sent", "ok")), f["total"], "%.0f" % j["p95_ms"], "; ".join(f"{n} {w}" for w, n in f.items() if w != "total"))' "$1"; }

if [ -t 0 ] && [ -t 1 ]; then
    echo "Starting ${work}/app/muster.yaml; its load begins by itself. Try $url/ in a browser. Ctrl-C ends it."
    # The load waits for the first answer, then rises and falls until the end.
    ( trap '[ -n "${!:-}" ] && kill $! 2>/dev/null; wait; exit' TERM INT
      until answers; do sleep 0.2; done
      while load --profile "$profile" >>"$work/load.json" & wait $!; do :; done ) &
    load_pid=$!
    trap : INT
    "$build/musterctl" up "$work/app/muster.yaml"
    rc=$?
    kill "$load_pid" 2>/dev/null; wait "$load_pid" 2>/dev/null; load_pid=
    [ -s "$work/load.json" ] && python3 -c 'import json, sys
runs = [json.loads(l) for l in open(sys.argv[1])]
print("demo: %d requests, %d failed" % (sum(r["sent"] for r in runs), sum(r["failed"]["total"] for r in runs)))' "$work/load.json"
    exit $rc
fi

t0=$(now_ms)
"$build/musterctl" up "$work/app/muster.yaml" --detach >"$work/up.log" 2>&1 &
up_pid=$!
until answers; do
    if [ $(($(now_ms) - t0)) -gt 30000 ]; then cat "$work/up.log"; echo "demo: no answer within 30 s" >&2; exit 1; fi
    sleep 0.05
done
echo "demo: first answer from $url/ after $(($(now_ms) - t0)) ms"
wait $up_pid || { cat "$work/up.log"; echo "demo: musterctl up failed" >&2; exit 1; }

load --profile "$profile" >"$work/load.json" 2>"$work/load.err" &
load_pid=$!
figures() {
    timeout 5 "$build/musterctl" status -o json 2>/dev/null | python3 -c 'import json, sys
s = json.load(sys.stdin)["services"][0]
n = lambda k: s.get(k) or 0
print(n("ready"), n("desired"), "%.0f" % n("rate"), "%.0f" % n("in_flight"), "%.0f" % n("p95_ms"))' 2>/dev/null
}
start=$(now_ms) most=0 last=0 least=99 seen=
echo "   time  requests/s  in flight  p95       instances"
while :; do
    t=$((($(now_ms) - start) / 1000))
    if read -r ready desired rate flight p95 < <(figures); then
        [ "$ready" -gt "$most" ] && most=$ready
        [ "$ready" -lt "$least" ] && least=$ready
        last=$ready seen+="$ready "
        printf '%5d s  %10s  %9s  %6s ms  %s of %s  %s\n' "$t" "$rate" "$flight" "$p95" "$ready" "$desired" "$(printf '%*s' "$ready" '' | tr ' ' '#')"
    fi
    # After the load ended: a short while for the last removal.
    if ! kill -0 "$load_pid" 2>/dev/null && { [ "$last" -le 2 ] || [ "$t" -gt 85 ]; }; then break; fi
    sleep 2
done
wait "$load_pid"; load_pid=
if ! read -r sent ok failed p95 kinds < <(summary "$work/load.json"); then
    cat "$work/load.err"; echo "demo: the load generator failed" >&2; exit 1
fi
echo "demo: instances over time: $seen"
echo "demo: $sent requests, $failed failed${kinds:+ ($kinds)}, 95 of 100 took at most $p95 ms"
rc=0
[ "$most" -gt 2 ] || { echo "demo: it did not scale up"; rc=1; }
[ "$last" -lt "$most" ] || { echo "demo: it did not scale down"; rc=1; }
[ "$failed" = 0 ] && [ "$ok" = "$sent" ] || { echo "demo: requests failed"; rc=1; }
[ $rc = 0 ] && echo "demo: scaled from $least to $most and back to $last instances, no request failed"
[ $rc = 0 ] || timeout 5 "$build/musterctl" events -n 30
exit $rc
