#!/usr/bin/env python3
"""A musterd that only talks: answers as docs/API.md says from a fixed status, keeps what it was asked, and can be told to refuse.
usage: fake_musterd.py SOCKET STATUS.json [REQUESTS.log] ; a file SOCKET.reply with `STATUS JSON` is the answer to the next change."""
import json, os, signal, socketserver, sys
from http.server import BaseHTTPRequestHandler

path, status_file = sys.argv[1], sys.argv[2]
log = open(sys.argv[3], "a") if len(sys.argv) > 3 else None
EVENTS = [
    (1, "info", "starting", "api.1", "pid 4201"), (2, "info", "ready", "api.1", "ready after 1.2s"), (3, "warning", "exited", "api.2", "exit code 3; next try in 200ms"),
    (4, "notice", "scaled", "api", "2 -> 4: cpu 81% of 60% target"), (5, "error", "failed", "api.3", "port 20003 is in use by python3 (pid 811)"),
]


def status():
    with open(status_file) as f:
        return json.load(f)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args): pass
    def address_string(self): return "unix"

    def answer(self, code, body):
        data = json.dumps(body).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def told(self):
        try:
            with open(path + ".reply") as f:
                code, body = f.read().split(" ", 1)
            os.unlink(path + ".reply")
            self.answer(int(code), json.loads(body))
            return True
        except FileNotFoundError:
            return False

    def serve(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        if log and self.command != "GET":
            print(self.command, self.path, body, file=log, flush=True)
        parts = self.path.split("?")[0].strip("/").split("/")
        services = {s["name"]: s for s in status()["services"]}
        if self.command != "GET" and self.told():
            return
        if parts == ["v1", "status"]:
            return self.answer(200, status())
        if parts == ["v1", "events"]:
            after = int(self.path.split("after=")[1].split("&")[0]) if "after=" in self.path else 0
            return self.answer(200, {"events": [dict(seq=q, time="2026-11-25T11:59:%02d.000Z" % q, level=v, kind=k, subject=s, text=x) for q, v, k, s, x in EVENTS if q > after]})
        if parts == ["v1", "apply"]:
            sent = json.loads(body)
            ok = isinstance(sent["source"], str) and isinstance(sent["owner_uid"], int) and all(f["text"] and f["folder"][0] == "/" for f in sent["files"])
            return self.answer(200 if ok else 400, {"diff": "~ api\n  ~ instances.max: 4 -> 6\n  + user: api\n", "changes": 1, "revision": 8} if ok else {"error": "bad request"})
        if parts == ["v1", "down"]:
            self.answer(200, {})
            os.unlink(path)
            os._exit(0)
        if len(parts) >= 3 and parts[1] == "services":
            s = services.get(parts[2])
            if not s:
                return self.answer(404, {"error": f'there is no service "{parts[2]}"'})
            if parts[3:] == []:
                return self.answer(200, s if self.command == "GET" else {})
            if parts[3] == "explain":
                return self.answer(200, dict(name=s["name"], desired=s["desired"], state=s["state"], reason=s["reason"], decisions=[
                    dict(time="2026-11-25T11:59:00.000Z", current=2, desired=2, wanted=4, text="cpu asks for most",
                         rules=[dict(metric="cpu", quantile=None, target=60, value=81.0, proposal=4, used=2, missing=0, verdict="ok"),
                                dict(metric="latency", quantile=0.95, target=250, value=None, proposal=2, used=12, missing=1, verdict="too few samples")], clamps=["up limit"])]))
            if parts[3] == "scale":
                n = json.loads(body)["count"]
                if not s["fixed"] and not s["min"] <= n <= s["max"]:
                    return self.answer(409, {"error": f"{s['name']}: {n} is outside of its range {s['min']} to {s['max']}"})
                return self.answer(200, {"desired": n})
            if parts[3] in ("restart", "stop", "start"):
                return self.answer(200, {})
        self.answer(404, {"error": "no such thing"})

    do_GET = do_POST = do_DELETE = serve


class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    def get_request(self):
        request, _ = super().get_request()
        return request, ("unix", 0)


signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
os.umask(0o077)
Server(path, Handler).serve_forever()
