"""Disk images: made, kept as they are at an instant, and compared."""

import os
import re
import subprocess

LEAF = 64 << 10
PIECE = 1 << 20
# The least that mkfs.xfs takes, and room for all that btrfs writes anew.
# Those that mkfs knows nothing of get their content in the guest.
SIZES = {"ext4": 160 << 20, "xfs": 304 << 20, "btrfs": 224 << 20, "md": 96 << 20, "lvm": 144 << 20}
MAKERS = {
    "ext4": ["mkfs.ext4", "-q", "-F", "-J", "size=8"],
    "xfs": ["mkfs.xfs", "-q", "-f"],
    "btrfs": ["mkfs.btrfs", "-q", "-f", "-m", "single", "-d", "single"],
}


def make(path, filesystem):
    """An image whose free space reads as zeros."""
    empty(path, SIZES[filesystem])
    if filesystem in MAKERS:
        subprocess.run([*MAKERS[filesystem], path], check=True, stdout=subprocess.DEVNULL)


def empty(path, size):
    with open(path, "wb") as file:
        file.truncate(size)


def _segments(descriptor, size):
    """Where a sparse file holds data."""
    place = 0
    while place < size:
        try:
            start = os.lseek(descriptor, place, os.SEEK_DATA)
        except OSError:
            return
        place = os.lseek(descriptor, start, os.SEEK_HOLE)
        yield start, place


def keep(source, target):
    """A copy of what `source` holds now."""
    one = os.open(source, os.O_RDONLY)
    other = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        size = os.fstat(one).st_size
        os.ftruncate(other, size)
        for start, end in _segments(one, size):
            while start < end:
                start += os.copy_file_range(one, other, end - start, start, start)
    finally:
        os.close(one)
        os.close(other)


def differing(one, other):
    """Numbers of the leaves that differ, and how many held data."""
    first, second = os.open(one, os.O_RDONLY), os.open(other, os.O_RDONLY)
    try:
        size = os.fstat(first).st_size
        if os.fstat(second).st_size != size:
            raise RuntimeError(f"{one} and {other} differ in size")
        pieces = {piece for file in (first, second) for start, end in _segments(file, size)
                  for piece in range(start // PIECE, (end + PIECE - 1) // PIECE)}
        found, held = [], 0
        for piece in sorted(pieces):
            a, b = os.pread(first, PIECE, piece * PIECE), os.pread(second, PIECE, piece * PIECE)
            held += len(a) // LEAF
            if a != b:
                found += [piece * (PIECE // LEAF) + index for index in range((len(a) + LEAF - 1) // LEAF)
                          if a[index * LEAF:(index + 1) * LEAF] != b[index * LEAF:(index + 1) * LEAF]]
        return found, held
    finally:
        os.close(first)
        os.close(second)


def only_note_differs(one, other):
    """Whether the first leaves of two legs of a mirror differ in its superblock alone. md notes there, on its own account and
    also while filesystems are frozen, 0.2 s after the last write, that the mirror is clean: either note belongs to the
    instant, and the tracker sees it for the next point."""
    with open(one, "rb") as first, open(other, "rb") as second:
        a, b = first.read(LEAF), second.read(LEAF)
    return a[:4096] == b[:4096] and a[8192:] == b[8192:]


def free(path, filesystem):
    """Byte ranges that the filesystem of a frozen image says are free. btrfs has no such list: none."""
    if filesystem == "ext4":
        text = subprocess.run(["dumpe2fs", path], check=True, capture_output=True, text=True).stdout
        block = int(re.search(r"^Block size:\s+(\d+)", text, re.M).group(1))
        lists = re.findall(r"^  Free blocks: (.+)$", text, re.M)
        pairs = [part.split("-") for line in lists for part in line.split(", ")]
        return [(int(pair[0]) * block, (int(pair[-1]) + 1) * block) for pair in pairs]
    if filesystem == "xfs":
        text = subprocess.run(["xfs_db", "-r", "-f", "-c", "sb 0", "-c", "p blocksize agblocks", "-c", "freesp -d", path],
                              check=True, capture_output=True, text=True).stdout
        block, group = (int(re.search(rf"^{name} = (\d+)", text, re.M).group(1)) for name in ("blocksize", "agblocks"))
        triples = re.findall(r"^\s+(\d+)\s+(\d+)\s+(\d+)$", text, re.M)
        return [((int(a) * group + int(b)) * block, (int(a) * group + int(b) + int(n)) * block) for a, b, n in triples]
    return []


def used(leaves, ranges):
    """Those leaves of which not all is free."""
    def is_free(leaf):
        start, end = leaf * LEAF, (leaf + 1) * LEAF
        return sum(max(0, min(end, to) - max(start, at)) for at, to in ranges) >= end - start
    return [leaf for leaf in leaves if not is_free(leaf)]


def check(path, filesystem):
    """What the filesystem's own checker has against a frozen image; None if nothing."""
    words = {"ext4": ["e2fsck", "-fn"], "btrfs": ["btrfs", "check", "--readonly", "--force"]}.get(filesystem)
    if words is None:
        return None
    done = subprocess.run([*words, path], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return done.stdout if done.returncode else None
