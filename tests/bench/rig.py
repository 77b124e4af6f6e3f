"""What the parts of the bench share: the table of figures, a muster of one's own, the stamps that children leave, the floor programs."""
import glob
import http.client
import json
import mmap
import os
import re
import shutil
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


def head():
    print(f"{'what':<72} {'value':>9} {'unit':<9} {'floor':>8} {'ratio':>6} {'bar':>10}")


def print_row(r):
    show = lambda v: "-" if v is None else f"{v:.2f}" if isinstance(v, float) else str(v)
    print(f"{r['name']:<72} {show(r['value']):>9} {r['unit']:<9} {show(r['floor']):>8} {show(r['ratio']):>6} {show(r['bar']):>10}  {'ok' if r['ok'] else 'MISSED'}", flush=True)


def note(text):
    """A line below a row: where the figure comes from."""
    print(f"    {text}", flush=True)


def quantile(values, q):
    return sorted(values)[min(int(len(values) * q), len(values) - 1)] if values else None


def median(values):
    return quantile(values, 0.5)


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

    def wait(self, n, seconds=20, start=0):
        """The first n from record `start` on, or more. Looks at no other record: there may be thousands, and a busy waiter is in the way."""
        until = time.monotonic() + seconds
        while self.count() < start + n or len(got := self.all(start)) < n:
            if time.monotonic() > until:
                raise TimeoutError(f"{self.count() - start} of {n} children started")
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

    def processes(self):
        """{name: pid} of keeper, supervisor, logger and musterd of this very muster."""
        found = {}
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{pid}/cmdline") as f:
                    args = f.read().split("\0")
            except OSError:
                continue
            name = os.path.basename(args[0])
            if name in ("muster-agent", "musterd") and self.env["MUSTER_STATE"] in args:
                found[name if name == "musterd" else args[args.index("--role") + 1] if "--role" in args else "keeper"] = int(pid)
        return found

    def cpu_ms(self):
        """{name: ms of CPU so far}, all threads."""
        used = {}
        for name, pid in self.processes().items():
            used[name] = 0.0
            for path in glob.glob(f"/proc/{pid}/task/*/schedstat"):
                with open(path) as f:
                    used[name] += int(f.read().split()[0]) / 1e6
        return used

    @staticmethod
    def pss_kb(pid):
        with open(f"/proc/{pid}/smaps_rollup") as f:
            return next(int(line.split()[1]) for line in f if line.startswith("Pss:"))

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


def run_floor(*args):
    return json.loads(subprocess.run([os.path.join(BUILD, "floor"), *map(str, args)], capture_output=True, text=True, timeout=120).stdout)


def floor(children, kills):
    return run_floor("start", os.path.join(BUILD, "stamp"), children, kills)


def floor_reads(muster, rounds):
    """CPU in ms of as many bare reads of each instance's cpu.stat; None without cgroups."""
    found = glob.glob(f"/sys/fs/cgroup/**/muster-{muster.processes()['keeper']}*/", recursive=True)
    v2 = [f for f in found if glob.glob(os.path.join(f, "*", "cpu.stat"))]
    return run_floor("reads", v2[0], int(rounds))["cpu_ms"] if v2 else None


def floor_probes(port, times):
    """CPU in ms of as many bare GETs, each on a connection of its own."""
    return run_floor("probes", port, times)["cpu_ms"]


CHILDREN = """services:
  small:
    command: @B/stamp @F/stamps
    directory: @F
    instances: %d
    restart: { delay: 0s, limit: 100000 in 1m }
"""


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
