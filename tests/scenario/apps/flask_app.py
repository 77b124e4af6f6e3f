"""The Flask application of the scenario tests.

ID_LOG          a file: each request that is executed appends "id METHOD pid" with one write (O_APPEND)
UNHEALTHY_FILE  while this file (or it with ".INSTANCE" added) exists, /healthz answers 503
VERSION         given back by /; "bad" never becomes healthy, "crash" ends at start
START_DELAY     seconds before the application can be imported
"""
import os
import signal
import sys
import time

from flask import Flask, request

INSTANCE = os.environ.get("INSTANCE") or os.environ.get("MUSTER_ID") or "-"
VERSION = os.environ.get("VERSION", "1")
if VERSION == "crash":
    print("this version cannot start: no such table: users", file=sys.stderr)
    sys.exit(3)
time.sleep(float(os.environ.get("START_DELAY", 0)))
_log = os.open(os.environ["ID_LOG"], os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o666) if os.environ.get("ID_LOG") else -1
app = Flask(__name__)


@app.before_request
def note():
    if _log >= 0 and request.path != "/healthz":
        os.write(_log, f"{request.headers.get('X-Request-Id', '-')} {request.method} {os.getpid()}\n".encode())


def answer(text):
    return text + "\n", 200, {"X-Instance": INSTANCE}


@app.route("/", methods=["GET", "POST"])
def index():
    ms = float(request.args.get("ms", 0))
    if ms:
        time.sleep(ms / 1000)
    return answer(f"{INSTANCE} {VERSION}")


@app.route("/cpu", methods=["GET", "POST"])
def cpu():
    end = time.process_time() + float(request.args.get("ms", 20)) / 1000
    while time.process_time() < end:
        pass
    return answer(INSTANCE)


@app.route("/poison", methods=["GET", "POST"])
def poison():
    os.kill(os.getpid(), signal.SIGKILL)
    return answer("not reached")


@app.route("/healthz")
def healthz():
    path = os.environ.get("UNHEALTHY_FILE")
    if VERSION == "bad" or (path and (os.path.exists(path) or os.path.exists(f"{path}.{INSTANCE}"))):
        return "not now\n", 503
    return "ok\n"
