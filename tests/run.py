#!/usr/bin/python3
"""Runs tests one after the other and prints one line for each.

usage: tests/run.py [--group NAME] [--timeout SECONDS] [--keep DIR] [--repeat N] TEST...

A TEST is a command line, e.g. "tests/scenario/scale_under_load.sh flask_sync1 5". Exit status 0 is ok, 77 is skipped (the last
line of output says why), all else is a failure, of which the end of the output is shown. Each test runs in a session of its own; at
its time-out that session gets TERM, and KILL ten seconds later. A line "# timeout: SECONDS" at the head of a script, or "@SECONDS " in
front of a TEST, overrides --timeout. The counts are appended to $MUSTER_TALLY if that is set. Exit status 0: none failed.
"""
import argparse
import os
import re
import select
import shlex
import signal
import subprocess
import sys
import tempfile
import time

GRACE = 10
SHOWN = 60


def time_limit(argv, default):
    """The limit that the test's own file asks for, else the default."""
    try:
        with open(argv[0], "rb") as f:
            head = f.read(1500)
    except OSError:
        return default
    found = re.search(rb"^# timeout: (\d+)", head, re.M) if head.startswith(b"#!") else None
    return int(found.group(1)) if found else default


def ended_within(pidfd, seconds):
    return bool(select.select([pidfd], [], [], seconds)[0])


def signal_session(child, signo):
    try:
        os.killpg(child.pid, signo)
    except ProcessLookupError:
        pass


def run_one(argv, limit, out):
    """Exit status, or None at the time-out. The group's id cannot be anybody else's while its leader is not reaped, so what is left of
    the group is killed before that."""
    child = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, start_new_session=True)
    pidfd = os.pidfd_open(child.pid)
    in_time = False
    try:
        in_time = ended_within(pidfd, limit)
    finally:
        if not in_time:
            signal_session(child, signal.SIGTERM)
            ended_within(pidfd, GRACE)
        signal_session(child, signal.SIGKILL)
        os.close(pidfd)
        status = child.wait()
    return status if in_time else None


def note_of(text):
    """What a test says about itself: how many cases a cmocka program ran, or its last line starting with '= '."""
    cases = re.findall(r"^\[==========\] \S*?:? ?(\d+) test\(s\) run", text, re.M)
    if cases:
        return f"{sum(map(int, cases))} cases"
    said = re.findall(r"^= (.*)", text, re.M)
    return said[-1] if said else ""


def verdict(status, text, took, limit):
    """(word, remark) for the result line."""
    last = text.strip().splitlines()[-1] if text.strip() else ""
    if status == 0:
        note = note_of(text)
        return "ok", f"{took:.1f} s" + (f", {note}" if note else "")
    if status == 77:
        return "skip", last
    if status is None:
        return "FAIL", f"not finished after {limit} s"
    return "FAIL", f"signal {-status}" if status < 0 else f"exit status {status}"


def show(text):
    lines = text.rstrip().splitlines()
    if len(lines) > SHOWN:
        print(f"     | ... {len(lines) - SHOWN} lines before; of these:")
        for i, line in enumerate(lines[:-SHOWN]):
            if "ERROR" in line:
                print("     |", "\n     | ".join(lines[max(0, i - 2):i + 3]))
    for line in lines[-SHOWN:]:
        print("     |", line)


def name_of(argv):
    words = [os.path.splitext(os.path.relpath(argv[0]))[0] if "/" in argv[0] else argv[0]] + argv[1:]
    return " ".join(w for w in words if not re.match(r"-\w+=", w) and not os.path.isdir(w))[:100]


def run_all(tests, args):
    counts = {"ok": 0, "FAIL": 0, "skip": 0}
    for test in tests:
        argv = shlex.split(test)
        limit = int(argv.pop(0)[1:]) if argv[0].startswith("@") else time_limit(argv, args.timeout)
        with tempfile.TemporaryFile() as out:
            began = time.monotonic()
            try:
                status = run_one(argv, limit, out)
            except OSError as e:
                out.write(str(e).encode())
                status = 127
            out.seek(0)
            text = out.read().decode(errors="replace")
        word, remark = verdict(status, text, time.monotonic() - began, limit)
        counts[word] += 1
        print(f"{word:<4} {args.group}{name_of(argv)}  ({remark})", flush=True)
        if word == "FAIL":
            show(text)
        if args.keep:
            os.makedirs(args.keep, exist_ok=True)
            with open(os.path.join(args.keep, re.sub(r"[^\w.-]+", "_", name_of(argv)) + ".log"), "w") as f:
                f.write(text)
    return counts


def main():
    p = argparse.ArgumentParser(usage=__doc__.split('usage: ')[1])
    p.add_argument("--group", default="", help="shown before each name")
    p.add_argument("--timeout", type=int, default=60)
    p.add_argument("--keep", help="a folder for the output of each test")
    p.add_argument("--repeat", type=int, default=1)
    p.add_argument("tests", nargs="*")
    args = p.parse_intermixed_args()
    args.group = args.group and args.group + ": "
    counts = run_all(args.tests * args.repeat, args)
    print(f"{counts['ok']} passed, {counts['FAIL']} failed, {counts['skip']} skipped", flush=True)
    if os.environ.get("MUSTER_TALLY"):
        with open(os.environ["MUSTER_TALLY"], "a") as f:
            f.write(f"{counts['ok']} {counts['FAIL']} {counts['skip']}\n")
    sys.exit(1 if counts["FAIL"] else 0)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
