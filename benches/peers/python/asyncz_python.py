"""Asyncz itself: interval tasks (its cheapest) in mode herd, cron ones in mode idle."""

import logging
from datetime import timedelta

from asyncz.schedulers import AsyncIOScheduler

from measure import awaits, far_hour, next_second, phase, ready, run, when_due

logging.disable(logging.CRITICAL)


def add(scheduler, mode, tasks):
    start = next_second()
    rules = {"mistrigger_grace_time": None, "coalesce": True}
    for n in range(tasks):
        rules["id"] = f"task-{n}"
        if mode in ("herd", "herd-await"):
            function = ready if mode == "herd" else awaits
            scheduler.add_task(function, "interval", seconds=1, start_at=start, **rules)
        elif mode == "spread":
            at = phase(n, tasks)
            first = start + timedelta(seconds=at)
            scheduler.add_task(when_due, "interval", args=[at], seconds=1, start_at=first, **rules)
        elif mode == "burst":
            scheduler.add_task(ready, "date", run_at=start - timedelta(seconds=1), **rules)
        else:
            scheduler.add_task(ready, "cron", hour=far_hour(), **rules)


if __name__ == "__main__":
    run("Asyncz (Python)", lambda: AsyncIOScheduler(timezone="UTC"), add, lambda scheduler: scheduler.start())
