"""One platform by `godwit up`, its people, and the machine that they move: a tiny guest in QEMU."""

import json
import os
import re
import ssl
import sys
import urllib.request

top = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(top, "deploy/demo"))

from guests import OUT, Tiny  # noqa: E402
from platform_client import Platform  # noqa: E402

PASSWORD = "correct horse battery staple"
HOSTILE = "<img src=x onerror=alert(1)>\"'&{{title}}</script> \u202e\u6d4b\u8bd5"


class World:
    def __init__(self, folder):
        self.folder = folder
        self.platform = Platform(
            os.path.join(top, ".build/debug"), os.path.join(folder, "platform"), os.path.join(folder, "platform.log"))
        self.guest = Tiny(folder)

    def start(self):
        self.platform.start(
            appliance=os.path.join(OUT, "appliance"), agent=os.path.join(OUT, "bin/godwit-agent"),
            advertise="10.0.2.2", more=["--gateway-listen", "0.0.0.0:0"])
        self.url = self.platform.environment["GODWIT_SERVER"]
        self.trust = ssl.create_default_context(cafile=self.platform.environment["GODWIT_CA"])

    def ask(self, method, path, body=None, token=None):
        """The REST API as the administrator, or as whom `token` belongs to."""
        request = urllib.request.Request(
            self.url + path, method=method, data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": "Bearer " + (token or self.platform.environment["GODWIT_TOKEN"]),
                     "Content-Type": "application/json"})
        with urllib.request.urlopen(request, context=self.trust, timeout=60) as answer:
            text = answer.read()
        return json.loads(text) if text else None

    def invite(self, email, role, tenant="default"):
        return self.ask("POST", f"/v1/tenants/{tenant}/invitations", {"email": email, "role": role})["token"]

    def member(self, email, role, name="Somebody", tenant="default"):
        """Somebody who has come in already."""
        invitation = self.invite(email, role, tenant)
        return self.ask(
            "POST", "/v1/invitations/accept", {"token": invitation, "name": name, "password": PASSWORD}, token="none")

    def paste(self, command):
        """The pasted line reaches the machine, and it is switched on."""
        self.guest.build(command)
        self.guest.boot()

    def migrations(self):
        return self.ask("GET", "/v1/tenants/default/migrations")["items"]

    def stop(self):
        self.guest.stop()
        self.platform.stop()


def secret_in(text):
    """The secret of a freshly made token in a page's text."""
    return re.search(r"gw[a-z]_[A-Za-z0-9_-]{20,}", text).group(0)
