"""The platform as its owner uses it: `godwit up`, then the command line with --json."""

import json
import os
import signal
import subprocess
import time


class Platform:
    def __init__(self, bin_folder, state, log):
        self.program = os.path.join(bin_folder, "godwit")
        self.state, self.log = state, log
        self.process = None

    def start(self, appliance, agent, advertise, timeout=120, more=()):
        os.makedirs(self.state, exist_ok=True)
        command = [
            self.program, "up", "--state", self.state, "--listen", "127.0.0.1:0", "--advertise", advertise,
            "--appliance", appliance, "--agent", agent, *more,
        ]
        self.process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=open(self.log, "ab"), text=True)
        ready = json.loads(self._line(timeout))
        self.environment = dict(
            os.environ, GODWIT_SERVER=ready["url"], GODWIT_TOKEN=ready["token"], GODWIT_CA=ready["ca"])

    def _line(self, timeout):
        """The line of JSON by which it says that it is ready."""
        start = time.monotonic()
        while time.monotonic() - start < timeout:
            line = self.process.stdout.readline()
            if line.startswith("{"):
                return line
            if not line and self.process.poll() is not None:
                raise RuntimeError(f"the platform did not start: see {self.log}")
        raise RuntimeError(f"the platform was not ready within {timeout} s: see {self.log}")

    def ask(self, *words, timeout=3600):
        """Runs a client command with --json; its answer."""
        done = subprocess.run(
            [self.program, *words, "--json"], env=self.environment, capture_output=True, text=True, timeout=timeout)
        if done.returncode != 0:
            raise RuntimeError(f"godwit {' '.join(words)} failed:\n{done.stderr.strip()}\n{done.stdout.strip()[-2000:]}")
        return json.loads(done.stdout) if done.stdout.strip() else None

    def wait(self, what, found, timeout, pause=1.0):
        """The first true answer of `found`, asked again and again."""
        start = time.monotonic()
        while time.monotonic() - start < timeout:
            answer = found()
            if answer:
                return answer
            if self.process.poll() is not None:
                raise RuntimeError(f"the platform ended: see {self.log}")
            time.sleep(pause)
        raise RuntimeError(f"{what} did not happen within {timeout} s: see {self.log}")

    def kill(self, program):
        """Kills the process of that program that belongs to this platform, without a word of warning."""
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{pid}/cmdline", encoding="utf-8", errors="replace") as file:
                    words = file.read().split("\0")
            except OSError:
                continue
            if os.path.basename(words[0]) == program and any(self.state in word for word in words):
                found.append(int(pid))
        if len(found) != 1:
            raise RuntimeError(f"processes of {program}: {found}")
        os.kill(found[0], signal.SIGKILL)

    def stop(self):
        """Ends the platform and everything it keeps running."""
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        subprocess.run([self.program, "down", "--state", self.state], check=False)
