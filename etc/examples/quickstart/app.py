"""A small Flask API, as an example: replace it by your own."""
import os
import time

from flask import Flask, request

app = Flask(__name__)
NAME = os.environ.get("INSTANCE") or os.environ.get("MUSTER_ID") or "by hand"


@app.route("/", methods=["GET", "POST"])
def index():
    return f"hello from {NAME}, process {os.getpid()}\n", 200, {"X-Instance": NAME}


@app.route("/healthz")
def healthz():
    """muster sends traffic here only while this answers with 2xx or 3xx."""
    return "ok\n"


@app.route("/work", methods=["GET", "POST"])
def work():
    """Takes ?ms=100 in all: a twentieth of it computes, the rest waits, as an API does that asks a database."""
    total = min(float(request.values.get("ms", 20)), 5000) / 1000
    end, compute_end = time.monotonic() + total, time.thread_time() + total / 20
    x = 1
    while time.thread_time() < compute_end:
        x = x * 1103515245 + 12345 & 0x7FFFFFFF
    time.sleep(max(0.0, end - time.monotonic()))
    return f"{x} from {NAME}\n", 200, {"X-Instance": NAME}
