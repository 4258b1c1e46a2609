"""What an agent in a guest speaks to: a small control plane (Benchmarks/control_plane.py) and a real gateway, both here."""

import json
import os
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


class Service(ControlPlane):
    """Also starts the gateway. `folder` is a new one."""

    def __init__(self, folder):
        self.identity = os.path.join(folder, "identity.json")
        super().__init__(GuestAuthority(folder), self.identity)
        self.gateway = Program(
            [GATEWAY, "--listen", "127.0.0.1:0", "--state", os.path.join(folder, "gateway"), "--issuer-key",
             self.authority.issuers, "--certificate", self.authority.certificate, "--private-key", self.authority.key],
            os.path.join(folder, "gateway.log"), stdout=subprocess.PIPE)
        line = self.gateway.process.stdout.readline()
        if not line:
            raise RuntimeError("the gateway did not start; see gateway.log")
        self._gateway = f"https://{HOST}:{json.loads(line)['port']}"

    def initramfs(self, guest, path):
        """The guest's, with the agent and its identity."""
        folder = os.path.join(os.path.dirname(path), "agent")
        for source, name, mode in ((AGENT, "usr/local/sbin/godwit-agent", "755"),
                                   (self.identity, "var/lib/godwit-agent/identity.json", "600")):
            subprocess.run(["install", "-D", "-m", mode, source, os.path.join(folder, name)], check=True)
        os.chmod(os.path.join(folder, "var/lib/godwit-agent"), 0o700)
        names = subprocess.run(["find", ".", "-mindepth", "1", "-printf", "%P\\n"], cwd=folder, check=True,
                               stdout=subprocess.PIPE).stdout
        archive = subprocess.run(["cpio", "-o", "-H", "newc", "-R", "0:0", "--quiet"], cwd=folder, input=names, check=True,
                                 stdout=subprocess.PIPE).stdout
        with open(path, "wb") as file:
            with open(os.path.join(guest, "initramfs"), "rb") as base:
                file.write(base.read())
            file.write(archive)

    def order(self, migration, disks, mode, final=False):
        """Hands out a sync; `disks` are (kernel name, replica's file) in order. The session's name."""
        self._number += 1
        name = f"sync-{self._number}"
        volumes = [{"volume": f"{migration}-{disk}", "location": path, "size": os.path.getsize(path)}
                   for disk, path in disks]
        grant = {"tenant": "torture", "migration": migration, "session": name, "ordinal": self._number,
                 "cnf": {"jkt": self.thumbprint}, "disks": volumes, "exp": int(time.time()) + 7200}
        body = {"migration": migration, "session": name, "mode": mode, "final": final,
                "gateway": self._gateway, "grant": self.authority.token(grant), "limits": {},
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

    def close(self):
        self.gateway.end()
