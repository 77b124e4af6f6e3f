#!/bin/bash
# log: { to: journal }: instances' lines are in the journal under their service's name, with the priority that they say themselves.
. /src/tests/systemd/inside.sh
install_muster
start_muster
cat >/srv/api/talk.sh <<'A'
echo "a plain line"
echo "<3>this is an error"
echo "<7>this is for those who look closely"
echo "<9>this is no priority" >&2
exec sleep 1000
A
cat >/etc/muster/muster.yaml <<'Y'
services:
  talker:
    command: [bash, /srv/api/talk.sh]
    directory: /srv/api
    user: api
    port: none
    instances: 2
    log: { to: journal }
Y
musterctl check /etc/muster/muster.yaml >/dev/null 2>&1 || { echo "log.to: journal is not built here yet"; exit 77; }
apply
# lines QUERY...: how many.
lines() { journalctl --no-pager -q -o cat MUSTER_SERVICE=talker "$@" | wc -l; }
all() { [ "$(lines)" = 8 ]; }
wait_for 5 "the lines of both instances are in the journal" all
expect "an error has its priority" [ "$(journalctl -q -o cat MUSTER_SERVICE=talker PRIORITY=3 | sort -u)" = "this is an error" ]
expect "so has what is for debugging" [ "$(journalctl -q -o cat MUSTER_SERVICE=talker PRIORITY=7 | sort -u)" = "this is for those who look closely" ]
expect "all else is plain" [ "$(journalctl -q -o cat MUSTER_SERVICE=talker PRIORITY=6 | sort -u | tr '\n' '|')" = "a plain line|<9>this is no priority|" ]
expect "each instance has its name" [ "$(lines MUSTER_INSTANCE=talker.1)" = 4 ]
expect "musterctl logs shows them too" bash -c "[ \$(musterctl logs talker.2 | grep -c 'a plain line') = 1 ]"
systemctl kill -s KILL systemd-journald
sleep 1
musterctl restart talker --wait >/dev/null || fail "restart"
wait_for 10 "after a journald that was killed lines go on" bash -c "[ \$(journalctl --no-pager -q -o cat MUSTER_SERVICE=talker | grep -c 'a plain line') = 4 ]"
echo "= in the journal, by service, instance and priority"
