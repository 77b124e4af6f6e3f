"""What people in front of a balancer notice: the rows of the first part, each from a scenario."""
import os
import subprocess
import time

from rig import BUILD, CHILDREN, Muster, figure, floor, median, row, scenario


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


PARTS = {
    "apply-1": lambda o: apply_to_ready(1, 25), "apply-40": lambda o: apply_to_ready(40, 250), "kills": lambda o: kills(), "poison": lambda o: poison(),
    "overload": lambda o: overload(), "scale": lambda o: scale_cycles(o.cycles),
}
