"""The sources of the demo."""

import json
import os
import re
import subprocess
import sys

from machine import Shell, SourceMachine

top = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
# Agent, repair and appliance for other machines (`make appliance`).
OUT = os.path.join(top, os.environ.get("GODWIT_OUT", "out"))


class Guest:
    """What both have: a disk that is an overlay of the cached image, a machine, a service."""

    service_port = 7000
    # Whether the agent is to be killed in the middle of the full copy.
    kills_agent = False

    def __init__(self, folder):
        self.folder = folder
        self.disk = os.path.join(folder, "source.qcow2")
        self.machine = None

    def overlay(self, image):
        subprocess.run(
            ["qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", image, self.disk], check=True)

    @property
    def service(self):
        return f"127.0.0.1:{self.machine.forwards[self.service_port]}"

    def stop(self):
        if self.machine:
            self.machine.stop()


class Debian12(Guest):
    """A Debian 12 server with systemd and ssh."""

    launch_options = ["--port", "22", "--port", "7000", "--success-port", "22", "--boot-seconds", "600"]

    def build(self, line):
        self.line = line
        self.image = build("build-debian12")
        self.overlay(os.path.join(self.image, "disk.raw"))

    def boot(self):
        """Starts the machine; seconds until it can be logged in to."""
        if self.machine is None:
            self.machine = SourceMachine(self.disk, "qcow2", self.folder, ports=(22, 7000))
        self.machine.start()
        self.shell = Shell(self.machine.forwards[22], os.path.join(self.image, "id"))
        return self.shell.wait(600)

    def enrol(self):
        """Pastes the line into a root shell."""
        self.shell.run(self.line)

    def kill_agent(self):
        """Kills the agent once it has read some of the disk."""
        self.shell.run("while [ $(awk '/^read_bytes/ { print $2 }' /proc/$(pgrep -o godwit-agent)/io) -lt 20000000 ]; do"
                       " sleep 1; done; systemctl kill -s KILL godwit-agent")

    def rehearse(self):
        return json.loads(self.shell.run("/usr/local/sbin/godwit-agent rehearse"))


class Tiny(Guest):
    """A busybox guest with its own loader. It has no TLS client to fetch the agent with, so the agent lies on its disk; the
    rest of the pasted line is run by its init."""

    firmware = "bios"
    launch_options = ["--port", "7000", "--success-text", "GODWIT-GUEST-READY", "--boot-seconds", "300"]

    def build(self, line):
        certificate = re.search(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", line, re.S).group(0)
        url, token = re.search(r"--server (\S+)", line).group(1), re.search(r"printf '%s.n' '([^']+)'", line).group(1)
        script = os.path.join(self.folder, "enrol")
        with open(script, "w", encoding="ascii") as file:
            file.write(
                f"cat >/run/ca.pem <<'CA'\n{certificate}\nCA\nprintf '%s\\n' '{token}' |"
                f" /usr/local/sbin/godwit-agent enrol --server {url} --ca-file /run/ca.pem --no-service\n")
            if self.kills_agent:
                file.write(KILL_AGENT)
        self.image = build(
            "build-tiny", "--firmware", self.firmware, "--agent", os.path.join(OUT, "bin/godwit-agent"), "--enrol", script)
        self.overlay(os.path.join(self.image, "disk.raw"))

    def boot(self):
        """Starts the machine; seconds until it says that it is up."""
        if self.machine is None:
            self.machine = SourceMachine(self.disk, "qcow2", self.folder, self.firmware, memory=512, ports=(7000,))
        self.machine.start()
        return self.machine.wait_for_console("GODWIT-GUEST-READY", 300)

    def enrol(self):
        pass

    def kill_agent(self):
        """Waits until it has happened: there is no way in."""
        self.machine.wait_for_console("GODWIT-AGENT-KILLED", 300)

    def rehearse(self):
        return None


# Run once in the guest, beside the agent: kills it when it has read 20 MB; init starts it again.
KILL_AGENT = """(while sleep 1; do for process in $(pidof godwit-agent); do
  bytes=$(awk '/^read_bytes/ { print $2 }' /proc/$process/io)
  [ "${bytes:-0}" -lt 20000000 ] || { kill -9 $process && echo GODWIT-AGENT-KILLED > /dev/ttyS0; exit; }
done; done) &
"""


class TinyUEFI(Tiny):
    """The same with GPT and an EFI system partition. Its firmware knows the loader by a boot entry; the target's does not."""

    firmware = "uefi"


def build(program, *words):
    """Runs a builder of deploy/guests; the folder it names."""
    out = subprocess.run(
        [os.path.join(top, "deploy/guests", program), *words], check=True, stdout=subprocess.PIPE, stderr=sys.stderr,
        text=True)
    return out.stdout.strip().splitlines()[-1]
