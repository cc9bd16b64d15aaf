"""APScheduler 3: interval tasks (its cheapest) in mode herd, cron ones in mode idle."""

import logging
from datetime import timedelta

from apscheduler.schedulers.asyncio import AsyncIOScheduler

from measure import awaits, far_hour, next_second, phase, ready, run, when_due

logging.disable(logging.CRITICAL)


def add(scheduler, mode, tasks):
    start = next_second()
    rules = {"misfire_grace_time": None, "coalesce": True}
    for n in range(tasks):
        rules["id"] = f"task-{n}"
        if mode in ("herd", "herd-await"):
            function = ready if mode == "herd" else awaits
            scheduler.add_job(function, "interval", seconds=1, start_date=start, **rules)
        elif mode == "spread":
            at = phase(n, tasks)
            first = start + timedelta(seconds=at)
            scheduler.add_job(when_due, "interval", [at], seconds=1, start_date=first, **rules)
        elif mode == "burst":
            scheduler.add_job(ready, "date", run_date=start - timedelta(seconds=1), **rules)
        else:
            scheduler.add_job(ready, "cron", hour=far_hour(), **rules)


if __name__ == "__main__":
    run("APScheduler 3 (Python)", lambda: AsyncIOScheduler(timezone="UTC"), add, lambda scheduler: scheduler.start())
