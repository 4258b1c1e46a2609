"""A machine to move: QEMU with the devices of an old server (IDE disk, e1000 card), and a shell on it."""

import os
import socket
import subprocess
import time


def free_port():
    """A TCP port of the loopback interface that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class SourceMachine:
    """One life of the source. `forwards` maps guest ports to ports of the loopback interface."""

    def __init__(self, disk, disk_format, folder, firmware="bios", memory=1024, cpus=2, ports=(22, 7700)):
        self.disk, self.disk_format, self.folder, self.firmware = disk, disk_format, folder, firmware
        self.memory, self.cpus = memory, cpus
        self.forwards = {port: free_port() for port in ports}
        self.console = os.path.join(folder, "source-console.log")
        self.process = None

    def start(self):
        forwards = "".join(f",hostfwd=tcp:127.0.0.1:{host}-:{guest}" for guest, host in self.forwards.items())
        command = [
            "qemu-system-x86_64", "-name", "source", "-accel", "tcg,thread=multi,tb-size=512", "-machine", "pc",
            "-cpu", "max", "-smp", str(self.cpus), "-m", str(self.memory), "-nodefaults", "-no-user-config",
            "-vga", "none", "-display", "none", "-no-reboot",
            "-drive", f"file={self.disk},format={self.disk_format},if=ide,index=0,media=disk,cache=writeback",
            "-netdev", f"user,id=n0{forwards}", "-device", "e1000,netdev=n0,mac=52:54:00:aa:bb:01,addr=0x2",
            "-chardev", f"file,id=c0,path={self.console},append=on", "-serial", "chardev:c0",
        ]
        if self.firmware == "uefi":
            variables = os.path.join(self.folder, "source-vars.fd")
            if not os.path.exists(variables):
                # An installed machine's firmware knows its loader; the target's variables will be empty.
                cache = os.environ.get("GODWIT_CACHE", os.path.expanduser("~/.cache/godwit"))
                subprocess.run(
                    [os.path.join(cache, "python/bin/virt-fw-vars"), "--input", "/usr/share/OVMF/OVMF_VARS_4M.fd",
                     "--output", variables, "--append-boot-filepath", r"\EFI\debian\grubx64.efi"],
                    check=True, capture_output=True)
            command[command.index("pc")] = "q35"
            command += [
                "-drive", "if=pflash,format=raw,readonly=on,file=/usr/share/OVMF/OVMF_CODE_4M.fd",
                "-drive", f"if=pflash,format=raw,file={variables}",
            ]
        with open(self.console, "ab") as console:
            self.console_start = console.tell()
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL)

    def running(self):
        return self.process is not None and self.process.poll() is None

    def stop(self):
        """Pulls the plug."""
        if self.running():
            self.process.kill()
        if self.process is not None:
            self.process.wait()

    def wait_for_console(self, text, timeout):
        """Seconds until the console of this life shows `text`."""
        start = time.monotonic()
        while time.monotonic() - start < timeout:
            with open(self.console, "rb") as console:
                console.seek(self.console_start)
                if text in console.read().decode("utf-8", "replace"):
                    return time.monotonic() - start
            if not self.running():
                raise RuntimeError(f"the source ended before its console showed {text!r}: see {self.console}")
            time.sleep(0.3)
        raise RuntimeError(f"the source's console did not show {text!r} within {timeout} s: see {self.console}")

    def wait_for_end(self, timeout):
        """Seconds until the machine has powered itself off."""
        start = time.monotonic()
        self.process.wait(timeout)
        return time.monotonic() - start


class Shell:
    """Commands on a machine by ssh."""

    def __init__(self, port, key):
        self.base = [
            "ssh", "-i", key, "-p", str(port), "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null",
            "-o", "LogLevel=ERROR", "-o", "ConnectTimeout=20", "-o", "BatchMode=yes", "root@127.0.0.1",
        ]

    def run(self, command, check=True, timeout=300):
        done = subprocess.run(self.base + [command], capture_output=True, text=True, timeout=timeout)
        if check and done.returncode != 0:
            raise RuntimeError(f"on the source, {command[:60]!r} failed: {done.stderr.strip() or done.stdout.strip()}")
        return done.stdout

    def wait(self, timeout):
        """Seconds until the machine answers."""
        start = time.monotonic()
        while time.monotonic() - start < timeout:
            try:
                if subprocess.run(self.base + ["true"], capture_output=True, timeout=60).returncode == 0:
                    return time.monotonic() - start
            except subprocess.TimeoutExpired:
                pass
            time.sleep(0.5)
        raise RuntimeError(f"no ssh within {timeout} s")
