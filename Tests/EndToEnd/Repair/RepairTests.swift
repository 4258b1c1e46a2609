import Foundation
import Machines
import Testing

/// Real machines with their own loaders, booted on the old hardware and on the new.
@Suite(.serialized, .timeLimit(.minutes(10))) struct RepairTests {
  private static let up = "GODWIT-GUEST-READY"
  private static let lost = "ALERT!  /dev/sda"
  private let laboratory: Laboratory

  init() throws { laboratory = try Laboratory() }

  @Test func `A BIOS machine boots on virtio after the repair, not before, and keeps its data`() throws {
    let guest = try laboratory.script("guests/build-tiny")
    let disk = try laboratory.overlay(of: guest + "/disk.raw")
    let port = try Laboratory.freePort()
    let log = laboratory.folder.appendingPathComponent("acknowledged").path

    let source = try EmulatedMachine(disks: [disk], bus: .ide, port: port)
    try source.wait(for: [Self.up], seconds: 120)
    try append(5, port, log)
    source.stop()

    let unrepaired = try EmulatedMachine(disks: [disk], bus: .virtio, port: port)
    #expect(try unrepaired.wait(for: [Self.up, Self.lost], seconds: 120) == Self.lost)
    unrepaired.stop()

    try repairs(disk, as: .bios)

    let target = try EmulatedMachine(disks: [disk], bus: .virtio, port: port)
    try target.wait(for: ["\(Self.up) ip=10.0.2.15 root=/dev/vda1"], seconds: 180)
    _ = try laboratory.script("guests/append-client", ["verify", "--address", "127.0.0.1:\(port)", "--log", log])
    try append(5, port, log)
  }

  @Test func `A UEFI machine boots on virtio with empty variables after the repair, not before`() throws {
    let guest = try laboratory.script("guests/build-tiny", ["--firmware", "uefi"])
    let disk = try laboratory.overlay(of: guest + "/disk.raw")

    let unrepaired = try EmulatedMachine(disks: [disk], bus: .virtio, try emptyVariables())
    // Without a loader it knows, the firmware ends in its shell or its menu.
    let found = try unrepaired.wait(for: [Self.up, "Booting `tiny'", "UEFI Interactive Shell"], seconds: 120)
    #expect(found == "UEFI Interactive Shell")
    unrepaired.stop()

    try repairs(disk, as: .uefi)

    let target = try EmulatedMachine(
      disks: [disk], bus: .virtio, port: try Laboratory.freePort(), try emptyVariables())
    try target.wait(for: ["\(Self.up) ip=10.0.2.15 root=/dev/vda2"], seconds: 180)
  }

  @Test func `What is no Linux machine, or an unknown one, is refused and left alone`() throws {
    let empty = try laboratory.repair([laboratory.disk(holding: ["readme": "no machine"])]).report
    #expect(empty.problems.map(\.code) == ["no_root_filesystem"])

    let unknown = try laboratory.repair([
      laboratory.disk(holding: ["etc/os-release": "ID=plan10\n", "etc/fstab": "/dev/sda1 / ext4 defaults 0 1\n"])
    ]).report
    #expect(unknown.problems.map(\.code) == ["unknown_distribution"])
    for report in [empty, unknown] {
      #expect(report.verdict == .refused)
      #expect(report.edits.isEmpty && !report.applied)
    }
  }

  /// Repairs `disk`, checks the report, and that a second repair finds nothing to do.
  private func repairs(_ disk: String, as firmware: MachineDescription.Firmware) throws {
    let words = "godwit.firmware=\(firmware.rawValue) godwit.disks=sda"
    let first = try laboratory.repair([disk], words: words)
    #expect(first.report.verdict == .ready)
    #expect(first.report.applied && first.report.problems.isEmpty)
    let paths = Set(first.report.edits.map(\.path))
    #expect(paths.isSuperset(of: ["/etc/fstab", "/boot/grub/grub.cfg"]))
    #expect(first.report.edits.contains { $0.action == .append && $0.path.hasPrefix("/boot/initrd.img-") })
    #expect(paths.contains("/boot/efi/EFI/BOOT/BOOTX64.EFI") == (firmware == .uefi))
    print("repair of a tiny \(firmware.rawValue) machine: \(first.seconds) s")
    #expect(first.seconds < 60)

    let second = try laboratory.repair([disk], words: words)
    #expect(second.report.edits.isEmpty && second.report.verdict == .ready)
  }

  private func append(_ count: Int, _ port: UInt16, _ log: String) throws {
    let arguments = ["send", "--address", "127.0.0.1:\(port)", "--log", log, "--count", "\(count)"]
    let answer = try laboratory.script("guests/append-client", arguments)
    #expect(answer.contains("\"sent\": \(count),"))
  }

  private func emptyVariables() throws -> [String] {
    let variables = laboratory.folder.appendingPathComponent(UUID().uuidString + ".fd")
    try FileManager.default.copyItem(at: URL(fileURLWithPath: "/usr/share/OVMF/OVMF_VARS_4M.fd"), to: variables)
    return [
      "-drive", "if=pflash,format=raw,unit=0,readonly=on,file=/usr/share/OVMF/OVMF_CODE_4M.fd",
      "-drive", "if=pflash,format=raw,unit=1,file=\(variables.path)"
    ]
  }
}
