"""A stock guest (deploy/guests/build-stock) as a QEMU machine with a disk on each attachment."""

import contextlib
import json
import os
import socket
import subprocess
import threading
import time

ATTACHMENTS = {
    "virtio": ("vda", ["-device", "virtio-blk-pci,drive=virtio,serial=godwit-virtio"]),
    "nvme": ("nvme0n1", ["-device", "nvme,drive=nvme,serial=godwit-nvme"]),
    "scsi": ("sda", ["-device", "virtio-scsi-pci,id=scsi0",
                     "-device", "scsi-hd,drive=scsi,bus=scsi0.0,serial=godwit-scsi"]),
}


class Ended(RuntimeError):
    """The machine is gone."""


class Line:
    """One end of a Unix socket that QEMU listens at."""

    def __init__(self, path, alive, limit=20):
        self.socket = socket.socket(socket.AF_UNIX)
        end = time.monotonic() + limit
        while True:
            try:
                self.socket.connect(path)
                break
            except OSError:
                if time.monotonic() > end or not alive():
                    raise RuntimeError(f"nobody listens at {path}")
                time.sleep(0.05)
        self.file = self.socket.makefile("rwb")

    def send(self, text):
        self.file.write(text.encode())
        self.file.flush()

    def receive(self, limit):
        """The next line; an error after `limit` seconds, or when the other end has gone."""
        self.socket.settimeout(limit)
        line = self.file.readline()
        if not line:
            raise Ended("the machine has ended")
        return line.decode(errors="replace").rstrip("\n")

    def close(self):
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()


class StockMachine:
    """`disks` maps attachments to image files. `on_instant` is called with the machine stopped right before each
    instant ends."""

    def __init__(self, guest, initramfs, disks, folder, on_instant):
        self.disks, self.folder, self._on_instant = disks, folder, on_instant
        self.console = os.path.join(folder, "console.log")
        words = [
            "qemu-system-x86_64", "-accel", "tcg,thread=multi,tb-size=512", "-machine", "q35", "-cpu", "max", "-smp", "2",
            "-m", "1024", "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
            "-kernel", os.path.join(guest, "vmlinuz"), "-initrd", initramfs, "-append", "console=ttyS0 panic=-1",
            "-chardev", f"file,id=console,path={self.console}", "-serial", "chardev:console",
            "-qmp", f"unix:{self._socket('qmp')},server=on,wait=off", "-device", "virtio-serial-pci",
            # Two hours ahead of the gateway's.
            "-rtc", "base=" + time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(time.time() + 7200)),
            "-netdev", "user,id=net", "-device", "virtio-net-pci,netdev=net,romfile=",
        ]
        for port in ("shell", "witness"):
            words += ["-chardev", f"socket,id={port},path={self._socket(port)},server=on,wait=off",
                      "-device", f"virtserialport,chardev={port},name={port}"]
        for attachment, path in disks.items():
            words += ["-drive", f"if=none,id={attachment},file={path},format=raw,cache=writeback,discard=unmap",
                      *ATTACHMENTS[attachment][1]]
        self.process = subprocess.Popen(words, stdin=subprocess.DEVNULL)
        try:
            self._lines = {name: Line(self._socket(name), self.is_alive) for name in ("qmp", "shell", "witness")}
            self._lines["qmp"].receive(20)
            self._command("qmp_capabilities")
        except BaseException:
            self.stop()
            raise
        self.failure = None
        self._number = 0
        threading.Thread(target=self._watch, daemon=True).start()

    def _socket(self, name):
        return os.path.join(self.folder, name + ".socket")

    def is_alive(self):
        return self.process.poll() is None

    def _command(self, name):
        self._lines["qmp"].send(json.dumps({"execute": name}) + "\n")
        while True:
            answer = json.loads(self._lines["qmp"].receive(60))
            if "error" in answer:
                raise RuntimeError(f"QEMU refused {name}: {answer['error']}")
            if "return" in answer:
                return

    def _watch(self):
        """Holds the whole machine still, its clocks too, while the instant is kept."""
        try:
            while True:
                line = self._lines["witness"].receive(None)
                if line.startswith("instant "):
                    self._command("stop")
                    self._on_instant()
                    self._command("cont")
                    self._lines["witness"].send("go\n")
        except Ended:
            pass
        except Exception as error:
            self.failure = error

    def wait_for_console(self, text, limit):
        start = time.monotonic()
        while time.monotonic() - start < limit and self.is_alive():
            with open(self.console, "rb") as file:
                if text.encode() in file.read():
                    return time.monotonic() - start
            time.sleep(0.1)
        raise RuntimeError(f"the console does not show {text!r}: see {self.console}")

    def run(self, command, limit=120, check=True):
        """What `command` prints in the guest, and its exit status."""
        self._number += 1
        mark = f"@@{self._number} "
        shell = self._lines["shell"]
        shell.send(f"{{\n{command}\n}} < /dev/null 2>&1; s=$?; echo; echo '{mark}'$s\n")
        lines, end = [], time.monotonic() + limit
        while True:
            line = shell.receive(max(1, end - time.monotonic()))
            if line.startswith(mark):
                break
            lines.append(line)
        text, status = "\n".join(lines).strip(), int(line[len(mark):])
        if check and status != 0:
            raise RuntimeError(f"in the guest, {command!r} ended with {status}: {text}")
        return text if check else (text, status)

    def wait_for_end(self, limit):
        """Until it has powered itself off."""
        self.process.wait(limit)

    def stop(self):
        """Pulls the plug."""
        if self.is_alive():
            self.process.kill()
        self.process.wait()
        for line in getattr(self, "_lines", {}).values():
            line.close()
