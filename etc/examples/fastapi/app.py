"""A small FastAPI application, as an example: replace it by your own."""
import asyncio
import os

from fastapi import FastAPI

app = FastAPI()
NAME = os.environ.get("INSTANCE") or os.environ.get("MUSTER_ID") or "by hand"


@app.get("/")
async def index():
    return {"hello": NAME, "process": os.getpid()}


@app.get("/healthz")
async def healthz():
    return {"ok": True}


@app.get("/work")
async def work(ms: float = 20):
    """Takes so many milliseconds, waiting as for a database."""
    await asyncio.sleep(min(ms, 5000) / 1000)
    return {"from": NAME}
