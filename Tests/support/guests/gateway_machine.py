"""A gateway in a QEMU machine, on disks of that machine, whose reset button is pressed and whose plug is pulled."""

import json
import os
import random
import socket
import subprocess
import threading
import time

from machine import Line
from service import GATEWAY, HOST, append

# Where things are in the machine. What is not on a disk is gone after a reset.
START = """mkdir -p /var/lib/gateway
modprobe ext4
n=0; until [ -b /dev/vda ] || [ $n = 100 ]; do sleep 0.1; n=$((n + 1)); done
mount -t ext4 /dev/vda /var/lib/gateway || exit 1
exec /usr/local/sbin/godwit-gateway --listen 0.0.0.0:7443 --state /var/lib/gateway/state --issuer-key /etc/gateway/issuers \
  --certificate /etc/gateway/server.pem --private-key /etc/gateway/server.key
"""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class GatewayMachine:
    """`replicas` are image files, its second disk and on; `folder` is a new one."""

    def __init__(self, guest, replicas, folder, authority):
        self._folder, self._port = folder, free_port()
        self.address = f"https://{HOST}:{self._port}"
        self._places = {path: f"/dev/vd{chr(ord('b') + index)}" for index, path in enumerate(replicas)}
        self.resets = self.plugs = 0
        self.console = os.path.join(folder, "console.log")
        initramfs, state = os.path.join(folder, "initramfs"), os.path.join(folder, "state")
        self._append(guest, initramfs, authority)
        with open(state, "wb") as file:
            file.truncate(256 << 20)
        subprocess.run(["mkfs.ext4", "-q", "-F", state], check=True)
        self._words = [
            "qemu-system-x86_64", "-accel", "tcg,thread=multi,tb-size=512", "-machine", "q35", "-cpu", "max", "-smp", "2",
            "-m", "2048", "-nodefaults", "-no-user-config", "-display", "none",
            "-kernel", os.path.join(guest, "vmlinuz"), "-initrd", initramfs, "-append", "console=ttyS0 panic=-1",
            "-chardev", f"file,id=console,path={self.console},append=on", "-serial", "chardev:console",
            "-qmp", f"unix:{self._socket},server=on,wait=off",
            "-netdev", f"user,id=net,hostfwd=tcp:127.0.0.1:{self._port}-10.0.2.15:7443",
            "-device", "virtio-net-pci,netdev=net,romfile=",
        ]
        for path in [state, *replicas]:
            self._words += ["-drive", f"if=virtio,file={path},format=raw,cache=writeback,discard=unmap"]
        self._start()

    @staticmethod
    def _append(guest, path, authority):
        folder = os.path.dirname(path)
        program, start = os.path.join(folder, "godwit-gateway"), os.path.join(folder, "start")
        subprocess.run(["strip", "-o", program, GATEWAY], check=True)
        with open(start, "w") as file:
            file.write(START)
        files = {
            "usr/local/sbin/godwit-gateway": (program, "755"), "etc/start": (start, "644"),
            "etc/gateway/issuers": (authority.issuers, "600"), "etc/gateway/server.pem": (authority.certificate, "600"),
            "etc/gateway/server.key": (authority.key, "600")}
        libraries = subprocess.run(["ldd", GATEWAY], check=True, stdout=subprocess.PIPE, text=True).stdout
        for word in libraries.split():
            if word.startswith("/"):
                name = word.lstrip("/") if word.startswith("/lib64/") else "lib/" + os.path.basename(word)
                files["usr/" + name] = (os.path.realpath(word), "755")
        append(guest, path, files)

    @property
    def _socket(self):
        return os.path.join(self._folder, "qmp.socket")

    def location(self, path):
        return self._places[path]

    def _start(self):
        self._process = subprocess.Popen(self._words, stdin=subprocess.DEVNULL)
        self._qmp = Line(self._socket, lambda: self._process.poll() is None)
        self._qmp.receive(20)
        self._command("qmp_capabilities")

    def _command(self, name):
        self._qmp.send(json.dumps({"execute": name}) + "\n")
        while "return" not in json.loads(self._qmp.receive(60)):
            pass

    def reset(self):
        """As by its button: memory and everything under way is gone."""
        self._command("system_reset")
        self.resets += 1

    def pull_plug(self):
        """Without a warning also for QEMU: what it had not handed to its files is gone."""
        self._end()
        self._start()
        self.plugs += 1

    @property
    def starts(self):
        """How many times its gateway has said where it listens."""
        with open(self.console, "rb") as file:
            return file.read().count(b'"port"')

    def wait_for_start(self, number, limit=120):
        end = time.monotonic() + limit
        while self.starts < number:
            if time.monotonic() > end:
                raise RuntimeError(f"the gateway's machine did not start its gateway: see {self.console}")
            time.sleep(0.1)

    def _end(self):
        self._process.kill()
        self._process.wait()
        self._qmp.close()

    def close(self):
        self._end()


class Misfortune:
    """Resets the machine, or pulls its plug, while a sync is open: at most `times` in each sync."""

    def __init__(self, gateway, is_busy, times, say):
        self._gateway, self._is_busy, self._times, self._say = gateway, is_busy, times, say
        self._ended, self.failure = threading.Event(), None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        try:
            left = self._times
            while not self._ended.wait(0.2):
                if not self._is_busy():
                    left = self._times
                elif left:
                    self._strike()
                    left -= 1
        except Exception as error:
            self.failure = error

    def _strike(self):
        """Once the gateway has been up for a moment, if the sync is still open by then."""
        self._ended.wait(random.uniform(1, 6))
        if not self._is_busy() or self._ended.is_set():
            return
        starts = self._gateway.starts
        strike = random.choice([self._gateway.reset, self._gateway.pull_plug])
        strike()
        self._say(f"gateway: {strike.__name__}")
        self._gateway.wait_for_start(starts + 1)

    def end(self):
        self._ended.set()
        self._thread.join()
