#!/bin/bash
# What an instance is given: its folder, umask, environment, secrets, clean signals, a session of its own, and no descriptor of muster's.
# Secrets are seen by it alone: not in arguments, logs, answers of the API, or the environment of any other process.
# timeout: 60
. "$(dirname "$0")/lib.sh"
secret="canary-$$-$RANDOM$RANDOM"
mkdir "$T/home"
printf '%s\n' "$secret" >"$T/secret"; chmod 600 "$T/secret"
printf 'FROM_FILE="two words"\n# a comment\nPLAIN=1\n' >"$T/env"
cat >"$T/muster.yaml" <<Y
services:
  one:
    command: python3 $APPS/child.py $T/one.json sleep "\${WORD} \${INSTANCE}"
    directory: $T/home
    umask: "027"
    no_new_privs: true
    environment: { WORD: hello }
    environment_file: $T/env
    secrets: { TOKEN: $T/secret }
    instances: 1
Y
(trap '' INT HUP USR1; exec 7</dev/null; muster up "$T/muster.yaml" --detach >"$T/up.log" 2>&1) || fail "up"
wait_for 5 "it runs" [ -s "$T/one.json" ]
child() { python3 -c 'import json, sys; c = json.load(open(sys.argv[1])); e = c["env"]; sys.exit(not eval(sys.argv[2]))' "$T/one.json" "$1"; }
expect "folder" child "c['cwd'] == '$T/home'"
expect "umask" child "c['umask'] == '027'"
expect "no signal is blocked" child "int(c['SigBlk'], 16) == 0"
# Python itself ignores PIPE and XFSZ: bits 13 and 25.
expect "none is ignored but those that Python ignores" child "int(c['SigIgn'], 16) & ~(1 << 12 | 1 << 24) == 0"
expect "no descriptor but 0, 1 and 2" child "set(c['fds']) <= {'0', '1', '2'} or set(c['fds']) - {'0', '1', '2'} <= {k for k, v in c['fds'].items() if '/proc/' in v}"
expect "nothing to read" child "c['fds']['0'] == '/dev/null'"
expect "a session of its own" child "c['sid'] == c['pid']"
expect "no new privileges" child "c['NoNewPrivs'] == '1'"
expect "variables of the file and of environment_file" child "e['WORD'] == 'hello' and e['FROM_FILE'] == 'two words' and e['PLAIN'] == '1'"
expect "its name" child "e['INSTANCE'] == 'one.1' or e['MUSTER_ID'] == 'one.1'"
expect "the argument is expanded, as one word" child "c['argv'][3] == 'hello one.1'"
expect "the secret, as a variable" child "e['TOKEN'] == '$secret'"
expect "the secret, as a file" child "open(e['CREDENTIALS_DIRECTORY'] + '/TOKEN').read().strip() == '$secret'"
expect "nothing of the caller's environment but what is documented" child "'MUSTER_STATE' not in e and 'NO_COLOR' not in e"

pid=$(pid_of one.1)
found=$(grep -lsF -- "$secret" /proc/[0-9]*/environ /proc/[0-9]*/cmdline 2>/dev/null | grep -v "^/proc/$pid/" | while read -r f; do p=${f#/proc/}; p=${p%%/*}; case $(cat "/proc/$p/comm" 2>/dev/null) in ""|grep|bash) ;; *) echo "$f" ;; esac; done)
expect "the secret is in no other process's environment or arguments ($found)" [ -z "$found" ]
"$B/musterctl" status -o json >"$T/said"; "$B/musterctl" events -n 100 >>"$T/said"; "$B/musterctl" logs one >>"$T/said" 2>&1
curl -s --unix-socket "$MUSTER_STATE/run/musterd.sock" http://musterd/v1/services/one/spec >>"$T/said"
expect "the API was asked" grep -q WORD "$T/said"
expect "nor in what musterctl and the API say" sh -c "! grep -qF '$secret' '$T/said'"
expect "nor on the state folder's disk" sh -c "! grep -rqF --exclude-dir=run '$secret' '$MUSTER_STATE'"
