"""Each example as somebody runs it who tries it: what it prints, and that it ends in order."""

import os
import signal
import socket
import subprocess
import unittest
import urllib.request
from pathlib import Path

TARGET = Path(os.environ.get("CARGO_TARGET_DIR", Path(__file__).parent.parent / "target"))
EXAMPLES = TARGET / "debug" / "examples"


class Examples(unittest.TestCase):
    def start(self, name, *arguments, **variables):
        # Port 0 is a free one; the program tells which.
        environment = {**os.environ, "PORT": "0", **variables}
        command = [EXAMPLES / name, *arguments]
        program = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
        self.addCleanup(program.stdout.close)
        self.addCleanup(program.wait)
        self.addCleanup(program.kill)
        return program

    def lines(self, name, *arguments, **variables):
        """All that a program prints that ends by itself."""
        program = self.start(name, *arguments, **variables)
        printed, _ = program.communicate(timeout=60)
        self.assertEqual(program.returncode, 0)
        return printed.splitlines()

    def interrupt(self, program):
        """What it prints after Ctrl-C."""
        program.send_signal(signal.SIGINT)
        printed, _ = program.communicate(timeout=30)
        self.assertEqual(program.returncode, 0)
        return printed.splitlines()

    def test_custom_config_ticks_and_ends_with_its_server(self):
        program = self.start("custom_config")
        address = program.stdout.readline().split()[-1]
        self.assertEqual(program.stdout.readline(), "The scheduler has started.\n")
        self.assertEqual(program.stdout.readline(), "tick 1\n")
        with urllib.request.urlopen(address, timeout=10) as answer:
            self.assertRegex(answer.read().decode(), r"^\d+ ticks\n$")
        self.assertEqual(self.interrupt(program)[-2:], ["The scheduler has stopped.", "Stopped."])

    def test_one_of_two_nodes_takes_over_from_the_other(self):
        lines = self.lines("two_nodes")
        killed = next(line for line in lines if line.endswith(" is killed.")).split()[0]
        heir = next(line for line in lines if line.endswith(" has taken over.")).split()[0]
        self.assertEqual({killed, heir}, {"anna", "bert"})
        after = lines[lines.index(f"{killed} is killed.") :]
        self.assertNotIn(f"{killed}: ", "".join(after))
        self.assertGreaterEqual(after.count(f"{heir}: 20 runs in the last second"), 5)
        self.assertEqual(after[-1], f"{heir}: the long run ends, attempt 2")

    def test_lifespan_echoes_counts_and_says_goodbye(self):
        program = self.start("lifespan")
        port = int(program.stdout.readline().rsplit(":", 1)[1])
        with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
            connection.sendall(b"hello\n")
            self.assertEqual(connection.recv(100), b"hello\n")
        while program.stdout.readline() != "1 lines so far\n":
            pass
        self.assertEqual(self.interrupt(program)[-2:], ["goodbye from lifespan::say_goodbye", "Stopped."])

    def test_without_axum_ticks_greets_and_sums(self):
        lines = self.lines("without_axum")
        self.assertIn('greet: "hello world"', lines)
        self.assertIn("sum: 500000500000", lines)
        self.assertGreaterEqual(sum(line.startswith("tick, due at") for line in lines), 2)

    def test_settings_come_from_a_file_and_the_environment(self):
        self.assertEqual(self.lines("settings"), ["20 threads in Europe/Berlin"])
        workers = self.lines("settings", ASYNCZ__EXECUTORS__POOL__MAX_WORKERS="7")
        self.assertEqual(workers, ["7 threads in Europe/Berlin"])
        mistake = self.lines("settings", ASYNCZ__TIMEZON="UTC")
        self.assertIn("- there is no key `ASYNCZ__TIMEZON`: did you mean `ASYNCZ__TIMEZONE`?", mistake)
        off = self.lines("settings", ASYNCZ__ENABLE_SCHEDULER="false")
        self.assertEqual(off, ["The scheduler is not enabled."])

    def test_testing_is_through_a_year(self):
        lines = self.lines("testing")
        self.assertEqual(lines[0], "January: 31 backups of two hours each")
        self.assertEqual(lines[-1], "the year is over: next is 2027-01-01 08:00:00 UTC")

    def test_custom_executor_runs_two_at_once(self):
        at_once, most = 0, 0
        *lines, last = self.lines("custom_executor")
        for line in lines:
            at_once += 1 if "begins" in line else -1
            most = max(most, at_once)
        self.assertEqual((most, last), (2, "5 pages"))

    def test_processes_outlives_what_crashes(self):
        lines = self.lines("processes")
        self.assertCountEqual(lines, [
            "by two: 42",
            "by zero: the worker process died: signal 6",
            "search: timed out: it took longer than 500ms",
            'write: "half is written, the rest next time"',
        ])

    def test_triggers_says_when(self):
        lines = self.lines("triggers", "30 2 * * *", "Europe/Berlin", "2026-10-23T00:00:00Z", "5")
        self.assertTrue(any("clock is put" in line for line in lines), lines)

    def test_herd_loses_nothing(self):
        lines = self.lines("herd", "100", "3")
        self.assertRegex(lines[0], r"^100 of 100 tasks ran, \d+ runs, 0 lost, 0 twice$")


if __name__ == "__main__":
    unittest.main(verbosity=2)
