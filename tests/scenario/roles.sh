#!/bin/bash
# Started by root, each process of muster has a user of its own and can do nothing with root's rights but the keeper and musterd; HAProxy speaks TLS
# with a certificate that only root may read.
# timeout: 60
. "$(dirname "$0")/lib.sh"
[ "$(id -u)" = 0 ] || skip "needs root: an ordinary user's processes all stay that user's"
PORT=$(free_port)
certificate() {
    openssl req -x509 -newkey rsa:2048 -nodes -keyout "$T/key" -out "$T/$1.crt" -days 2 -subj /CN=localhost >/dev/null 2>&1 || fail "openssl"
    (umask 077; cat "$T/$1.crt" "$T/key" >"$T/$1.pem")
}
certificate edge
certificate other
api_config flask_gthread 2
sed -i "s|listen: \"127.0.0.1:$PORT\"|listen: \"127.0.0.1:$PORT\", tls: $T/edge.pem|" "$T/muster.yaml"
up
over_tls() { curl -sf -m 5 --cacert "$T/$1.crt" --resolve "localhost:$PORT:127.0.0.1" "https://localhost:$PORT/"; }
wait_for 5 "it answers over TLS" over_tls edge

of() { awk -v key="$2:" '$1 == key { print $2 }' "/proc/$1/status"; }           # of PID KEY
unprivileged() { [ "$(of "$1" Uid)" != 0 ] && [ "$(of "$1" Gid)" != 0 ] && [ "$(of "$1" CapEff)" = 0000000000000000 ] && [ "$(of "$1" CapPrm)" = 0000000000000000 ]; }
locked() { [ "$(of "$1" CapBnd)" = 0000000000000000 ] && [ "$(of "$1" NoNewPrivs)" = 1 ] && [ -z "$(awk '$1 == "Groups:" { print $2 }' "/proc/$1/status")" ]; }
supervisor=$(role_pid 'muster-agent.* supervisor') logger=$(role_pid 'muster-agent.* logger') haproxy=$(status "b['edge']['pid']")
for role in supervisor logger; do
    expect "the $role has no rights" unprivileged "${!role}"
    expect "  and can get none" locked "${!role}"
    if [[ ${O:-build} != *asan* ]]; then expect "  nor make calls that it has no use for" [ "$(of "${!role}" Seccomp)" = 2 ]; fi
done
expect "HAProxy has no rights" unprivileged "$haproxy"
expect "each is a user of its own" [ "$(for p in $supervisor $logger $haproxy; do of "$p" Uid; done | sort -u | wc -l)" = 3 ]
cgroup=$(sed -n 's/^0:://p' "/proc/$(pid_of api.1)/cgroup") root=/sys/fs/cgroup/unified
[ -d $root ] || root=/sys/fs/cgroup
if [[ $cgroup == *muster-* ]]; then
    expect "the supervisor can read an instance's figures" setpriv --reuid="$(of "$supervisor" Uid)" --clear-groups grep -q usage "$root$cgroup/cpu.stat"
fi
expect "what is wanted can be read by the supervisor alone" [ "$(stat -c %a "$MUSTER_STATE/agent")" = 700 ]

kill -9 "$haproxy"
wait_for 5 "HAProxy was killed: TLS again" over_tls edge
sed -i "s|tls: $T/edge.pem|tls: $T/other.pem|" "$T/muster.yaml"
expect "another certificate" muster apply -f "$T/muster.yaml" --wait --timeout 20s
wait_for 5 "TLS with that" over_tls other
echo "= three users, no rights, TLS"
