"""What an agent in a guest speaks to: a small control plane (Benchmarks/control_plane.py) and a real gateway, both here."""

import json
import os
import shutil
import subprocess
import sys
import time

here = os.path.dirname(os.path.abspath(__file__))
top = os.path.dirname(os.path.dirname(os.path.dirname(here)))
sys.path.insert(0, os.path.join(top, "Benchmarks"))

from control_plane import Authority, ControlPlane
from laboratory import Program

# This machine as QEMU's user network shows it to a guest.
HOST = "10.0.2.2"
AGENT = os.path.join(top, os.environ.get("GODWIT_OUT", "out"), "bin/godwit-agent")
GATEWAY = os.path.join(top, ".build/debug/godwit-gateway")


class GuestAuthority(Authority):
    """Its certificate is for the guest's name of this machine."""

    def __init__(self, folder):
        super().__init__(folder)
        with open(self._path("names"), "w") as file:
            file.write(f"subjectAltName=IP:127.0.0.1,IP:{HOST}\nbasicConstraints=CA:FALSE\n")
        self._openssl("x509", "-req", "-in", self._path("server.csr"), "-CA", self.ca, "-CAkey", self._path("ca.key"),
                      "-CAcreateserial", "-days", "2", "-extfile", self._path("names"), "-out", self.certificate)

    def write_identity(self, path, server):
        return super().write_identity(path, server.replace("127.0.0.1", HOST))


def append(guest, path, files):
    """Writes the guest's initramfs to `path` with `files` in it: what is to be where, with its mode."""
    folder = path + ".files"
    for name, (source, mode) in files.items():
        subprocess.run(["install", "-D", "-m", mode, source, os.path.join(folder, name)], check=True)
        # What only root may read lies in a folder that only root may enter.
        os.chmod(os.path.dirname(os.path.join(folder, name)), 0o700 if mode == "600" else 0o755)
    names = subprocess.run(["find", ".", "-mindepth", "1", "-printf", "%P\\n"], cwd=folder, check=True,
                           stdout=subprocess.PIPE).stdout
    archive = subprocess.run(["cpio", "-o", "-H", "newc", "-R", "0:0", "--quiet"], cwd=folder, input=names, check=True,
                             stdout=subprocess.PIPE).stdout
    shutil.rmtree(folder)
    with open(path, "wb") as file:
        with open(os.path.join(guest, "initramfs"), "rb") as base:
            file.write(base.read())
        file.write(archive)


class Gateway:
    """A gateway as a process of this machine."""

    def __init__(self, folder, authority):
        self._program = Program(
            [GATEWAY, "--listen", "127.0.0.1:0", "--state", os.path.join(folder, "gateway"), "--issuer-key",
             authority.issuers, "--certificate", authority.certificate, "--private-key", authority.key],
            os.path.join(folder, "gateway.log"), stdout=subprocess.PIPE)
        line = self._program.process.stdout.readline()
        if not line:
            raise RuntimeError("the gateway did not start; see gateway.log")
        self.address = f"https://{HOST}:{json.loads(line)['port']}"

    @staticmethod
    def location(path):
        """Where it finds the replica that is the file `path`."""
        return path

    def close(self):
        self._program.end()


class Service(ControlPlane):
    """`folder` is a new one. `gateway` is the one that syncs are sent to."""

    def __init__(self, folder):
        self.identity = os.path.join(folder, "identity.json")
        super().__init__(GuestAuthority(folder), self.identity)
        self.gateway = None

    def initramfs(self, guest, path):
        """The guest's, with the agent and its identity."""
        append(guest, path, {"usr/local/sbin/godwit-agent": (AGENT, "755"),
                             "var/lib/godwit-agent/identity.json": (self.identity, "600")})

    @property
    def is_busy(self):
        """Whether a sync was ordered that has not ended."""
        with self._change:
            return bool(self._open)

    def order(self, migration, disks, mode, final=False):
        """Hands out a sync; `disks` are (kernel name, replica's file) in order. The session's name."""
        self._number += 1
        name = f"sync-{self._number}"
        volumes = [{"volume": f"{migration}-{disk}", "location": self.gateway.location(path),
                    "size": os.path.getsize(path)} for disk, path in disks]
        grant = {"tenant": "torture", "migration": migration, "session": name, "ordinal": self._number,
                 "cnf": {"jkt": self.thumbprint}, "disks": volumes, "exp": int(time.time()) + 7200}
        body = {"migration": migration, "session": name, "mode": mode, "final": final,
                "gateway": self.gateway.address, "grant": self.authority.token(grant), "limits": {},
                "disks": [disk for disk, _ in disks]}
        with self._change:
            self._open[name] = {"id": name, "body": {"sync": {"_0": body}}}
            self._change.notify_all()
        return name

    def outcome(self, name, alive, limit):
        """The last report on a sync once it has ended, or once nobody is `alive` who could end it."""
        end = time.monotonic() + limit
        with self._change:
            while self._reports.get(name, {}).get("state") in (None, "running") and alive():
                if time.monotonic() > end:
                    raise RuntimeError(f"{name} did not end; last report: {self._reports.get(name)}")
                self._change.wait(0.2)
            return self._reports.get(name, {})
