import Foundation
import Replication
import Testing

@testable import Source

@Suite("What the disks are used for")
struct DeviceUseTests {
  /// A copy of the parts of /sys and /proc that say how devices lie on each other.
  private final class Machine {
    let root = "/var/tmp/godwit-test-\(UUID().uuidString.prefix(8))"
    private var mounts = ""
    private var swaps = "Filename Type Size Used Priority\n"

    deinit { try? FileManager.default.removeItem(atPath: root) }

    func write(_ path: String, _ text: String) throws {
      let url = URL(filePath: root + path)
      try FileManager.default.createDirectory(at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
      try Data(text.utf8).write(to: url)
    }

    private func link(_ path: String, to target: String) throws {
      let url = URL(filePath: root + path)
      try FileManager.default.createDirectory(at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
      try FileManager.default.createSymbolicLink(atPath: url.path, withDestinationPath: target)
    }

    /// - Parameters:
    ///   - start: MiB; nil for what is no partition.
    ///   - size: MiB.
    func device(_ name: String, _ number: String, in disk: String? = nil, start: Int? = nil, size: Int) throws {
      let place = "/sys/devices/block/\(disk.map { $0 + "/" } ?? "")\(name)"
      try write(place + "/dev", number + "\n")
      try write(place + "/size", "\(size * 2048)\n")
      if let start {
        try write(place + "/partition", "1\n")
        try write(place + "/start", "\(start * 2048)\n")
      }
      try link("/sys/class/block/\(name)", to: "../../devices/block/\(disk.map { $0 + "/" } ?? "")\(name)")
      try link("/sys/dev/block/\(number)", to: "../../devices/block/\(disk.map { $0 + "/" } ?? "")\(name)")
    }

    func stack(_ upper: String, on lower: String) throws {
      try write("/sys/class/block/\(lower)/holders/\(upper)", "")
      try write("/sys/class/block/\(upper)/slaves/\(lower)", "")
    }

    func mount(_ source: String, _ number: String, _ place: String, _ type: String) throws {
      mounts += "\(30 + mounts.count) 1 \(number) / \(place) rw - \(type) \(source) rw\n"
      try write("/proc/self/mountinfo", mounts)
    }

    func swap(on path: String) throws {
      swaps += "\(path) partition 100 0 -2\n"
      try write("/proc/swaps", swaps)
    }
  }

  /// sda: an ESP and an LVM group with root, swap and a volume without filesystem; sdb: swap; sdc: half of a btrfs.
  private func server() throws -> Machine {
    let machine = Machine()
    try machine.device("sda", "8:0", size: 1000)
    try machine.device("sda1", "8:1", in: "sda", start: 1, size: 99)
    try machine.device("sda2", "8:2", in: "sda", start: 100, size: 900)
    try machine.device("sdb", "8:16", size: 100)
    try machine.device("sdb1", "8:17", in: "sdb", start: 1, size: 99)
    try machine.device("sdc", "8:32", size: 100)
    try machine.device("sdd", "8:48", size: 100)
    for (index, name) in ["root", "swap", "data", "pool"].enumerated() {
      try machine.device("dm-\(index)", "254:\(index)", size: 100)
      try machine.write("/sys/class/block/dm-\(index)/dm/name", "vg-\(name)\n")
      try machine.stack("dm-\(index)", on: name == "pool" ? "sdc" : "sda2")
    }
    try machine.mount("/dev/mapper/vg-root", "254:0", "/", "ext4")
    try machine.mount("/dev/sda1", "8:1", "/boot/efi", "vfat")
    try machine.mount("/dev/mapper/vg-pool", "0:40", "/pool", "btrfs")
    for device in ["dm-3", "sdd"] { try machine.write("/sys/fs/btrfs/1234/devices/\(device)/dev", "") }
    try machine.swap(on: "/dev/mapper/vg-swap")
    try machine.swap(on: "/dev/sdb1")
    return machine
  }

  private let mebibyte: UInt64 = 1 << 20

  private func written(_ disk: UInt16, _ start: UInt64, _ end: UInt64) -> Extent {
    Extent(disk: disk, range: start * mebibyte..<end * mebibyte)
  }

  @Test("Partitions, LVM, swap, vfat and a btrfs on mappings are told apart, each with its level")
  func levels() throws {
    let machine = try server()
    let use = DeviceUse(disks: ["sda", "sdb", "sdc", "sdd"], root: machine.root)
    #expect(use.incomplete.isEmpty)
    let still = Stillness(use, frozen: ["dm-0", "dm-3"], level: .filesystem) { _ in nil }
    #expect(
      still.levels == [
        "dm-0": "filesystem", "dm-1": "crash: swap", "dm-2": "crash: nothing is mounted from it", "dm-3": "filesystem",
        "sda1": "crash: vfat cannot be frozen", "sdb1": "crash: swap", "sdd": "filesystem"
      ])
    #expect(still.loose == ["dm-2", "sda1"])
    #expect(use.title("dm-2") == "dm-2 (vg-data)")
  }

  @Test("A write tears the instant unless it is in a swap area or where everything is frozen")
  func tearing() throws {
    let machine = try server()
    let use = DeviceUse(disks: ["sda", "sdb", "sdc", "sdd"], root: machine.root)
    let still = Stillness(use, frozen: ["dm-0", "dm-3"], level: .filesystem) { _ in nil }
    let esp = written(0, 5, 6), group = written(0, 200, 201), swap = written(1, 1, 99), pool = written(2, 0, 4)
    let gap = Extent(disk: 1, range: 4096..<8192)
    #expect(still.tearing([swap, pool, written(3, 7, 8)]).isEmpty)
    #expect(still.tearing([esp, swap, group, gap]) == [esp, group, gap])
    #expect(still.culprits([esp]) { _ in nil } == "sda1")
    #expect(still.culprits([group]) { _ in nil } == "dm-2 (vg-data)")
    #expect(still.culprits([gap]) { _ in nil } == "sdb outside of its partitions")
    // The pool was not frozen: a write to either of its devices tears.
    let other = Stillness(use, frozen: ["dm-0"], level: .filesystem) { $0 == "dm-3" ? 7 : 5 }
    #expect(other.tearing([pool, swap]) == [pool])
    #expect(other.culprits([pool]) { $0 == "dm-3" ? 8 : 5 } == "dm-3 (vg-pool)")
  }

  @Test("Without its loose volume the whole group is still")
  func wholeGroup() throws {
    let machine = try server()
    try machine.mount("/dev/mapper/vg-data", "254:2", "/data", "xfs")
    let use = DeviceUse(disks: ["sda"], root: machine.root)
    let still = Stillness(use, frozen: ["dm-0", "dm-2"], level: .application) { _ in nil }
    #expect(still.levels["dm-2"] == "application")
    #expect(still.tearing([written(0, 100, 1000)]).isEmpty)
  }

  @Test("An array's own notes tear nothing, its data does")
  func arrays() throws {
    let machine = Machine()
    try machine.device("sda", "8:0", size: 100)
    try machine.device("sda1", "8:1", in: "sda", start: 1, size: 99)
    try machine.device("md0", "9:0", size: 98)
    try machine.stack("md0", on: "sda1")
    try machine.write("/sys/class/block/md0/md/dev-sda1/offset", "2048\n")
    try machine.write("/sys/class/block/md0/md/dev-sda1/size", "\(98 * 1024)\n")
    let still = Stillness(DeviceUse(disks: ["sda"], root: machine.root), frozen: [], level: .filesystem) { _ in nil }
    #expect(still.levels == ["md0": "crash: nothing is mounted from it"])
    #expect(still.tearing([written(0, 1, 2)]).isEmpty)
    #expect(still.tearing([written(0, 2, 3)]).count == 1)
  }

  @Test("A filesystem that also lies on a disk outside the set is named")
  func incomplete() throws {
    let machine = try server()
    let use = DeviceUse(disks: ["sda", "sdc"], root: machine.root)
    #expect(use.incomplete.map(\.filesystem.mountPoint) == ["/pool"])
    #expect(use.incomplete.map(\.missing) == [["sdd"]])
  }

  @Test("What was written after an instant's take is not settled with it")
  func settles() {
    let taken = [written(0, 0, 10), written(1, 0, 2)]
    #expect(taken.without([]) == taken)
    #expect(
      taken.without([written(0, 3, 4), written(0, 8, 20), written(1, 0, 2)]) == [written(0, 0, 3), written(0, 4, 8)])
  }
}
