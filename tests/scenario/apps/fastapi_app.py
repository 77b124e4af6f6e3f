"""The FastAPI application of the scenario tests; the environment is that of flask_app.py."""
import asyncio
import os
import signal
import sys
import time

from fastapi import FastAPI, Request, Response

INSTANCE = os.environ.get("INSTANCE") or os.environ.get("MUSTER_ID") or "-"
VERSION = os.environ.get("VERSION", "1")
if VERSION == "crash":
    print("this version cannot start: no such table: users", file=sys.stderr)
    sys.exit(3)
time.sleep(float(os.environ.get("START_DELAY", 0)))
_log = os.open(os.environ["ID_LOG"], os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o666) if os.environ.get("ID_LOG") else -1
app = FastAPI()


def answer(request, text):
    if _log >= 0:
        os.write(_log, f"{request.headers.get('x-request-id', '-')} {request.method} {os.getpid()}\n".encode())
    return Response(text + "\n", headers={"X-Instance": INSTANCE})


@app.api_route("/", methods=["GET", "POST"])
async def index(request: Request, ms: float = 0):
    done = answer(request, f"{INSTANCE} {VERSION}")
    if ms:
        await asyncio.sleep(ms / 1000)
    return done


@app.api_route("/poison", methods=["GET", "POST"])
async def poison(request: Request):
    answer(request, "")
    os.kill(os.getpid(), signal.SIGKILL)


@app.get("/healthz")
async def healthz():
    path = os.environ.get("UNHEALTHY_FILE")
    if VERSION == "bad" or (path and (os.path.exists(path) or os.path.exists(f"{path}.{INSTANCE}"))):
        return Response("not now\n", status_code=503)
    return Response("ok\n")
