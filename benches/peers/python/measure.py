"""What benches/peers/src/lib.rs is in Rust: the same modes, windows and figures, for schedulers of asyncio."""

import asyncio
import json
import os
import resource
import sys
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path

late = []
latest = 0.0


def fire():
    global latest
    now = time.time()
    late.append(now % 1)
    latest = now


async def ready():
    fire()


async def awaits():
    await asyncio.sleep(0)
    fire()


async def when_due(phase):
    global latest
    now = time.time()
    late.append((now - phase) % 1)
    latest = now


def cpu():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def status(name, text):
    return next((int(line.split()[1]) for line in text.splitlines() if line.startswith(name)), 0)


def resident_bytes():
    return status("VmRSS:", Path("/proc/self/status").read_text()) * 1024


def switches():
    tasks = Path("/proc/self/task").iterdir()
    return sum(status("voluntary_ctxt_switches:", (task / "status").read_text()) for task in tasks)


def phase(n, tasks):
    """Where in a second a task is due, in mode spread."""
    return n * 1000 // tasks / 1000


def far_hour():
    return (datetime.now(timezone.utc).hour + 12) % 24


def run(name, prepare, add, go):
    """`prepare()` gives a scheduler, `add(scheduler, mode, tasks)` adds them all, `go(scheduler)` lets them run."""
    mode, tasks, seconds = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    asyncio.run(measure(name, mode, tasks, seconds, prepare, add, go))
    # Nobody is shut down: that is not what is measured.
    sys.stdout.flush()
    os._exit(0)


async def measure(name, mode, tasks, seconds, prepare, add, go):
    figures = {"scheduler": name, "mode": mode, "tasks": tasks, "seconds": seconds}
    resident = resident_bytes()
    scheduler = prepare()
    if mode == "idle":
        go(scheduler)
    cpu_before, wall = cpu(), time.monotonic()
    add(scheduler, mode, tasks)
    figures["add_us"] = (cpu() - cpu_before) * 1e6 / tasks
    figures["add_wall_s"] = time.monotonic() - wall
    figures["rss_per_task"] = (resident_bytes() - resident) / tasks

    began, cpu_before, fired = time.time(), cpu(), 0
    if mode != "idle":
        go(scheduler)
    if mode == "burst":
        patience = time.monotonic() + 30
        while len(late) < tasks and time.monotonic() < patience:
            await asyncio.sleep(0.005)
        figures["burst_s"] = latest - began
    else:
        await asyncio.sleep(2)
        if mode != "idle":
            await asyncio.sleep((1.95 - time.time() % 1) % 1)
        fired, cpu_before, switches_before, wall = len(late), cpu(), switches(), time.monotonic()
        await asyncio.sleep(seconds)
        wall = time.monotonic() - wall
        figures["cpu_s_per_s"] = (cpu() - cpu_before) / wall
        figures["switches_per_s"] = (switches() - switches_before) / wall
    used = cpu() - cpu_before
    seen = sorted(late[fired:])
    figures["fires"] = len(seen)
    figures["expected"] = tasks if mode == "burst" else 0 if mode == "idle" else tasks * seconds
    figures["cpu_s"] = used
    if seen:
        figures["cpu_ns_per_fire"] = used * 1e9 / len(seen)
        if mode != "burst":
            for part, key in [(0.5, "late_p50_ms"), (0.99, "late_p99_ms"), (1.0, "late_max_ms")]:
                figures[key] = seen[min(len(seen) - 1, int(len(seen) * part))] * 1e3
    figures["rss_per_task_after"] = (resident_bytes() - resident) / tasks
    print(json.dumps(figures))


def next_second():
    now = datetime.now(timezone.utc)
    return now.replace(microsecond=0) + timedelta(seconds=1)
