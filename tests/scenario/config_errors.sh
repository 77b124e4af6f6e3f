#!/bin/bash
# Files with mistakes, clumsy ones and wicked ones: `musterctl check` says where and what, in well under a second and with little memory, with
# exit status 2; it needs no daemon and writes nothing. And the same through `apply` to a running muster: nothing of it is applied.
# timeout: 120
. "$(dirname "$0")/lib.sh"
cat >"$T/cases.py" <<'P'
import os, re, resource, subprocess, sys, time
musterctl, folder = sys.argv[1:3]
asan = "asan" in musterctl
HEAD = "services:\n  api:\n    command: sleep 10\n"
W = r"\S+:%s:\d+: "         # where: file:LINE:column
cases = [  # name, text, what must be in the output (regular expressions, all of them)
    ("a key with a typo", HEAD + "    instnaces: 2\n", [W % 4, "instnaces", "instances"]),
    ("a top key with a typo", "service:\n  api: { command: x }\n", [W % 1, "services"]),
    ("a key of a later release", HEAD + "    budgets: { a: 1 }\n", [W % 4, "budgets"]),
    ("a deep typo", HEAD + "    health:\n      readiness: { htpt: /x }\n", [W % 5, "htpt", "http"]),
    ("wrong type: list for a number", HEAD + "    instances: [1]\n", [W % 4, "instances"]),
    ("wrong type: map for a string", "services:\n  api:\n    command: { a: b }\n", [W % 3, "command"]),
    ("wrong type: text for a number", HEAD + "    instances: many\n", [W % 4, "many"]),
    ("no unit", HEAD + "    stop: { drain: 5 }\n", [W % 4, "drain", "duration"]),
    ("wrong unit", HEAD + "    stop: { drain: 5 parsecs }\n", [W % 4, "drain"]),
    ("wrong size", HEAD + "    resources: { memory: 5 elephants }\n", [W % 4, "memory"]),
    ("a key twice", HEAD + "    user: root\n    user: root\n", [W % 5, "user", "(twice|again|duplicate|already)"]),
    ("a service twice", HEAD + "  api:\n    command: sleep 11\n", [W % 4, "api"]),
    ("a tab", "services:\n\tapi:\n\t\tcommand: sleep 1\n", [W % 2, "tab"]),
    ("bad indentation", "services:\n  api:\n    command: sleep 1\n   user: root\n", [r"\S+:[34]:\d+: "]),
    ("not closed", "services: { api: { command: [sleep, 1 }\n", [r"\S+:\d+:\d+: "]),
    ("no is not a number", HEAD + "    instances: no\n", [W % 4, "instances"]),
    ("octal", HEAD + "    instances: 012\n", [W % 4, "012"]),
    ("base 60", HEAD + "    port: 1:20\n", [W % 4, "1:20"]),
    ("a port pair", HEAD + "    port: 9022:22\n", [W % 4, "9022:22"]),
    ("a negative count", HEAD + "    instances: -1\n", [W % 4, "-1"]),
    ("a huge count", HEAD + "    instances: 99999999999999999999\n", [W % 4, "instances"]),
    ("min above max", HEAD + "    instances: { min: 5, max: 2 }\n", [W % 4, "min"]),
    ("a cycle in after", "services:\n  a: { command: sleep 1, after: [b] }\n  b: { command: sleep 1, after: [c] }\n  c: { command: sleep 1, after: [a] }\n",
     [r"\S+:[234]:\d+: ", "(cycle|circle|itself)"]),
    ("after itself", "services:\n  a: { command: sleep 1, after: [a] }\n", [W % 2, "a"]),
    ("one port for two", "services:\n  a: { command: sleep 1, port: 9001 }\n  b: { command: sleep 1, port: 9001 }\n", [W % 3, "9001"]),
    ("an unknown user", HEAD + "    user: nosuchuser%d\n" % os.getpid(), [W % 4, "nosuchuser"]),
    ("a user id of 4000000000", HEAD + "    user: 4000000000\n", [W % 4, "4000000000"]),
    ("an unknown signal", HEAD + "    stop: { signal: TREM }\n", [W % 4, "TREM", "TERM"]),
    ("a missing program", "services:\n  api:\n    command: /no/such/program\n", [W % 3, "/no/such/program"]),
    ("a missing program in PATH", "services:\n  api:\n    command: gunicron app:app\n", [W % 3, "gunicron"]),
    ("a program that is not executable", "services:\n  api:\n    command: /etc/passwd\n", [W % 3, "/etc/passwd", "execut"]),
    ("a folder as program", "services:\n  api:\n    command: /etc\n", [W % 3, "/etc", "(folder|directory)"]),
    ("a missing directory", HEAD + "    directory: /no/such/folder\n", [W % 4, "/no/such/folder"]),
    ("a file as directory", HEAD + "    directory: /etc/passwd\n", [W % 4, "/etc/passwd"]),
    ("a missing environment file", HEAD + "    environment_file: /no/such/env\n", [W % 4, "/no/such/env"]),
    ("an unknown balancer", HEAD + "    balance: egde\nbalancers: { edge: { haproxy: { listen: ':9002' } } }\n", [W % 4, "egde", "edge"]),
    ("a bad listen address", HEAD + "balancers: { edge: { haproxy: { listen: 'nowhere' } } }\n", [W % 4, "nowhere"]),
    ("an unknown variable", "services:\n  api:\n    command: sleep ${PROT}\n", [W % 3, "PROT"]),
    ("no command", "services:\n  api:\n    user: root\n", [r"\S+:[23]:\d+: ", "command"]),
    ("a bad name", "services:\n  '../../etc':\n    command: sleep 1\n", [W % 2, "etc"]),
    ("an empty file", "", ["(empty|services)"]),
    ("only a comment", "# nothing\n", ["(empty|services)"]),
    ("a list", "- a\n- b\n", [W % 1]),
    ("binary rubbish", bytes(range(256)) * 64, [r"\S+"]),
    ("NUL bytes", b"services:\n  api:\n    command: a\0b\n", [r"\S+"]),
    ("many mistakes at once", HEAD + "    usr: x\n    instances: x\n    port: x\n    stop: { signal: X }\n", [W % 4, W % 5, W % 6, W % 7]),
    ("an alias bomb", "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(f"{chr(98+i)}: &{chr(98+i)} [{','.join(['*' + chr(97+i)] * 9)}]\n" for i in range(20)), [r"\S+:\d+:\d+: "]),
    ("20,000 nested brackets", "services: " + "[" * 20000, [r"\S+:\d+:\d+: "]),
    ("20,000 nested braces", "services: " + "{a: " * 20000, [r"\S+:\d+:\d+: "]),
    ("10 MB", "services:\n" + "".join(f"  s{i}: {{ command: sleep 1 }}\n" for i in range(350000)), ["(large|big|MB|MiB|1M|most|bytes)"]),
    ("one line of 10 MB", "x" * 10_000_000, ["(large|big|MB|MiB|1M|most|bytes)"]),
    ("100,000 mistakes", "services:\n  api:\n    command: x\n" + "".join(f"    k{i}: 1\n" for i in range(60000)), [W % 4]),
]

def run(argv):
    began = time.monotonic()
    p = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
    out = p.stdout.read()
    _, st, ru = os.wait4(p.pid, 0)
    p.returncode = os.waitstatus_to_exitcode(st)
    return p.returncode, out, time.monotonic() - began, ru.ru_maxrss // 1024

bad = 0
for name, text, wanted in cases:
    path = os.path.join(folder, "bad.yaml")
    with open(path, "wb") as f:
        f.write(text if isinstance(text, bytes) else text.encode())
    rc, out, took, mb = run([musterctl, "check", path])
    wrong = [f"no /{w}/" for w in wanted if not re.search(w, out)]
    if rc != 2: wrong.append(f"exit status {rc}")
    if took > (3 if asan else 0.8): wrong.append(f"took {took:.2f} s")
    if mb > (900 if asan else 120): wrong.append(f"took {mb} MB")
    if "\x1b" in out: wrong.append("an escape byte")
    if len(out) > 100_000: wrong.append(f"{len(out)} bytes of output")
    if wrong:
        bad += 1
        print(f"not well: {name}: {', '.join(wrong)}\n    " + out[:400].replace("\n", "\n    "))
rc, out, took, mb = run([musterctl, "check", os.path.join(folder, "missing.yaml")])
if rc != 2 or "missing.yaml" not in out:
    bad += 1; print("not well: a missing file:", rc, out)
print(f"= {len(cases) + 1} files, {bad} not well")
sys.exit(bad != 0)
P
mkdir "$T/files"
python3 "$T/cases.py" "$B/musterctl" "$T/files"
cases=$?
expect "check wrote nothing" [ ! -e "$MUSTER_STATE" ]

cat >"$T/muster.yaml" <<Y
services:
  api: { command: sleep 1000, directory: $T, instances: 1 }
Y
expect "a good file passes" muster check "$T/muster.yaml"
up
printf 'services:\n  api: { command: sleep 1000, instances: 2 }\n  worse: { command: sleep 1, instnaces: 2 }\n' >"$T/bad.yaml"
muster apply -f "$T/bad.yaml" >"$T/out" 2>&1
rc=$?
expect "apply of a file with one mistake: exit status 2 ($rc)" [ $rc = 2 ]
expect "nothing of it is applied" is "s['api']['desired'] == 1 and 'worse' not in s"
exit $cases
