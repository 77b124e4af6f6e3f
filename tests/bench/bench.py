#!/usr/bin/python3
"""The figures of muster: prints a table and writes build/bench.json, a list of {name, unit, value, floor, ratio, bar, ok}.

usage: tests/bench/bench.py [--only WORD] [--cycles N]

Where a floor is given it is measured in the same run by build/floor, the least program that could do the job. A row is `ok` if
its value is at most its bar (or, where the bar is a multiple, if value / floor is at most that).
"""
import argparse
import http.client
import json
import mmap
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.join(ROOT, os.environ.get("O", "build"))
STAMP_HEAD, STAMP_SIZE = 16, 16                 # see tests/tools/stamp.h
rows = []


def row(name, unit, value, bar, floor=None, times=None):
    """times: the bar is so many times the floor."""
    ratio = round(value / floor, 2) if floor and value is not None else None
    ok = value is not None and (ratio <= times if times else value <= bar)
    rows.append({"name": name, "unit": unit, "value": value, "floor": floor, "ratio": ratio, "bar": f"{times}x floor" if times else bar, "ok": ok})
    print_row(rows[-1])


def print_row(r):
    show = lambda v: "-" if v is None else f"{v:.2f}" if isinstance(v, float) else str(v)
    print(f"{r['name']:<62} {show(r['value']):>9} {r['unit']:<9} {show(r['floor']):>8} {show(r['ratio']):>6} {show(r['bar']):>9}  {'ok' if r['ok'] else 'MISSED'}", flush=True)


def median(values):
    return sorted(values)[len(values) // 2] if values else None


class Stamps:
    """The mapped file in which each build/stamp notes when its main() began."""

    def __init__(self, path):
        self.path = path
        with open(path, "w+b") as f:
            f.truncate(STAMP_HEAD + 65536 * STAMP_SIZE)
            self.map = mmap.mmap(f.fileno(), 0)

    def count(self):
        return struct.unpack_from("<Q", self.map, 0)[0]

    def all(self, start=0):
        """(main's time in ns, tag, pid) of each that is complete."""
        got = [struct.unpack_from("<qii", self.map, STAMP_HEAD + i * STAMP_SIZE) for i in range(start, self.count())]
        return [g for g in got if g[2]]

    def wait(self, n, seconds=20):
        until = time.monotonic() + seconds
        while len(got := self.all()) < n:
            if time.monotonic() > until:
                raise TimeoutError(f"{len(got)} of {n} children started")
            time.sleep(0.001)
        return got


class Muster:
    """A muster of its own, in a temporary folder; used in a `with`."""

    def __init__(self, yaml):
        self.folder = tempfile.mkdtemp(prefix=f"muster-bench-{os.getpid()}-")
        os.chmod(self.folder, 0o755)
        self.stamps = Stamps(os.path.join(self.folder, "stamps"))
        self.env = {**os.environ, "MUSTER_STATE": os.path.join(self.folder, "state")}
        self.write(yaml)

    def write(self, yaml):
        with open(os.path.join(self.folder, "muster.yaml"), "w") as f:
            f.write(yaml.replace("@F", self.folder).replace("@B", BUILD))

    def ctl(self, *args, limit=120):
        done = subprocess.run([os.path.join(BUILD, "musterctl"), *args], env=self.env, cwd=self.folder, timeout=limit, capture_output=True, text=True, stdin=subprocess.DEVNULL)
        if done.returncode:
            raise RuntimeError(f"musterctl {' '.join(args)}: exit status {done.returncode}: {(done.stdout + done.stderr)[-500:]}")
        return done.stdout

    def get(self, path):
        c = http.client.HTTPConnection("musterd")
        c.sock = socket.socket(socket.AF_UNIX)
        c.sock.connect(os.path.join(self.env["MUSTER_STATE"], "run", "musterd.sock"))
        c.request("GET", path)
        return json.load(c.getresponse())

    def __enter__(self):
        try:
            self.ctl("up", "muster.yaml", "--detach")
        except Exception:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        try:
            self.ctl("down", limit=60)
        except Exception as e:
            print("bench: down:", e, file=sys.stderr)
        run = os.path.realpath(os.path.join(self.env["MUSTER_STATE"], "run"))
        if os.path.basename(run).startswith("muster-"):
            shutil.rmtree(run, ignore_errors=True)
        shutil.rmtree(self.folder, ignore_errors=True)


def floor(children, kills):
    out = subprocess.run([os.path.join(BUILD, "floor"), os.path.join(BUILD, "stamp"), str(children), str(kills)], capture_output=True, text=True, timeout=120).stdout
    return json.loads(out)


CHILDREN = """services:
  small:
    command: @B/stamp @F/stamps
    directory: @F
    instances: %d
    restart: { delay: 0s, limit: 100000 in 1m }
"""


def kill_to_main(children, kills):
    """kill -9 of a child to the replacement's main(), log pipe and process group on."""
    base = floor(children, kills)["median_ms"]
    took = []
    with Muster(CHILDREN % children) as m:
        pids = [pid for _, _, pid in m.stamps.wait(children)]
        time.sleep(2)
        for k in range(kills):
            n = m.stamps.count()
            t0 = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
            os.kill(pids.pop(k * 7919 % len(pids)), signal.SIGKILL)
            got = m.stamps.wait(n + 1)[n]
            took.append((got[0] - t0) / 1e6)
            pids.append(got[2])
            time.sleep(0.03)
    row(f"kill -9 to the replacement's main(), {children} children, median", "ms", median(took), None, base, 3)


def apply_to_ready(children, bar):
    took, base = [], floor(children, 0)["start_all_ms"]
    for _ in range(5):
        with Muster("services:\n  other: { command: sleep 1000, directory: @F, instances: 1 }\n") as m:
            m.write((CHILDREN % children) + "  other: { command: sleep 1000, directory: @F, instances: 1 }\n")
            t0 = time.monotonic()
            apply = subprocess.Popen([os.path.join(BUILD, "musterctl"), "apply", "-f", "muster.yaml"], env=m.env, cwd=m.folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            while True:
                s = [x for x in m.get("/v1/status")["services"] if x["name"] == "small"]
                if s and s[0]["ready"] == children:
                    break
                if time.monotonic() - t0 > 30:
                    raise TimeoutError("never ready")
                time.sleep(0.001)
            took.append((time.monotonic() - t0) * 1000)
            apply.wait()
    row(f"musterctl apply to ready, {children} small children", "ms", median(took), bar, base)


def scenario(name, *args, rate="500"):
    """Runs a scenario script; what it measured stands in lines `@ name value`."""
    env = {**os.environ, "RATE": rate}
    p = subprocess.run([os.path.join(ROOT, "tests/scenario", name), *args], env=env, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    got = {k: float(v) for k, v in re.findall(r"^@ (\S+) ([\d.]+)$", p.stdout, re.M)}
    if p.returncode:
        print(f"bench: {name} {' '.join(args)}: exit status {p.returncode}\n" + "\n".join(p.stdout.splitlines()[-12:]), file=sys.stderr)
    return got


def figure(got, key):
    return int(got[key]) if key in got and got[key] == int(got[key]) else got.get(key)


def scale_cycles(cycles):
    for kind in ("flask_sync1", "flask_sync4", "flask_gthread", "fastapi"):
        got = scenario("scale_under_load.sh", kind, str(cycles), "500")
        row(f"500 requests/s, {cycles} cycles 2 -> 6 -> 2, {kind}", "lost", figure(got, "lost"), 0)


def kills():
    got = scenario("kill_instance.sh")
    row("kill -9 of one of six, ten times: GET lost", "lost", figure(got, "get_lost"), 0)
    row("  POST executed twice", "doubled", figure(got, "doubled"), 0)
    row("  POST lost (one in flight a kill)", "lost", figure(got, "post_lost"), 10)
    got = scenario("kill_four.sh")
    row("kill -9 of four of six at once: GETs of that second lost", "%", figure(got, "lost_pct"), 1)
    row("  lost after that second", "lost", figure(got, "lost_later"), 0)


def poison():
    got = scenario("poison.sh")
    row("poison GET: instances hit", "hit", figure(got, "hit"), 2)
    row("  other requests failed", "lost", figure(got, "lost"), 0)


def overload():
    got = scenario("overload.sh")
    row("overload 3x for 10 s: 503 before queue_timeout", "answers", figure(got, "early"), 0)
    row("  slowest answer 5 s after the load dropped to half", "ms", figure(got, "late_ms"), 1000)


def main():
    p = argparse.ArgumentParser(usage=__doc__.split("usage: ")[1])
    p.add_argument("--only", default="")
    p.add_argument("--cycles", type=int, default=int(os.environ.get("CYCLES", 25)), help="of each of four kinds of application")
    args = p.parse_args()
    parts = [("kill-ten", lambda: kill_to_main(10, 100)), ("kill-thousand", lambda: kill_to_main(1000, 100)), ("apply-1", lambda: apply_to_ready(1, 25)),
             ("apply-40", lambda: apply_to_ready(40, 250)), ("kills", kills), ("poison", poison), ("overload", overload), ("scale", lambda: scale_cycles(args.cycles))]
    print(f"{'what':<62} {'value':>9} {'unit':<9} {'floor':>8} {'ratio':>6} {'bar':>9}")
    for name, part in parts:
        if args.only not in name:
            continue
        try:
            part()
        except Exception as e:
            print(f"bench: {name}: {e}", file=sys.stderr)
            row(name, "-", None, 0)
    with open(os.path.join(BUILD, "bench.json"), "w") as f:
        json.dump(rows, f, indent=1)
        f.write("\n")
    missed = [r["name"].strip() for r in rows if not r["ok"]]
    print(f"{len(rows)} figures, {len(missed)} missed" + (": " + "; ".join(missed) if missed else "") + f"; written to {os.path.relpath(BUILD)}/bench.json")
    sys.exit(bool(missed))


if __name__ == "__main__":
    main()
