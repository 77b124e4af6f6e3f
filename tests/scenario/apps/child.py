"""Writes what it sees of itself to argv[1] (JSON), as a child of muster; then sleeps, or does what argv[2] says:
exit N | kill N | fork (a grandchild in a session of its own that ignores TERM; its pid to argv[1].pid)."""
import json
import os
import signal
import sys
import time

status = dict(l.rstrip("\n").split(":\t", 1) for l in open("/proc/self/status") if ":\t" in l)
fds = {}
for fd in os.listdir("/proc/self/fd"):
    try:
        fds[fd] = os.readlink(f"/proc/self/fd/{fd}")
    except OSError:
        pass            # the listing's own
mask = os.umask(0)
os.umask(mask)
seen = {"pid": os.getpid(), "uid": os.getuid(), "gid": os.getgid(), "groups": os.getgroups(), "umask": "%03o" % mask, "cwd": os.getcwd(), "sid": os.getsid(0),
        "fds": fds, "env": dict(os.environ), "argv": sys.argv, "stdin": fds.get("0"), **{k: status[k] for k in ("SigBlk", "SigIgn", "NoNewPrivs")}}
with open(sys.argv[1] + ".new", "w") as f:
    json.dump(seen, f)
os.rename(sys.argv[1] + ".new", sys.argv[1])
with open(sys.argv[1] + ".starts", "a") as f:
    f.write(f"{os.getpid()} {time.time():.3f}\n")
print("started", os.getpid(), flush=True)
what = sys.argv[2] if len(sys.argv) > 2 else "sleep"
if what == "exit":
    sys.exit(int(sys.argv[3]))
if what == "kill":
    os.kill(os.getpid(), int(sys.argv[3]))
if what == "fork":
    if os.fork() == 0:
        os.setsid()
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        with open(sys.argv[1] + ".pid", "w") as f:
            f.write(str(os.getpid()))
        time.sleep(1000)
time.sleep(1000)
