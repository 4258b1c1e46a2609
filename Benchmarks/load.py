"""What a sync does to a machine at work: the freeze, and the tracker's cost for writes."""

import contextlib
import json
import os
import subprocess

from laboratory import GIB, MIB, Voided, run


@contextlib.contextmanager
def writers(folder, size):
    """An application: buffered writes with an fsync now and then, 2,000 a second, for as long as this lasts."""
    fio = subprocess.Popen(
        ["fio", "--name=load", f"--directory={folder}", f"--size={size}", "--rw=randrw", "--rwmixwrite=70", "--bs=4k",
         "--ioengine=psync", "--fsync=64", "--rate_iops=1000", "--numjobs=2", "--time_based", "--runtime=3600"],
        stdout=subprocess.DEVNULL)
    try:
        yield fio
    finally:
        fio.terminate()
        fio.wait()


def freezes(lab, table, points, size=2 * GIB):
    with lab.disk(size, size // 4, {"random": 1}) as disk, lab.volume(size) as volume:
        lab.restart_agent()
        lab.sync(disk, volume, "full")
        with writers(disk.mount_point, size // 8) as fio:
            times = []
            for _ in range(5 * points):
                if len(times) == points:
                    break
                try:
                    times.append(lab.sync(disk, volume, "delta")["progress"]["freezeMilliseconds"])
                except Voided as reason:
                    print(f"      {reason}; again", flush=True)
                    table.add("freeze: deltas voided since the kernel lost events", "epochs", 1)
                if fio.poll() is not None:
                    raise RuntimeError("fio ended before the points were made")
    if len(times) < points:
        raise RuntimeError(f"only {len(times)} of {points} points were deltas")
    times.sort()
    name = f"freeze over {points} points under fio"
    table.add(f"{name}: p50", "ms", times[len(times) // 2])
    if points >= 100:
        table.add(f"{name}: p99", "ms", times[len(times) * 99 // 100])
    table.add(f"{name}: max", "ms", times[-1])


def tracking(lab, table, pairs, size=1 * GIB):
    """4 KiB random writes on a raw loop disk, with and without an agent that tracks it, in turn."""
    with lab.disk(size) as disk, lab.volume(size) as volume:
        with open(disk.device, "r+b", buffering=0) as file:
            for _ in range(size // (4 * MIB)):
                file.write(os.urandom(4 * MIB))
        measure = {False: lambda: _writes(disk), True: lambda: _tracked_writes(lab, disk, volume)}
        for pair in range(pairs):
            lab.agent.end()
            order = (False, True) if pair % 2 == 0 else (True, False)
            rates = {tracked: measure[tracked]() for tracked in order}
            table.add("4 KiB random writes without tracker", "1/s", rates[False])
            table.add("4 KiB random writes with tracker", "1/s", rates[True])
            table.add("tracker: loss of rate, by pairs", "%", 100 * (1 - rates[True] / rates[False]), aim="<= 3")
        lab.restart_agent()


def _tracked_writes(lab, disk, volume):
    lab.start_agent()
    lab.sync(disk, volume, "compare")
    try:
        return _writes(disk)
    finally:
        lab.agent.end()


def _writes(disk, seconds=6):
    output = run(
        "fio", "--name=writes", f"--filename={disk.device}", "--direct=1", "--rw=randwrite", "--bs=4k",
        "--ioengine=libaio", "--iodepth=16", "--time_based", f"--runtime={seconds}", "--ramp_time=1", "--output-format=json")
    return json.loads(output[output.index("{"):])["jobs"][0]["write"]["iops"]
