# inside.sh - what the stories share. Sourced first, inside a machine of their own (box.sh, vm.sh), as root:  . /src/tests/systemd/inside.sh
#
# Everything here may be changed and nothing has to be cleaned up: the machine ends with the story. /src is the source tree with what was built.
set -u -o pipefail
B=/src/${O:-build}
T=/results
PORT=8080
APPS=/srv/api
LOAD_PID=

# By the time since boot: a story may set the clock.
now_ms() { local up; read -r up _ </proc/uptime; echo $((10#${up/./} * 10)); }
BEGAN=$(now_ms)
say() { local ms=$(( $(now_ms) - BEGAN )); printf '%3d.%03d  %s\n' $((ms / 1000)) $((ms % 1000)) "$*"; }
fail() {
    say "FAILED: $*"
    echo "--- units"; systemctl --no-pager status 'muster*' 2>&1 | cut -c 1-180 | head -60
    echo "--- journal"; journalctl --no-pager -o short-monotonic -u 'muster*' -u 'musterd*' 2>&1 | tail -40
    echo "--- status"; timeout 5 musterctl status 2>&1 | head -30
    echo "--- events"; timeout 5 musterctl events -n 25 2>&1 | tail -25
    [ -s "$T/load.json" ] && { echo "--- load"; cat "$T/load.json"; }
    exit 1
}
MUSTERCTL=musterctl
. /src/tests/words.sh

install_muster() {
    if [ -n "${MUSTER_VM:-}" ]; then say "installed"; else install_here "$@"; fi
    mkdir -p "$APPS"
    cp /src/tests/scenario/apps/*.py "$APPS/"
    id api >/dev/null 2>&1 || useradd --system --no-create-home --shell /usr/sbin/nologin api
    install -d -o api /srv/data
}
install_here() {
    make -C /src --no-print-directory O="${O:-build}" "$@" install >"$T/install.log" 2>&1 || { cat "$T/install.log"; fail "make install"; }
    say "make install"
}
# drop_in UNIT SECTION LINE...: a setting for this story only.
drop_in() {
    local unit=$1 section=$2
    shift 2
    mkdir -p "/etc/systemd/system/$unit.d"
    { echo "[$section]"; printf '%s\n' "$@"; } >"/etc/systemd/system/$unit.d/story.conf"
    systemctl daemon-reload
}
# config INSTANCES [MORE LINES OF THE SERVICE]: one service `api` behind a balancer at $PORT.
config() {
    cat >/etc/muster/muster.yaml <<Y
services:
  api:
    command: ${COMMAND:-gunicorn --bind \$\{HOST\}:\$\{PORT\} --worker-class gthread --threads 8 flask_app:app}
    directory: $APPS
    user: api
    environment: { ID_LOG: /srv/data/ids, PYTHONDONTWRITEBYTECODE: "1" }
    instances: $1
    health: { readiness: { http: /healthz, every: 500ms } }
    balance: edge
${2:+$2
}balancers: { edge: { haproxy: { listen: "127.0.0.1:$PORT" } } }
Y
    sed -i 's/\\//g' /etc/muster/muster.yaml
}
# The keeper leaves instances running and takes over those of another: told by its options.
needs_keeping() { muster-agent --help | grep -q -- --keep-instances || { echo "this muster-agent takes no instances over yet"; exit 77; }; }
start_muster() { systemctl start musterd muster-agent || fail "systemctl start"; say "started"; }
apply() { musterctl apply -f /etc/muster/muster.yaml --wait --timeout "${APPLY_CAP:-40s}" >"$T/apply.log" 2>&1 || { cat "$T/apply.log"; fail "musterctl apply: exit status $?"; }; say "applied"; }

# What must not change: every instance's process, and HAProxy's, by pid and start time (a pid alone could be another's by now).
processes() {
    local p
    for p in $(status "sorted([x['pid'] for x in s['api']['instances'] if x['pid']]) + [x['pid'] for x in b.values()]"); do
        echo "$p@$(cut -d' ' -f22 "/proc/$p/stat" 2>/dev/null)"
    done | tr '\n' ' '
}
same() { ready api "$COUNT" && [ "$(processes)" = "$WAS" ]; }
answers() { curl -sf -o /dev/null -m 5 "http://127.0.0.1:$PORT${1:-/}"; }
property() { systemctl show -P "$2" "$1"; }
main_pid() { property "$1" MainPID; }
