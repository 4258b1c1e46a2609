"""A boot whose gateway is a machine of its own that is reset, and whose plug is pulled, in the middle of syncs."""

import os

from gateway_machine import GatewayMachine, Misfortune
from round import Round

# For each sync.
STRIKES = 2


class Struck(Round):
    def __init__(self, service, guest, *words):
        super().__init__(service, guest, *words)
        folder = os.path.join(self.folder, "gateway")
        os.mkdir(folder)
        self._before = service.gateway
        service.gateway = GatewayMachine(guest, [disk.replica for disk in self.disks], folder, service.authority)

    def run(self, loads):
        gateway = self.service.gateway
        try:
            gateway.wait_for_start(1)
            misfortune = Misfortune(gateway, lambda: self.service.is_busy, STRIKES, self.say)
            try:
                super().run(loads)
            finally:
                misfortune.end()
            if misfortune.failure:
                self.faults.append(f"the gateway's machine: {misfortune.failure}")
            if not gateway.resets or not gateway.plugs:
                self.faults.append(f"{gateway.resets} resets and {gateway.plugs} plugs pulled prove nothing")
            self.say(f"gateway: {gateway.resets} resets, {gateway.plugs} plugs pulled")
        finally:
            gateway.close()
            self.service.gateway = self._before
