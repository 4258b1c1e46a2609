import Foundation
import Machines
import Testing

@testable import Repair

@Suite struct RepairEditorTests {
  private func withAgent() throws -> FixtureGuest {
    let guest = try FixtureGuest.debian()
    try guest.write("/var/lib/godwit-agent/key", "secret")
    return guest
  }

  @Test func `A second repair finds nothing to do`() throws {
    let guest = try withAgent()
    let report = try RepairEditor(files: guest.files).apply(guest.planner().plan())
    #expect(report.applied && !report.edits.isEmpty)
    let after = try guest.tree()
    let again = try RepairEditor(files: guest.files).apply(guest.planner().plan())
    #expect(again.edits.isEmpty && again.verdict == .ready)
    #expect(try guest.tree() == after)
  }

  @Test func `A repair killed after any edit is completed by the next, and reports them all`() throws {
    let whole = try withAgent()
    let expected = try RepairEditor(files: whole.files).apply(whole.planner().plan())
    let goal = try whole.tree().filter { $0.key != "var/lib/godwit-repair/report.json" }
    #expect(expected.edits.count > 5)
    for count in 0...expected.edits.count {
      let guest = try withAgent()
      var plan = guest.planner().plan()
      // Dies at change `count`: the journal is written, the rest is not.
      plan.changes = Array(plan.changes.prefix(count))
      plan.changes.append(
        RepairChange(path: "/etc/fstab/impossible", content: .bytes([], mode: 0o644), reason: "power loss"))
      #expect(throws: GuestFiles.Failure.self) { try RepairEditor(files: guest.files).apply(plan) }
      if guest.text("/etc/default/grub")?.contains("#GRUB") == false {
        try guest.write("/etc/default/grub.godwit-new", "torn")
      }

      let report = try RepairEditor(files: guest.files).apply(guest.planner().plan())
      #expect(report.applied)
      #expect(Set(report.edits.map(\.path)) == Set(expected.edits.map(\.path)), "killed after \(count)")
      #expect(
        try guest.tree().filter { $0.key != "var/lib/godwit-repair/report.json" } == goal, "killed after \(count)")
    }
  }

  @Test func `Every original that the report names can be put back`() throws {
    let guest = try FixtureGuest.debian()
    let before = try guest.tree()
    let report = try RepairEditor(files: guest.files).apply(guest.planner().plan())
    for edit in report.edits {
      let path = "/" + edit.path.drop { $0 == "/" }
      guard edit.undo.hasPrefix("Put ") else { continue }
      let original = String(edit.undo.dropFirst(4).dropLast(6))
      let kept = try Data(contentsOf: guest.root.appendingPathComponent(original)).base64EncodedString()
      #expect(kept == before[String(path.dropFirst())], "\(edit.path)")
    }
    #expect(report.edits.filter { $0.undo.hasPrefix("Put ") }.count >= 6)
  }

  @Test func `A graft is a cpio archive behind the padded initrd with the drivers, what they need, and the index`()
    throws
  {
    let guest = try FixtureGuest.debian()
    let report = try RepairEditor(files: guest.files).apply(guest.planner().plan())
    let path = "/boot/initrd.img-\(FixtureGuest.release)"
    let bytes = try guest.files.read(path)
    #expect(report.edits.first { $0.path == path }?.sizeAfter == UInt64(bytes.count))
    #expect(bytes.prefix(FixtureGuest.initrd.count).elementsEqual(FixtureGuest.initrd))
    let folder = guest.root.appendingPathComponent("unpacked")
    // As in an initramfs with a merged /usr: `lib` is a link, and must stay one.
    try FileManager.default.createDirectory(
      at: folder.appendingPathComponent("usr/lib"), withIntermediateDirectories: true)
    try FileManager.default.createSymbolicLink(
      atPath: folder.appendingPathComponent("lib").path, withDestinationPath: "usr/lib")
    try unpack(Array(bytes[512...]), into: folder)
    let modules = folder.appendingPathComponent("usr/lib/modules/\(FixtureGuest.release)")
    let found = try FileManager.default.subpathsOfDirectory(atPath: modules.path).filter { $0.contains(".ko") }
    #expect(
      Set(found.map { $0.split(separator: "/").last! }) == [
        "virtio.ko", "virtio_ring.ko", "virtio_pci.ko", "virtio_blk.ko", "virtio_net.ko", "ext4.ko", "jbd2.ko"
      ])
    #expect(
      try String(contentsOf: modules.appendingPathComponent("modules.dep"), encoding: .utf8) == FixtureGuest.modules)
    #expect(
      try String(contentsOf: modules.appendingPathComponent("kernel/fs/jbd2/jbd2.ko"), encoding: .utf8)
        == "module kernel/fs/jbd2/jbd2.ko")
  }

  private func unpack(_ archive: [UInt8], into folder: URL) throws {
    let file = folder.appendingPathComponent("archive")
    try Data(archive).write(to: file)
    let cpio = Process()
    cpio.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    cpio.arguments = ["cpio", "-i", "-d", "--quiet", "-F", file.path]
    cpio.currentDirectoryURL = folder
    try cpio.run()
    cpio.waitUntilExit()
    #expect(cpio.terminationStatus == 0)
  }

  @Test func `A refused plan changes nothing`() throws {
    let guest = try FixtureGuest.debian()
    try guest.remove("/etc/initramfs-tools")
    let before = try guest.tree()
    let report = try RepairEditor(files: guest.files).apply(guest.planner().plan())
    #expect(!report.applied)
    #expect(try guest.tree() == before)
  }

  @Test func `Links of a hostile guest never lead outside of it`() throws {
    let guest = try FixtureGuest.debian()
    let outside = FileManager.default.temporaryDirectory.appendingPathComponent("godwit-outside-\(UUID().uuidString)")
    try Data("untouched".utf8).write(to: outside)
    defer { try? FileManager.default.removeItem(at: outside) }
    try guest.remove("/etc/default/grub")
    try guest.link("/etc/default/grub", to: outside.path)
    try guest.link("/etc/dots", to: "../../../../../../../../\(outside.path)")
    #expect(guest.text("/etc/default/grub") == nil)
    #expect(guest.text("/etc/dots") == nil)
    #expect(guest.files.hostPath("/../../etc/passwd") == guest.root.path + "/etc/passwd")
    try guest.remove("/etc/network/interfaces")
    try guest.write("/run/real", "iface ens2 inet static\n")
    try guest.link("/etc/network/interfaces", to: "/run/real")
    _ = try RepairEditor(files: guest.files).apply(guest.planner().plan())
    #expect(try String(contentsOf: outside, encoding: .utf8) == "untouched")
    #expect(guest.text("/run/real")?.contains("dhcp") == true)
  }
}
