"""The quickstart as a user meets it: over HTTP and by signals, against the real clock."""

import json
import os
import signal
import subprocess
import tempfile
import time
import unittest
import urllib.error
import urllib.request
from datetime import datetime
from pathlib import Path

TARGET = Path(os.environ.get("CARGO_TARGET_DIR", Path(__file__).parent.parent / "target"))
BINARY = TARGET / "debug" / "examples" / "quickstart"


class Quickstart(unittest.TestCase):
    def setUp(self):
        self.start()

    def start(self, *words):
        # Port 0 is a free one; the program tells which.
        environment = {**os.environ, "PORT": "0"}
        self.server = subprocess.Popen([BINARY, *words], env=environment, stdout=subprocess.PIPE, text=True)
        self.addCleanup(self.server.stdout.close)
        self.addCleanup(self.server.wait)
        self.addCleanup(self.server.kill)
        self.address = self.server.stdout.readline().split()[2].rstrip(".")
        self.eventually(lambda: self.call("GET", "/tasks")[0] == 200)

    def call(self, method, path, body=None, raw=None):
        """The status and the JSON of an answer."""
        data = raw if raw is not None else json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(self.address + path, data, {"content-type": "application/json"}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error)

    def runs(self, task):
        return self.call("GET", f"/runs?task={task}")[1]

    def tasks(self):
        return {task["id"]: task for task in self.call("GET", "/tasks")[1]}

    def eventually(self, true):
        deadline = time.monotonic() + 20
        while not true():
            self.assertLess(time.monotonic(), deadline, "it does not come to be")
            time.sleep(0.05)

    def stop(self, number):
        self.server.send_signal(number)
        self.assertEqual(self.server.wait(timeout=30), 0)
        self.assertTrue(self.server.stdout.read().endswith("Stopped.\n"))

    def test_a_store_keeps_tasks_and_history_over_a_restart(self):
        self.stop(signal.SIGTERM)
        with tempfile.TemporaryDirectory() as folder:
            store = ("--store", f"sqlite://{folder}/tasks.db")
            self.start(*store)
            self.eventually(lambda: len(self.runs("tick")) >= 2)
            self.call("POST", "/tasks/tick/pause")
            before = self.runs("tick")
            self.stop(signal.SIGTERM)
            self.start(*store)
            self.assertEqual(self.tasks()["tick"]["state"], "paused")
            self.assertEqual(self.runs("tick"), before)
            self.stop(signal.SIGTERM)

    def test_declared_tasks_are_listed_in_words(self):
        tasks = self.tasks()
        self.assertEqual(set(tasks), {"tick", "minute", "visits"})
        self.assertEqual(tasks["tick"]["handler"], "quickstart::reports::tick")
        self.assertIn("every second", tasks["tick"]["trigger"])
        self.assertEqual(tasks["minute"]["trigger"], "every minute, Europe/Berlin")
        self.assertEqual(tasks["minute"]["state"], "scheduled")
        self.assertEqual(len(tasks["minute"]["next_run_times"]), 3)

    def test_the_task_of_every_second_runs_and_is_recorded_newest_first(self):
        self.eventually(lambda: len(self.runs("tick")) >= 2)
        newest, before = self.runs("tick")[:2]
        instant = lambda text: datetime.fromisoformat(text.replace("Z", "+00:00"))
        self.assertGreater(instant(newest["scheduled_at"]), instant(before["scheduled_at"]))
        self.assertEqual((before["task"], before["status"], before["error"]), ("tick", "succeeded", None))
        self.assertGreaterEqual(instant(before["started_at"]), instant(before["scheduled_at"]))
        self.assertGreaterEqual(before["lateness"], 0)

    def test_tasks_are_paused_resumed_run_and_deleted(self):
        self.assertEqual(self.call("POST", "/tasks/visits/pause")[0], 200)
        self.assertEqual(self.tasks()["visits"]["state"], "paused")
        self.assertEqual(self.tasks()["visits"]["next_run_times"], [])
        self.assertEqual(self.call("POST", "/tasks/visits/run")[0], 200)
        self.eventually(lambda: [run["value"] for run in self.runs("visits")] == [0])
        self.assertEqual(self.call("POST", "/tasks/visits/resume")[0], 200)
        self.assertEqual(self.tasks()["visits"]["state"], "scheduled")
        self.assertEqual(self.call("DELETE", "/tasks/visits")[0], 200)
        self.assertNotIn("visits", self.tasks())

    def test_an_email_is_sent_once(self):
        status, answer = self.call("POST", "/emails", {"to": "you@example.org", "subject": "Hello"})
        self.assertEqual(status, 201)
        self.eventually(lambda: [run["status"] for run in self.runs(answer["id"])] == ["succeeded"])
        self.eventually(lambda: answer["id"] not in self.tasks())
        self.assertEqual(self.runs(answer["id"])[0]["value"], 'sent "Hello" to you@example.org')

    def test_an_email_that_can_not_be_sent_tells_why(self):
        answer = self.call("POST", "/emails", {"to": "nobody", "subject": "Hello"})[1]
        self.eventually(lambda: [run["status"] for run in self.runs(answer["id"])] == ["failed"])
        self.assertEqual(self.runs(answer["id"])[0]["error"], '"nobody" is no address')

    def test_what_is_wrong_is_told_as_json(self):
        for method, path in [
            ("POST", "/tasks/nobody/pause"),
            ("POST", "/tasks/nobody/resume"),
            ("POST", "/tasks/nobody/run"),
            ("DELETE", "/tasks/nobody"),
            ("GET", "/runs?task=nobody"),
        ]:
            self.assertEqual(self.call(method, path), (404, {"error": "there is no task `nobody`"}), path)
        for wrong in [b"{", b"[]", b'{"to": 7, "subject": "Hello"}', b'{"to": "you@example.org"}', b""]:
            status, answer = self.call("POST", "/emails", raw=wrong)
            self.assertEqual((status, list(answer)), (422, ["error"]), wrong)

    def test_sigint_drains_and_exits_with_0(self):
        self.stop(signal.SIGINT)

    def test_sigterm_drains_and_exits_with_0(self):
        self.stop(signal.SIGTERM)


if __name__ == "__main__":
    unittest.main(verbosity=2)
