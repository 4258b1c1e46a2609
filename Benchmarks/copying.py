"""Full copies, deltas and cuts."""

import os
import signal
import subprocess
import time

from laboratory import GIB, MIB, Voided, wire_bytes

# A disk in use: half of it filled, with what compresses, what does not, and zeros that were written.
MIX = {"random": 0.4, "text": 0.4, "zeros": 0.2}


def nbdcopy(disk, volume):
    """Copies the disk as nbdcopy does it best: seconds, CPU seconds of its own and of the storage daemon."""
    daemon, start = volume.daemon.cpu(), time.monotonic()
    copy = subprocess.Popen(["nbdcopy", "--flush", "--destination-is-zero", disk.device, volume.location])
    _, status, usage = os.wait4(copy.pid, 0)
    copy.returncode = os.waitstatus_to_exitcode(status)
    if copy.returncode != 0:
        raise RuntimeError(f"nbdcopy ended with {copy.returncode}")
    return {
        "seconds": time.monotonic() - start, "cpu": usage.ru_utime + usage.ru_stime,
        "daemon_cpu": volume.daemon.cpu() - daemon}


def full(lab, table, runs, size):
    """Full copies against nbdcopy, in turn; then deltas of the last replica."""
    with lab.disk(size, size // 2, MIX) as disk:
        lab.restart_agent()
        for _ in range(runs):
            with lab.volume(size) as volume:
                theirs = nbdcopy(disk, volume)
            with lab.volume(size) as volume:
                ours = lab.sync(disk, volume, "full")
            used = ours["progress"]["usedBytes"] / GIB
            copy = ours["seconds"] - ours["read_back"]
            table.add("full: used bytes", "GiB", used)
            table.add("full: seconds without read-back", "s", copy)
            table.add("full: read-back", "s", ours["read_back"])
            table.add("full: nbdcopy, without TLS", "s", theirs["seconds"])
            table.add("full: time by nbdcopy's", "ratio", copy / theirs["seconds"], aim="<= 1")
            table.add("full: throughput", "MiB/s", used * 1024 / copy)
            table.add("full: CPU of the agent", "s/GiB", ours["agent_cpu"] / used)
            table.add("full: CPU of the gateway, read-back included", "s/GiB", ours["gateway_cpu"] / used)
            table.add("full: CPU of the storage daemon", "s/GiB", ours["daemon_cpu"] / used)
            table.add("full: CPU of nbdcopy and its storage daemon", "s/GiB",
                      (theirs["cpu"] + theirs["daemon_cpu"]) / used)
            table.add("full: bytes on the wire", "GiB", ours["wire"] / GIB)
        table.add("agent: peak memory after full copies", "MiB", lab.agent.peak_memory() / MIB, aim="<= 64")


def _delta(lab, table, disk, volume, share, tries=5):
    """Changes `share` of the disk and syncs: bytes changed, and the sync. Again where the kernel lost events."""
    for _ in range(tries):
        changed = disk.change(share) if share else 0
        try:
            return changed, lab.sync(disk, volume, "delta")
        except Voided as reason:
            print(f"      {reason}; again", flush=True)
            table.add("deltas: voided since the kernel lost events", "epochs", 1)
    raise RuntimeError(f"{tries} deltas were voided one after the other")


def deltas(lab, table, runs, size):
    """Deltas after a share of 8 GiB was changed at random, on a disk of `size`, half of 8 GiB filled."""
    label = f"delta, disk of {size // GIB} GiB"
    seconds = {}
    with lab.disk(size, 4 * GIB, {"random": 0.8, "zeros": 0.2}) as disk, lab.volume(size) as volume:
        lab.restart_agent()
        lab.sync(disk, volume, "full")
        for share, times in ((0, runs), (0.001, runs), (0.01, runs), (0.1, 1)):
            for _ in range(times):
                changed, ours = _delta(lab, table, disk, volume, share * 8 * GIB / size)
                seconds.setdefault(share, []).append(ours["seconds"])
                name = f"{label}, {share * 100:g} % of 8 GiB changed"
                table.add(f"{name}: whole sync", "s", ours["seconds"])
                table.add(f"{name}: of it read-back", "s", ours["read_back"])
                table.add(f"{name}: CPU of agent and gateway", "s", ours["agent_cpu"] + ours["gateway_cpu"])
                if share:
                    table.add(f"{name}: wire by changed bytes", "ratio", ours["wire"] / changed,
                              aim="<= 1.1" if share == 0.01 else None)
        middle = {share: sorted(list)[len(list) // 2] for share, list in seconds.items()}
        table.add(f"{label}: fixed", "s", middle[0])
        table.add(f"{label}: for each changed GiB", "s/GiB", (middle[0.1] - middle[0]) / 0.8)
        table.add(f"{label}: peak memory of the agent", "MiB", lab.agent.peak_memory() / MIB, aim="<= 64")
    return middle


def cut(lab, table, runs, size):
    """Full copies of random bytes, one of them with the gateway killed half way and started again."""
    with lab.disk(size, size // 2, {"random": 1}) as disk:
        lab.restart_agent()
        for _ in range(runs):
            with lab.volume(size) as volume:
                whole = lab.sync(disk, volume, "full")["wire"]
            with lab.volume(size) as volume:
                before = wire_bytes()
                name = lab.begin(disk, volume, "full")
                while wire_bytes() - before < whole // 2:
                    time.sleep(0.01)
                    if (lab.platform.report(name) or {}).get("state") not in (None, "running"):
                        raise RuntimeError("the sync ended before the gateway could be killed")
                port = lab.gateway.port
                lab.gateway.end(signal.SIGKILL)
                killed = wire_bytes() - before
                lab.start_gateway(port)
                lab.platform.finish(name, lambda: lab.agent.is_alive)
                again = wire_bytes() - before - whole
            table.add("cut: killed after", "GiB", killed / GIB)
            table.add("cut: sent again", "MiB", again / MIB)
            table.add("cut: sent again by all that is sent", "%", 100 * again / whole, aim="<= 1")


def vast(lab, table, size=2 << 40):
    """A full copy and a delta of a disk that is far larger than what it holds."""
    with lab.disk(size) as disk, lab.volume(size) as volume:
        disk.format(os.path.join(lab.folder, "mounted"), "mkfs.xfs", "-q", "-f")
        disk.fill(GIB // 4, {"random": 1})
        lab.restart_agent()
        for mode in ("full", "delta", "compare"):
            ours = lab.sync(disk, volume, mode)
            name = f"disk of {size >> 40} TiB, {mode}"
            table.add(f"{name}: whole sync", "s", ours["seconds"])
            table.add(f"{name}: CPU of agent and gateway", "s", ours["agent_cpu"] + ours["gateway_cpu"])
            table.add(f"{name}: bytes on the wire", "MiB", ours["wire"] / MIB)
            table.add(f"{name}: peak memory of the agent so far", "MiB", lab.agent.peak_memory() / MIB, aim="<= 64")
            table.add(f"{name}: peak memory of the gateway so far", "MiB", lab.gateway.peak_memory() / MIB)
