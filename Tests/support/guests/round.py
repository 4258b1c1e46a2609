"""One boot of a guest: its agent takes points under load, and every replica is compared with its disk at the instant."""

import json
import os
import random
import time

import images
from machine import ATTACHMENTS, StockMachine

# How a rung comes to be the best one that works: what has to be away in the guest.
DENIALS = {"tp_btf": ("", ""), "tracepoint": ("mount -t tmpfs none /sys/kernel/btf", ""), "blktrace": ("", "--no-bpf")}
# What a sync of a busy disk may end with, to be gone on from.
EXPECTED = ("not_converging", "freeze_failed", "tracking_lost")


class Disk:
    """One attachment's image, its replica, and what the points of it came to."""

    def __init__(self, folder, attachment, filesystem):
        self.attachment, self.filesystem = attachment, filesystem
        self.name = ATTACHMENTS[attachment][0]
        self.image, self.replica, self.kept, self.before = (
            os.path.join(folder, f"{attachment}-{kind}") for kind in ("disk", "replica", "kept", "before"))
        images.make(self.image, filesystem)
        images.empty(self.replica, os.path.getsize(self.image))
        self.points = self.changed = self.held = 0
        self.misses, self.spoilt = [], []

    def begin(self):
        """Before a sync: the last instant is the one before."""
        if os.path.exists(self.kept):
            os.replace(self.kept, self.before)

    def compare(self, session, strict):
        """`strict`: free space, too; a compare leaves that as it is."""
        leaves, held = images.differing(self.kept, self.replica)
        self.held += held
        if leaves and not strict:
            leaves = images.used(leaves, images.free(self.kept, self.filesystem))
        if leaves == [0] and self.filesystem == "md" and images.only_note_differs(self.kept, self.replica):
            leaves = []
        if leaves:
            self.misses.append(f"{session}: {len(leaves)} leaves differ: {leaves[:8]}")
        elif said := images.check(self.replica, self.filesystem):
            self.spoilt.append(f"{session}: {said[-400:]}")
        self.points += 1
        if os.path.exists(self.before):
            self.changed += len(images.differing(self.before, self.kept)[0])


class Round:
    def __init__(self, service, guest, initramfs, kernel, rung, filesystems, folder, say):
        """`filesystems` maps attachments to what is on them."""
        self.service, self.kernel, self.rung, self.folder, self.say = service, kernel, rung, folder, say
        self.disks = [Disk(folder, attachment, filesystem) for attachment, filesystem in filesystems.items()]
        self.migration = f"{kernel}-{rung}-{'-'.join(filesystems.values())}-{random.getrandbits(32):x}"
        self.voids, self.unsealed, self.faults, self.adopted, self.instants = [], [], [], 0, 0
        self.freezes, self.rungs, self.levels = [], set(), {}
        # Where loads write.
        self.folders = [f"/mnt/{disk.name}" for disk in self.disks]
        self._has_compared = False
        self.machine = StockMachine(
            guest, initramfs, {disk.attachment: disk.image for disk in self.disks}, folder, self._keep)

    def _keep(self):
        self.instants += 1
        for disk in self.disks:
            images.keep(disk.image, disk.kept)

    def run(self, loads):
        try:
            self._set_up()
            self._doctor()
            self._start_agent()
            self._sync("full")
            for load in loads:
                self._load(load)
                self._sync("delta")
            self._challenge()
            self._kill_agent()
            self._sync("delta", after_kill=True)
            self._finish()
        except Exception as error:
            self.faults.append(f"{error}")
            if self.machine.is_alive():
                try:
                    print(self.machine.run("tail -c 3000 /run/agent.log; dmesg | tail -n 30", check=False)[0])
                except Exception:
                    pass
        finally:
            self.machine.stop()
        if self.machine.failure:
            self.faults.append(f"an instant could not be kept: {self.machine.failure}")
        for disk in self.disks:
            if disk.points and not disk.changed:
                self.faults.append(f"{disk.name}: nothing was ever written")

    def _set_up(self):
        seconds = self.machine.wait_for_console("GODWIT-STOCK-READY", 240)
        self.say(f"{self.machine.run('uname -r')} is up after {seconds:.0f} s")
        for disk in self.disks:
            self.machine.run(f"n=0; until [ -b /dev/{disk.name} ] || [ $n = 100 ]; do sleep 0.1; n=$((n + 1)); done")
        self._mount()
        self.machine.run("\n".join(f"head -c 8000000 /dev/urandom > {folder}/seed" for folder in self.folders) + "\nsync")
        self.machine.run(DENIALS[self.rung][0] or "true")

    def _mount(self):
        for disk in self.disks:
            self.machine.run(f"modprobe {disk.filesystem}; mkdir -p /mnt/{disk.name}; "
                             f"mount -t {disk.filesystem} /dev/{disk.name} /mnt/{disk.name}")

    @property
    def _witness(self):
        return f"witness {DENIALS[self.rung][1]} /run/witness godwit-agent"

    def _doctor(self):
        text, _ = self.machine.run(self._witness + " doctor --json", check=False)
        findings = json.loads(text)
        stops = [f"{f['area']} {f['subject']}: {f['text']}" for f in findings if f["grade"] == "stop"]
        tracked = {f["subject"]: f["text"] for f in findings if f["area"] == "tracking"}
        above = list(DENIALS)[:list(DENIALS).index(self.rung)]
        for disk in self.disks:
            said = tracked.get(disk.name, "nothing")
            if not said.startswith(f"{self.rung} works") or any(f"{rung} does not" not in said for rung in above):
                stops.append(f"{disk.name} is to be tracked by {self.rung}; the doctor says: {said}")
        self.doctor = sorted({f"{f['area']}: {f['text']}" for f in findings})
        if stops:
            self.faults.append("doctor: " + " | ".join(stops))

    def _start_agent(self):
        self.machine.run(f"{self._witness} run < /dev/null >> /run/agent.log 2>&1 & sleep 0.1")

    def _challenge(self):
        """What else is to be tried in the middle of everything."""

    def _kill_agent(self):
        self.machine.run("kill -9 $(pidof godwit-agent)")
        self.machine.run("n=0; while pidof witness > /dev/null && [ $n -lt 100 ]; do sleep 0.1; n=$((n + 1)); done")
        self._start_agent()

    def _load(self, kind):
        """In place of the load before."""
        words = ["for group in $(cat /run/loads 2> /dev/null); do kill -9 -$group; done; : > /run/loads"]
        for folder in self.folders:
            words.append(f"setsid sh -c 'echo $$ >> /run/loads; exec load {kind} {folder}' "
                         "< /dev/null > /run/load.log 2>&1 &")
        words += ["sleep 1.5", "for group in $(cat /run/loads); do kill -0 -$group || exit 1; done"]
        self.machine.run("\n".join(words))

    def _sync(self, mode, after_kill=False):
        for disk in self.disks:
            disk.begin()
        began, instants = time.monotonic(), self.instants
        name = self.service.order(self.migration, [(disk.name, disk.replica) for disk in self.disks], mode)
        report = self.service.outcome(name, self.machine.is_alive, 180)
        progress = report.get("progress") or {}
        self._note(name, mode, report, progress, after_kill)
        if report.get("state") != "done":
            return
        if self.instants == instants:
            raise RuntimeError(f"{name} was sealed, but nobody saw its instant")
        if after_kill and progress["mode"] == "delta":
            self.adopted += 1
        self._compare(name)
        self.say(f"{name} {progress['mode']} by {progress.get('tracking')}: {time.monotonic() - began:.1f} s, "
                 f"frozen {progress.get('freezeMilliseconds') or 0:.0f} ms, {self.instants - instants} instants")

    def _note(self, name, mode, report, progress, after_kill=False):
        if progress.get("tracking"):
            self.rungs.add(progress["tracking"])
        if progress.get("freezeMilliseconds"):
            self.freezes.append(progress["freezeMilliseconds"])
        if progress.get("mode") == "compare":
            self._has_compared = True
            # The kernel's own tracer ends with the agent.
            if not (after_kill and self.rung == "blktrace"):
                self.voids.append(progress.get("voided") or "?")
        self.levels.update((report.get("receipt") or {}).get("consistency", {}))
        if report.get("state") != "done":
            failure = report.get("failure") or {}
            if failure.get("code") in EXPECTED:
                self.unsealed.append(failure["code"])
            else:
                raise RuntimeError(f"{name} ({mode}) ended as {report.get('state')}: {failure}")

    def _compare(self, name):
        for disk in self.disks:
            disk.compare(name, strict=not self._has_compared)

    def _finish(self):
        """A switch's sync holds the disks frozen until it powers the machine off."""
        for disk in self.disks:
            disk.begin()
        instants = self.instants
        name = self.service.order(self.migration, [(disk.name, disk.replica) for disk in self.disks], "delta", final=True)
        report = self.service.outcome(name, self.machine.is_alive, 180)
        self._note(name, "final", report, report.get("progress") or {})
        self.machine.wait_for_end(60)
        if self.instants == instants:
            raise RuntimeError(f"{name} has ended, but nobody saw the machine power off")
        self._compare(name)
        self.say(f"{name} final: the machine is off")
