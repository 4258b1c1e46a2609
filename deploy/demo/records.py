"""The client outside: sends records to the machine and remembers which were acknowledged."""

import json
import os
import subprocess
import sys
import time

client = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "guests", "append-client")


class Records:
    def __init__(self, address, folder):
        self.address = address
        self.log = os.path.join(folder, "acknowledged.log")
        self.process = None
        self.source_end = None

    def start(self):
        self.process = subprocess.Popen(
            [sys.executable, client, "send", "--address", self.address, "--log", self.log, "--timeout", "5"],
            stdout=subprocess.DEVNULL)

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(60)

    def lines(self):
        with open(self.log, encoding="ascii") as log:
            return [line.split() for line in log if line.endswith("\n")]

    def count(self):
        return len(self.lines()) if os.path.exists(self.log) else 0

    def wait_for_more(self, number, timeout=300):
        goal, start = self.count() + number, time.monotonic()
        while self.count() < goal:
            if time.monotonic() - start > timeout:
                raise RuntimeError(f"{self.address} acknowledged nothing new for {timeout} s")
            time.sleep(0.2)

    def mark_source_end(self, count):
        """The first `count` records were acknowledged by the source, before its power-off."""
        self.source_end = count

    def forget_after_source_end(self):
        kept = self.lines()[: self.source_end]
        with open(self.log, "w", encoding="ascii") as log:
            log.writelines(" ".join(line) + "\n" for line in kept)

    def longest_gap(self, since=0):
        """Seconds between two acknowledgements, at most, from record number `since` on."""
        times = [float(line[2]) for line in self.lines()[max(0, since - 1):]]
        return max(after - before for before, after in zip(times, times[1:]))

    def verify(self, address):
        """Raises unless every acknowledged record is served, with its checksum, at `address`."""
        done = subprocess.run(
            [sys.executable, client, "verify", "--address", address, "--log", self.log, "--timeout", "120"],
            capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError(f"acknowledged records are missing at {address}: {done.stdout} {done.stderr}")
        return json.loads(done.stdout)
