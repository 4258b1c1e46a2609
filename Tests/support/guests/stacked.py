"""A boot whose disks carry other devices: an md mirror over virtio and NVMe, and LVM with ext4 and vfat on SCSI."""

from round import Round

SET_UP = """set -e
modprobe -a raid1 dm_mod ext4 vfat
export MDADM_NO_UDEV=1
mdadm --create /dev/md0 --run --quiet --level=1 --raid-devices=2 --metadata=1.2 --assume-clean --bitmap=none \
  --homehost=any /dev/vda /dev/nvme0n1
/usr/bin/mke2fs -q -t ext4 /dev/md0
lvm pvcreate -qq /dev/sda
lvm vgcreate -qq stock /dev/sda
lvm lvcreate -qq -Wn -Zn -n data -L 80M stock
lvm lvcreate -qq -Wn -Zn -n fat -L 32M stock
/usr/bin/mke2fs -q -t ext4 /dev/mapper/stock-data
/usr/bin/mkfs.vfat /dev/mapper/stock-fat > /dev/null
mkdir -p /mnt/md /mnt/data /mnt/fat
mount -t ext4 /dev/md0 /mnt/md
mount -t ext4 /dev/mapper/stock-data /mnt/data
mount -t vfat /dev/mapper/stock-fat /mnt/fat
cp /usr/bin/load /mnt/fat/idle"""


class Stacked(Round):
    FILESYSTEMS = {"virtio": "md", "nvme": "md", "scsi": "lvm"}

    def __init__(self, *words):
        super().__init__(*words)
        self.folders = ["/mnt/md", "/mnt/data"]

    def _mount(self):
        # A shell of its own: it ends at the first failure.
        self.machine.run(f"sh -c '{SET_UP}'")

    def _challenge(self):
        """What vfat holds is not frozen: written all the time, it leaves no instant, and is named."""
        self.machine.run("setsid sh -c 'echo $$ >> /run/loads; while :; do date > /mnt/fat/busy; sync /mnt/fat/busy; done' "
                         "< /dev/null > /dev/null 2>&1 & sleep 1")
        name = self.service.order(self.migration, [(disk.name, disk.replica) for disk in self.disks], "delta")
        report = self.service.outcome(name, self.machine.is_alive, 180)
        failure = report.get("failure") or {}
        self.say(f"{name} with a busy vfat: {report.get('state')} {failure}")
        if failure.get("code") != "not_quiet" or "stock-fat" not in failure.get("message", ""):
            self.faults.append(f"a vfat that is written all the time ended as {report}")
        self._load("files")

    def _finish(self):
        super()._finish()
        wanted = {"md0": "filesystem", "dm-0": "filesystem", "dm-1": "crash"}
        for device, level in wanted.items():
            if not self.levels.get(device, "nothing").startswith(level):
                self.faults.append(f"{device} is to be {level} consistent; said of all: {self.levels}")
