import Foundation
import Machines

@testable import Repair

/// A guest's tree in a temporary folder, which goes with the value that made it.
final class FixtureGuest {
  let root = FileManager.default.temporaryDirectory.appendingPathComponent("godwit-guest-\(UUID().uuidString)")
  static let rootUUID = "11111111-2222-3333-4444-555555555555"
  static let swapUUID = "66666666-7777-8888-9999-aaaaaaaaaaaa"
  static let release = "6.1.0-9-amd64"
  static let initrd = Array("an initrd of old".utf8)

  var files: GuestFiles { GuestFiles(root: root.path) }

  init() throws { try FileManager.default.createDirectory(at: root, withIntermediateDirectories: true) }

  deinit { try? FileManager.default.removeItem(at: root) }

  /// A Debian with everything that ties it to its old hardware.
  static func debian() throws -> FixtureGuest {
    let guest = try FixtureGuest()
    try guest.write("/etc/os-release", "ID=debian\nPRETTY_NAME=\"Debian GNU/Linux 12\"\n")
    try guest.write("/etc/fstab", "# disks\n/dev/sda1\t/ ext4 errors=remount-ro 0 1\n/dev/sda2 none swap sw 0 0\n")
    try guest.write("/etc/initramfs-tools/modules", "ata_piix\n")
    try guest.write("/boot/grub/grub.cfg", "linux /boot/vmlinuz root=/dev/sda1 ro resume=/dev/sda2\n")
    try guest.write("/boot/grub/device.map", "(hd0) /dev/sda\n")
    try guest.write("/etc/default/grub", "GRUB_TIMEOUT=1\nGRUB_DISABLE_LINUX_UUID=true\n")
    try guest.write("/etc/network/interfaces", "auto ens2\niface ens2 inet static\n  address 192.0.2.9/24\n")
    try guest.write("/etc/udev/rules.d/70-persistent-net.rules", "NAME=\"ens2\"\n")
    try guest.addKernel()
    return guest
  }

  /// A kernel with virtio modules as files, its image and its initrd.
  func addKernel(
    _ release: String = FixtureGuest.release, initrd: String = "initrd.img-\(FixtureGuest.release)",
    modules: String = FixtureGuest.modules, builtin: String = ""
  ) throws {
    let folder = "/lib/modules/\(release)"
    try write("\(folder)/modules.dep", modules)
    try write("\(folder)/modules.builtin", builtin)
    try write("\(folder)/modules.alias", "alias virtio:d00000002v* virtio_blk\n")
    for line in modules.split(separator: "\n") {
      let path = line.prefix { $0 != ":" }
      try write("\(folder)/\(path)", "module \(path)")
    }
    try write("/boot/vmlinuz-\(release)", "kernel")
    try write("/boot/\(initrd)", String(decoding: Self.initrd, as: UTF8.self))
  }

  static let modules = """
    kernel/drivers/virtio/virtio.ko:
    kernel/drivers/virtio/virtio_ring.ko: kernel/drivers/virtio/virtio.ko
    kernel/drivers/virtio/virtio_pci.ko: kernel/drivers/virtio/virtio_ring.ko kernel/drivers/virtio/virtio.ko
    kernel/drivers/block/virtio_blk.ko: kernel/drivers/virtio/virtio_ring.ko kernel/drivers/virtio/virtio.ko
    kernel/drivers/net/virtio_net.ko: kernel/drivers/virtio/virtio.ko
    kernel/fs/ext4/ext4.ko: kernel/fs/jbd2/jbd2.ko
    kernel/fs/jbd2/jbd2.ko:
    kernel/sound/soundcore.ko:

    """

  func write(_ path: String, _ text: String) throws {
    let file = root.appendingPathComponent(path)
    try FileManager.default.createDirectory(at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
    try Data(text.utf8).write(to: file)
  }

  func remove(_ path: String) throws { try FileManager.default.removeItem(at: root.appendingPathComponent(path)) }

  func link(_ path: String, to target: String) throws {
    let file = root.appendingPathComponent(path)
    try FileManager.default.createDirectory(at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
    try FileManager.default.createSymbolicLink(atPath: file.path, withDestinationPath: target)
  }

  func text(_ path: String) -> String? { files.text(path) }

  /// Every path with its content, links and folders by their kind.
  func tree() throws -> [String: String] {
    var tree: [String: String] = [:]
    for path in try FileManager.default.subpathsOfDirectory(atPath: root.path) {
      let attributes = try FileManager.default.attributesOfItem(atPath: root.path + "/" + path)
      switch attributes[.type] as? FileAttributeType {
      case .typeRegular?: tree[path] = try Data(contentsOf: root.appendingPathComponent(path)).base64EncodedString()
      default: tree[path] = "\(attributes[.type] ?? "")"
      }
    }
    return tree
  }

  static func inventory(table: String = "dos", hasBootCode: Bool? = true) -> BlockInventory {
    let content = [
      BlockInventory.Content(type: "ext4", uuid: rootUUID), BlockInventory.Content(type: "swap", uuid: swapUUID)
    ]
    let partitions = content.enumerated().map { index, content in
      BlockInventory.Partition(
        number: index + 1, start: UInt64(index + 1) << 20, size: 1 << 20, type: "83", content: content)
    }
    return BlockInventory(disks: [
      .init(name: "vda", table: table, partitions: partitions, content: nil, hasBootCode: hasBootCode)
    ])
  }

  func planner(
    _ inventory: BlockInventory = FixtureGuest.inventory(), firmware: MachineDescription.Firmware? = .bios,
    sourceDisks: [String] = ["sda"]
  ) -> RepairPlanner {
    RepairPlanner(
      files: files, inventory: inventory, root: .init(type: "ext4", uuid: Self.rootUUID), firmware: firmware,
      sourceDisks: sourceDisks)
  }
}
