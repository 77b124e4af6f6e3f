# lib.sh - what the scenario scripts share. Sourced first:  . "$(dirname "$0")/lib.sh"
#
# Gives each script a folder of its own ($T, name carries the pid), a state folder in it, cleaning up at the end however it ends,
# waits that have a cap, and words to tell a story with. A script that cannot run here calls `skip WHY`.
set -u -o pipefail
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
B=$ROOT/${O:-build}; [ -d "$B" ] || B=${O:-build}
APPS=$ROOT/tests/scenario/apps
STORY=$(basename "$0" .sh)
T=$(mktemp -d "/tmp/muster-$STORY-$$-XXXXXX")
chmod 755 "$T"
export MUSTER_STATE=$T/state NO_COLOR=1
if [ "$(id -u)" != 0 ]; then export XDG_RUNTIME_DIR=$T/run; mkdir -m 700 "$T/run"; fi
LOAD_PID=
BEGAN=$(date +%s%N)

say() { printf '%7.2f  %s\n' "$(bc_ms)" "$*"; }
bc_ms() { local ms=$(( ($(date +%s%N) - BEGAN) / 1000000 )); printf '%d.%03d' $((ms / 1000)) $((ms % 1000)); }
now_ms() { echo $(( $(date +%s%N) / 1000000 )); }
skip() { echo "$*"; exit 77; }

fail() {
    say "FAILED: $*"
    echo "--- status"; timeout 5 "$B/musterctl" status 2>&1 | head -40
    echo "--- last events"; timeout 5 "$B/musterctl" events -n 25 2>&1 | tail -25
    [ -s "$T/up.log" ] && { echo "--- up"; tail -15 "$T/up.log"; }
    [ -s "$T/load.json" ] && { echo "--- load"; cat "$T/load.json"; }
    exit 1
}
MUSTERCTL=$B/musterctl
. "$ROOT/tests/words.sh"

# Processes of this test: those whose arguments, environment or working folder name its folder, but for the tools that this looks with.
own_pids() {
    { grep -lsF -- "$T" /proc/[0-9]*/cmdline /proc/[0-9]*/environ; find /proc/[0-9]*/cwd -maxdepth 0 -lname "$T*" 2>/dev/null; } |
        cut -d/ -f3 | sort -un | while read -r p; do
        case $(cat "/proc/$p/comm" 2>/dev/null) in ''|grep|find|cut|sort|bash) ;; *) echo "$p" ;; esac
    done
}
cleanup() {
    local rc=$? p run
    trap - EXIT INT TERM
    run=$(readlink "$MUSTER_STATE/run")
    [ -n "$LOAD_PID" ] && kill -9 "$LOAD_PID" 2>/dev/null
    declare -F story_cleanup >/dev/null && story_cleanup
    [ -e "$MUSTER_STATE" ] && timeout 30 "$B/musterctl" down >"$T/down.log" 2>&1
    p=$(own_pids)
    if [ -n "$p" ] && sleep 1 && p=$(own_pids) && [ -n "$p" ]; then
        [ $rc = 0 ] && { echo "left running after down:"; ps -o pid,ppid,stat,args -p "$(echo $p | tr ' ' ,)"; rc=1; }
        kill -9 $p 2>/dev/null; sleep 0.2
    fi
    if [ -n "${MUSTER_KEEP:-}" ]; then
        echo "kept: $T"
    else
        rm -rf "$T" || { sleep 0.5; rm -rf "$T"; }
        case $run in /run/muster-?*|/tmp/muster-?*) rm -rf "$run" ;; esac
    fi
    exit $rc
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'echo "interrupted: $STORY"; exit 143' TERM

# A port outside those that the kernel and muster give out by themselves.
free_port() {
    python3 - <<'P'
import random, socket
while True:
    port = random.randint(10000, 19999)
    with socket.socket() as s:
        try:
            s.bind(("127.0.0.1", port)); break
        except OSError:
            pass
print(port)
P
}

# The command of an application kind, for `command:`.
app() {
    case $1 in
    flask_sync1) echo 'gunicorn --bind ${HOST}:${PORT} --workers 1 flask_app:app' ;;
    flask_sync4) echo 'gunicorn --bind ${HOST}:${PORT} --workers 4 flask_app:app' ;;
    flask_gthread) echo 'gunicorn --bind ${HOST}:${PORT} --worker-class gthread --threads 8 flask_app:app' ;;
    fastapi) echo 'uvicorn --host ${HOST} --port ${PORT} --no-access-log fastapi_app:app' ;;
    *) echo "no such application: $1" >&2; exit 2 ;;
    esac
}
# api_config KIND INSTANCES [MORE LINES OF THE SERVICE]: one service `api` behind a balancer at $PORT.
api_config() {
    cat >"$T/muster.yaml" <<Y
services:
  api:
    command: $(app "$1")
    directory: $APPS
    environment: { ID_LOG: $T/ids, VERSION: "${VERSION:-1}", UNHEALTHY_FILE: $T/unhealthy, PYTHONDONTWRITEBYTECODE: "1" }
    instances: $2
    health: { readiness: { http: /healthz, every: 500ms } }
    balance: edge
${3:+$3
}balancers: { edge: { haproxy: { listen: "127.0.0.1:$PORT"${QUEUE_TIMEOUT:+, queue_timeout: $QUEUE_TIMEOUT} } } }
Y
}

muster() { timeout "${CAP:-60}" "$B/musterctl" "$@"; }
up() { muster up "${1:-$T/muster.yaml}" --detach >"$T/up.log" 2>&1 || fail "musterctl up --detach: exit status $?"; say "up"; }
exactly() { is "s['$1']['ready'] == $2 and len([x for x in s['$1']['instances'] if x['state'] != 'stopped']) == $2"; }
pids() { status "[x['pid'] for x in s['$1']['instances'] if x['ready']]"; }
pid_of() { status "i['$1']['pid']"; }
answers() { curl -sf -m 5 "http://127.0.0.1:$PORT${1:-/}"; }
# The pid of a program of this test: `musterd`, or `muster-agent.* supervisor`.
role_pid() {
    local p
    for p in $(own_pids); do
        { tr '\0' ' ' <"/proc/$p/cmdline"; } 2>/dev/null | grep -qE "^[^ ]*$1( |\$)" && echo "$p"
    done | head -1
}
