"""The migration service as far as an enrolled agent sees it: hands out sync commands, takes reports.

It exists so that figures are those of the real agent and the real gateway with nothing else in between. The protocol is
Sources/Core/Wire/AgentProtocol.swift; signatures of the agent are not checked here, grants are signed as ever.
"""

import base64
import hashlib
import http.server
import json
import os
import ssl
import subprocess
import threading
import time
import urllib.parse

CREDENTIAL = {"tenant": "bench", "source": "bench", "accessToken": "bench", "expiresIn": 86400}


def base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Authority:
    """A CA, one server certificate for 127.0.0.1, and the key that signs grants."""

    def __init__(self, folder):
        self.folder = folder
        self.ca, self.certificate, self.key = self._path("ca.pem"), self._path("server.pem"), self._path("server.key")
        self._issuer = self._path("issuer.key")
        self._openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                      "-subj", "/CN=benchmark CA", "-keyout", self._path("ca.key"), "-out", self.ca)
        self._openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                      "-subj", "/CN=127.0.0.1", "-keyout", self.key, "-out", self._path("server.csr"))
        with open(self._path("names"), "w") as file:
            file.write("subjectAltName=IP:127.0.0.1\nbasicConstraints=CA:FALSE\n")
        self._openssl("x509", "-req", "-in", self._path("server.csr"), "-CA", self.ca, "-CAkey", self._path("ca.key"),
                      "-CAcreateserial", "-days", "2", "-extfile", self._path("names"), "-out", self.certificate)
        self._openssl("genpkey", "-algorithm", "ed25519", "-out", self._issuer)
        self.issuers = self._path("issuers")
        with open(self.issuers, "w") as file:
            file.write(base64url(self._public(self._issuer)) + "\n")

    def _path(self, name):
        return os.path.join(self.folder, name)

    @staticmethod
    def _openssl(*words):
        return subprocess.run(["openssl", *words], check=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE).stdout

    def _public(self, key):
        return self._openssl("pkey", "-in", key, "-pubout", "-outform", "DER")[-32:]

    def write_identity(self, path, server):
        """Writes what an enrolment leaves behind (`Identity`); returns the thumbprint (RFC 7638) of the agent's key."""
        key = self._path("agent.key")
        self._openssl("genpkey", "-algorithm", "ed25519", "-out", key)
        secret = self._openssl("pkey", "-in", key, "-outform", "DER")[-32:]
        with open(self.ca) as file:
            authority = file.read()
        with open(path, "w") as file:
            json.dump({"server": server, "connection": {"authority": authority}, "credential": CREDENTIAL,
                       "secret": base64url(secret)}, file)
        words = {"crv": "Ed25519", "kty": "OKP", "x": base64url(self._public(key))}
        return base64url(hashlib.sha256(json.dumps(words, separators=(",", ":")).encode()).digest())

    def token(self, claims):
        head = base64url(json.dumps({"alg": "EdDSA", "typ": "JWT"}).encode())
        signed = head + "." + base64url(json.dumps(claims, sort_keys=True).encode())
        with open(self._path("signed"), "w") as file:
            file.write(signed)
        signature = self._openssl("pkeyutl", "-sign", "-rawin", "-inkey", self._issuer, "-in", self._path("signed"))
        return signed + "." + base64url(signature)


class ControlPlane:
    """`sync` gives the agent one command and waits for its end."""

    def __init__(self, authority, identity):
        """`identity` is the file where the agent looks for what its enrolment left."""
        self.authority = authority
        self._change = threading.Condition()
        self._open = {}
        self._handed = {}
        self._known = {}
        self._reports = {}
        self._number = 0
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                query = urllib.parse.parse_qs(urllib.parse.urlparse(self.path).query)
                self._send(200, outer._commands(int(query["wait"][0]), query["instance"][0]))

            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or b"{}")
                if self.path.startswith("/v1/agent/reports"):
                    outer._take(body)
                    return self._send(204, None)
                # Besides reports an agent only posts for a fresh credential.
                self._send(200, CREDENTIAL)

            def _send(self, status, value):
                body = b"" if value is None else json.dumps(value).encode()
                self.send_response(status)
                if status != 204:
                    self.send_header("Content-Type", "application/json")
                    self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(authority.certificate, authority.key)
        class Server(http.server.ThreadingHTTPServer):
            def handle_error(self, *_):
                """An agent that was killed is no news."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.address = f"https://127.0.0.1:{self._server.server_address[1]}"
        self.thumbprint = authority.write_identity(identity, self.address)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def _commands(self, wait, instance):
        """The open commands, at once where this life of the agent does not know one of them."""
        end = time.monotonic() + wait
        with self._change:
            known = self._known.setdefault(instance, set())
            while time.monotonic() < end and known.issuperset(self._open):
                self._change.wait(end - time.monotonic())
            for name in self._open.keys() - known:
                known.add(name)
                self._handed[name] = time.monotonic()
            return list(self._open.values())

    def _take(self, report):
        with self._change:
            report["at"] = time.monotonic()
            self._reports[report["command"]] = report
            if report["state"] != "running":
                self._open.pop(report["command"], None)
            self._change.notify_all()

    def begin(self, gateway, disk, volume, mode, migration):
        """Hands out a sync of `disk` to `volume` (location and size); returns the command's name."""
        self._number += 1
        name = f"sync-{self._number}"
        grant = {
            "tenant": "bench", "migration": migration, "session": name, "ordinal": self._number,
            "cnf": {"jkt": self.thumbprint},
            "disks": [{"volume": volume.name, "location": volume.location, "size": disk.size}],
            "exp": int(time.time()) + 7200}
        body = {
            "migration": migration, "session": name, "mode": mode, "final": False, "gateway": gateway.address,
            "grant": self.authority.token(grant), "disks": [disk.name], "limits": {}}
        with self._change:
            self._open[name] = {"id": name, "body": {"sync": {"_0": body}}}
            self._change.notify_all()
        return name

    def report(self, name):
        """The last report so far, or None."""
        with self._change:
            return self._reports.get(name)

    def finish(self, name, alive, limit=900):
        """Waits for the end: seconds from the agent's hearing of it to its last report, and that report."""
        end = time.monotonic() + limit
        with self._change:
            while self._reports.get(name, {}).get("state") in (None, "running"):
                self._change.wait(1)
                if time.monotonic() > end or not alive():
                    raise RuntimeError(f"{name} did not end; last report: {self._reports.get(name)}")
            report = self._reports[name]
        if report["state"] != "done":
            raise RuntimeError(f"{name} failed: {report.get('failure')}")
        return report["at"] - self._handed[name], report
