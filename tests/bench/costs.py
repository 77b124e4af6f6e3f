"""What muster itself costs: how soon a dead child has a replacement, how soon a thousand stand, memory and CPU of the agent's processes,
and how soon HAProxy's list is without an instance that died. Figures of CPU are of keeper, supervisor and logger together, from the
scheduler's own account (/proc/PID/schedstat), not from clock ticks."""
import glob
import os
import signal
import socket
import subprocess
import time

from rig import BUILD, CHILDREN, Muster, floor, floor_reads, floor_probes, median, note, quantile, row

CPU_SECONDS = 30


def kill_to_main(children, kills=300):
    """kill -9 of a child to the replacement's main(); log pipe, cgroup and all defaults on."""
    took, base = [], floor(children, kills)
    with Muster(CHILDREN % children) as m:
        pids = [pid for _, _, pid in m.stamps.wait(children)]
        time.sleep(2)
        for k in range(kills):
            n = m.stamps.count()
            t0 = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
            os.kill(pids.pop(k * 7919 % len(pids)), signal.SIGKILL)
            at, _, pid = m.stamps.wait(1, start=n)[0]
            took.append((at - t0) / 1e6)
            pids.append(pid)
            time.sleep(0.03)
    row(f"kill -9 to the replacement's main(), {children} children, median", "ms", median(took), None, base["median_ms"], 1.8)
    row("  p99", "ms", quantile(took, 0.99), 8, base["p99_ms"])


def apply_to_last_main(children, rounds=5):
    took = []
    base = median([floor(children, 0)["start_all_ms"] for _ in range(rounds)])
    for _ in range(rounds):
        with Muster("services:\n  other: { command: sleep 1000, directory: @F, instances: 1 }\n") as m:
            m.write((CHILDREN % children) + "  other: { command: sleep 1000, directory: @F, instances: 1 }\n")
            t0 = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
            apply = subprocess.Popen([os.path.join(BUILD, "musterctl"), "apply", "-f", "muster.yaml"], env=m.env, cwd=m.folder, stdout=subprocess.DEVNULL,
                                     stderr=subprocess.DEVNULL)
            while m.stamps.count() < children:
                time.sleep(0.01)
            took.append((max(at for at, _, _ in m.stamps.wait(children)) - t0) / 1e6)
            apply.wait()
    row(f"{children} children, from apply to the last main()", "ms", median(took), None, base, 3)


def memory(children, bar):
    with Muster(CHILDREN % max(children, 1)) as m:
        m.stamps.wait(max(children, 1))
        if not children:
            m.ctl("stop", "small")
        time.sleep(3)
        each = {name: m.pss_kb(pid) for name, pid in m.processes().items()}
    mb = sum(kb for name, kb in each.items() if name != "musterd") / 1024
    row(f"memory of all agent processes (PSS), {children} children", "MB", mb, bar)
    note(", ".join(f"{name} {kb / 1024:.1f}" for name, kb in each.items()))


CPU_RULE = "    instances: { min: %d, max: %d }\n    scale: { on: [ { cpu: 60%% } ] }\n"


def idle_cpu(children, rule, bar):
    yaml = CHILDREN % children
    if rule:
        yaml = yaml.replace(f"    instances: {children}\n", CPU_RULE % (children, children + 1))
    with Muster(yaml) as m:
        m.stamps.wait(children)
        time.sleep(12)                          # all are stable, and have been sampled
        before = m.cpu_ms()
        time.sleep(CPU_SECONDS)
        used = {name: ms - before[name] for name, ms in m.cpu_ms().items()}
        base = floor_reads(m, CPU_SECONDS if rule else CPU_SECONDS / 10)
    row(f"CPU, {children} idle children, {CPU_SECONDS} s, {'cpu rule at 1 Hz' if rule else 'no cpu rule'}", "ms", sum(ms for name, ms in used.items() if name != "musterd"),
        bar, base)
    note(", ".join(f"{name} {ms:.0f}" for name, ms in used.items()))


PROBED = """services:
  api:
    command: @B/tiny @F/stamps
    directory: @F
    port: auto
    health: { readiness: { http: /healthz, every: 1s } }
    instances: { min: 100, max: 101 }
    scale: { on: [ { cpu: 60% } ] }
"""


def probes():
    with Muster(PROBED) as m:
        m.stamps.wait(100)
        time.sleep(12)
        before = m.cpu_ms()
        time.sleep(CPU_SECONDS)
        used = {name: (ms - before[name]) / 10 / CPU_SECONDS for name, ms in m.cpu_ms().items()}
        base = floor_probes(m.get("/v1/status")["services"][0]["instances"][0]["port"], 100 * CPU_SECONDS) / 10 / CPU_SECONDS
    row("100 instances, 1 Hz http probe on new connections + samples", "% core", sum(ms for name, ms in used.items() if name != "musterd"), 1, base)
    note(", ".join(f"{name} {ms:.2f}" for name, ms in used.items()))


LISTED = """services:
  api:
    command: @B/tiny @F/stamps
    directory: @F
    port: auto
    health: { readiness: { http: /healthz, every: 1s } }
    instances: 6
    restart: { delay: 300ms, max_delay: 300ms, limit: 100000 in 1m }
    balance: edge
balancers: { edge: { haproxy: { listen: "127.0.0.1:%d" } } }
"""


class HaproxyStates:
    """What HAProxy itself says of its servers, over its runtime API: {server: is it in maint?}."""

    def __init__(self, m):
        run = os.path.join(m.env["MUSTER_STATE"], "run")
        self.s = socket.socket(socket.AF_UNIX)
        self.s.connect(glob.glob(f"{run}/**/ctl.*.sock", recursive=True)[0])
        self.s.sendall(b"prompt\n")
        self.answer()

    def answer(self):
        got = b""
        while not got.endswith(b"\n> ") and got != b"> ":
            part = self.s.recv(65536)
            if not part:
                raise EOFError("HAProxy closed its socket")
            got += part
        return got.decode()

    def maint(self):
        self.s.sendall(b"show servers state api\n")
        rows = [line.split() for line in self.answer().splitlines() if line[:1].isdigit()]
        return {r[3]: bool(int(r[6]) & 1) for r in rows if len(r) > 6}


def wait_for(what, seconds=10, every=0.0):
    until = time.monotonic() + seconds
    while not (got := what()):
        if time.monotonic() > until:
            raise TimeoutError("waited too long")
        time.sleep(every)
    return got


def ready_six(m):
    v = [i for i in m.get("/v1/status")["services"][0]["instances"] if i["ready"]]
    return v if len(v) == 6 else None


def seen_to_listed(kills=120):
    """From kill -9 of an instance to its slot in maint, as HAProxy tells it: so the death itself and the asking are in it, too."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    took = []
    with Muster(LISTED % port) as m:
        wait_for(lambda: ready_six(m), 20, 0.05)
        haproxy = HaproxyStates(m)
        for k in range(kills):
            victim = wait_for(lambda: ready_six(m), 10, 0.02)[k % 6]
            wait_for(lambda: not haproxy.maint()[victim["name"]], 10, 0.002)
            t0 = time.monotonic()
            os.kill(victim["pid"], signal.SIGKILL)
            wait_for(lambda: haproxy.maint()[victim["name"]])
            took.append((time.monotonic() - t0) * 1000)
    row("seen -> listed: kill -9 of an instance to HAProxy's slot in maint, median", "ms", median(took), 10)
    row("  p99", "ms", quantile(took, 0.99), 10)


PARTS = {
    "kill-ten": lambda o: kill_to_main(10), "kill-thousand": lambda o: kill_to_main(1000), "start-thousand": lambda o: apply_to_last_main(1000),
    "memory-none": lambda o: memory(0, 8), "memory-thousand": lambda o: memory(1000, 14), "idle-plain": lambda o: idle_cpu(1000, False, 60),
    "idle-rule": lambda o: idle_cpu(1000, True, 400), "probes": lambda o: probes(), "listed": lambda o: seen_to_listed(),
}
