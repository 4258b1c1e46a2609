import Testing

@testable import Source

@Suite("The mount table and used ranges")
struct MountTableTests {
  @Test("Each device appears once, at the mount of its own root, in the order of mounting")
  func mounts() {
    let text = """
      22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
      23 22 0:21 / /proc rw - proc proc rw
      30 22 8:2 /sub /bind rw - xfs /dev/sda2 rw
      31 22 8:2 / /with\\040space rw shared:7 master:2 - xfs /dev/sda2 rw
      32 22 8:1 / /again rw - ext4 /dev/sda1 rw
      33 22 0:40 /@ /data rw - btrfs /dev/sdb rw
      34 22 0:41 / /mapped rw - btrfs /dev/mapper/vg-b rw
      """
    let names = ["8:1": "sda1", "8:2": "sda2"]
    let paths = ["/dev/sdb": "sdb", "/dev/mapper/vg-b": "dm-4"]
    let table = MountTable(
      mountInfo: text, deviceName: { names[$0] }, deviceAtPath: { paths[$0] })
    #expect(
      table.filesystems == [
        MountedFilesystem(mountPoint: "/", type: "ext4", device: "sda1", mountID: 22),
        MountedFilesystem(mountPoint: "/with space", type: "xfs", device: "sda2", mountID: 31),
        MountedFilesystem(mountPoint: "/data", type: "btrfs", device: "sdb", mountID: 33),
        MountedFilesystem(mountPoint: "/mapped", type: "btrfs", device: "dm-4", mountID: 34)
      ])
  }

  @Test("A leaf is left out only if all of it is free")
  func leaves() {
    let leaf: UInt64 = 65536
    func used(_ free: [Range<UInt64>]) -> [Range<UInt64>] { UsedExtents.used(size: 10 * leaf + 512, free: free) }
    #expect(used([]) == [0..<10 * leaf + 512])
    #expect(used([1..<2 * leaf]) == [0..<leaf, 2 * leaf..<10 * leaf + 512])
    #expect(used([leaf..<2 * leaf - 1]) == [0..<10 * leaf + 512])
    // Two that meet inside a leaf free it together.
    #expect(used([4 * leaf..<4 * leaf + 100, 4 * leaf + 100..<6 * leaf]) == [0..<4 * leaf, 6 * leaf..<10 * leaf + 512])
    // The last leaf is a short one.
    #expect(used([9 * leaf..<10 * leaf + 512]) == [0..<9 * leaf])
    #expect(used([0..<10 * leaf + 512]) == [])
  }
}
