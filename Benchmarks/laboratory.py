"""What the benchmarks run on: loop disks, volumes behind storage daemons, and the real programs as processes.

Everything is made in one folder and undone by `close`, in reverse order.
"""

import contextlib
import json
import os
import random
import signal
import subprocess
import time

from control_plane import Authority, ControlPlane

BLOCK = 4096
MIB = 1 << 20
GIB = 1 << 30
# Where the agent looks for its identity (AgentPlaces).
AGENT_STATE = "/var/lib/godwit-agent"


def run(*words, **options):
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(words)} ended with {done.returncode}: {done.stdout.strip()}")
    return done.stdout


def wire_bytes():
    """Bytes that went over this network namespace's loopback: everything the programs said to each other over TCP."""
    with open("/proc/net/dev") as file:
        line = next(line for line in file if line.strip().startswith("lo:"))
    return int(line.split(":")[1].split()[0])


class Program:
    """A process of ours with what the kernel knows of it."""

    def __init__(self, words, log, **options):
        self.log = log
        with open(log, "ab") as file:
            self.process = subprocess.Popen(words, stderr=file, **options)

    @property
    def is_alive(self):
        return self.process.poll() is None

    def cpu(self):
        """CPU seconds so far, of ended children too."""
        with open(f"/proc/{self.process.pid}/stat") as file:
            fields = file.read().rpartition(")")[2].split()
        return sum(int(field) for field in fields[11:15]) / os.sysconf("SC_CLK_TCK")

    def peak_memory(self):
        """Bytes."""
        with open(f"/proc/{self.process.pid}/status") as file:
            line = next(line for line in file if line.startswith("VmHWM"))
        return int(line.split()[1]) << 10

    def end(self, how=signal.SIGKILL):
        if self.is_alive:
            self.process.send_signal(how)
        self.process.wait()


class Disk:
    """A source's disk: a sparse file behind a loop device."""

    def __init__(self, path, size):
        self.path, self.size, self.mount_point = path, size, None
        with open(path, "wb") as file:
            file.truncate(size)
        self.device = run("losetup", "--find", "--show", path).strip()
        self.name = os.path.basename(self.device)

    EXT4 = ("mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0")

    def format(self, folder, *maker):
        run(*(maker or self.EXT4), self.device)
        os.makedirs(folder)
        run("mount", self.device, folder)
        self.mount_point = folder

    def fill(self, size, mix):
        """Files of `size` bytes in all; `mix` says which share of it is random, text and zeros."""
        source = random.Random(1)
        for kind, share in mix.items():
            with open(os.path.join(self.mount_point, kind), "wb") as file:
                for _ in range(round(size * share / (4 * MIB))):
                    file.write(self._content(kind, source))
        os.sync()

    _text = b""

    @classmethod
    def _content(cls, kind, source):
        if kind == "random":
            return os.urandom(4 * MIB)
        if kind == "zeros":
            return bytes(4 * MIB)
        if not cls._text:
            lines = (f"2026-11-{source.randrange(1, 30):02} host app[{source.randrange(99999)}]: request "
                     f"{source.getrandbits(64):x} from 10.0.{source.randrange(255)}.{source.randrange(255)} took "
                     f"{source.randrange(4000)} ms, status 200\n" for _ in range(80000))
            cls._text = "".join(lines).encode()[: 4 * MIB].ljust(4 * MIB, b"\n")
        start = source.randrange(0, 4 * MIB)
        return cls._text[start:] + cls._text[:start]

    def change(self, share):
        """Gives that share of the filesystem's blocks, chosen at random among those of the files, new random bytes.

        Returns the bytes changed."""
        count = round(self.size / BLOCK * share)
        files = [os.path.join(self.mount_point, name) for name in ("random", "text")
                 if os.path.exists(os.path.join(self.mount_point, name))]
        places = [(file, index) for file in files for index in range(os.path.getsize(file) // BLOCK)]
        chosen = random.sample(places, count)
        for path in files:
            descriptor = os.open(path, os.O_WRONLY)
            for block in sorted(index for file, index in chosen if file == path):
                os.pwrite(descriptor, os.urandom(BLOCK), block * BLOCK)
            os.fsync(descriptor)
            os.close(descriptor)
        os.sync()
        return count * BLOCK

    def close(self):
        if self.mount_point:
            run("umount", self.mount_point)
            os.rmdir(self.mount_point)
        run("losetup", "--detach", self.device)
        os.unlink(self.path)


class Volume:
    """A qcow2 behind a storage daemon, with the options the local cloud gives both (BlockNode, StorageDaemonCommand)."""

    def __init__(self, folder, name, size):
        self.name = name
        self.path, self.socket = os.path.join(folder, name + ".qcow2"), os.path.join(folder, name + ".nbd")
        run("qemu-img", "create", "-q", "-f", "qcow2", self.path, str(size))
        cache = {"direct": True, "no-flush": False}
        node = {
            "driver": "qcow2", "node-name": "top", "cache": cache, "discard": "unmap", "detect-zeroes": "unmap",
            "backing": None,
            "file": {"driver": "file", "node-name": "file", "filename": self.path, "cache": cache, "discard": "unmap"}}
        self.daemon = Program(
            ["qemu-storage-daemon", "--blockdev", json.dumps(node),
             "--nbd-server", f"addr.type=unix,addr.path={self.socket},max-connections=16",
             "--export", "type=nbd,id=volume,node-name=top,name=volume,writable=on"],
            os.path.join(folder, "daemon.log"))
        self.location = f"nbd+unix:///volume?socket={self.socket}"
        for _ in range(200):
            if os.path.exists(self.socket):
                return
            time.sleep(0.05)
        raise RuntimeError("the storage daemon did not start; see daemon.log")

    def close(self):
        self.daemon.end(signal.SIGTERM)
        for path in (self.path, self.socket):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)


class Voided(RuntimeError):
    """The kernel lost events, the agent's counters told, and a delta became a compare: right, but no delta's figure."""


class Laboratory:
    """`folder` holds disks and volumes, `state` what the gateway keeps about them."""

    def __init__(self, folder, state, agent, gateway):
        self.folder, self.state, self._programs = folder, state, (agent, gateway)
        self.authority = Authority(state)
        os.makedirs(AGENT_STATE, mode=0o700)
        self.platform = ControlPlane(self.authority, os.path.join(AGENT_STATE, "identity.json"))
        self._volumes = 0
        self.agent = self.gateway = None

    def start(self):
        self.start_gateway()
        self.start_agent()

    def start_gateway(self, port=0):
        self.gateway = Program(
            [self._programs[1], "--listen", f"127.0.0.1:{port}", "--state", os.path.join(self.state, "gateway"),
             "--issuer-key", self.authority.issuers, "--certificate", self.authority.certificate,
             "--private-key", self.authority.key],
            os.path.join(self.state, "gateway.log"), stdout=subprocess.PIPE)
        line = self.gateway.process.stdout.readline()
        if not line:
            raise RuntimeError("the gateway did not start; see gateway.log")
        self.gateway.port = json.loads(line)["port"]
        self.gateway.address = f"https://127.0.0.1:{self.gateway.port}"

    def start_agent(self):
        self.agent = Program([self._programs[0], "run"], os.path.join(self.state, "agent.log"))

    def restart_agent(self):
        self.agent.end()
        self.start_agent()

    @contextlib.contextmanager
    def disk(self, size, fill=0, mix=None):
        disk = Disk(os.path.join(self.folder, "disk.raw"), size)
        try:
            if mix is not None:
                disk.format(os.path.join(self.folder, "mounted"))
                disk.fill(fill, mix)
            yield disk
        finally:
            disk.close()

    @contextlib.contextmanager
    def volume(self, size):
        self._volumes += 1
        volume = Volume(self.folder, f"volume-{self._volumes}", size)
        try:
            yield volume
        finally:
            volume.close()

    def begin(self, disk, volume, mode):
        return self.platform.begin(self.gateway, disk, volume, mode, "migration-" + volume.name)

    def sync(self, disk, volume, mode):
        """Runs one sync to its end: its figures."""
        before = (wire_bytes(), self.agent.cpu(), self.gateway.cpu(), volume.daemon.cpu())
        seconds, report = self.platform.finish(self.begin(disk, volume, mode), lambda: self.agent.is_alive)
        after = (wire_bytes(), self.agent.cpu(), self.gateway.cpu(), volume.daemon.cpu())
        wire, agent, gateway, daemon = (b - a for a, b in zip(before, after))
        if report["progress"]["mode"] != mode:
            raise Voided(f"a {mode} became a {report['progress']['mode']}: {report['progress'].get('voided')}")
        return {
            "seconds": seconds, "read_back": report["receipt"]["readBackSeconds"], "wire": wire, "agent_cpu": agent,
            "gateway_cpu": gateway, "daemon_cpu": daemon, "progress": report["progress"], "receipt": report["receipt"]}

    def close(self):
        for program in (self.agent, self.gateway):
            if program:
                program.end()
