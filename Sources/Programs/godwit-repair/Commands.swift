import ArgumentParser
import FoundationEssentials
import Machines
import Repair

/// What `plan` and `apply` share: which guest, and what is known of the machine it came from.
struct GuestOptions: ParsableArguments {
  @Option(help: "Folder the guest's root is mounted at; its boot filesystems are mounted below.")
  var root: String

  @Option(help: "A disk of the guest, device or raw file, in the source's order; repeat. Default: all of this machine.")
  var disk: [String] = []

  @Option(help: "UUID of the root filesystem. Default: that of the device mounted at --root.")
  var rootUuid: String?

  @Option(help: "Kernel names of the disks on the source, in order: sda,nvme0n1.")
  var sourceDisks = ""

  @Option(help: "Firmware of the target, bios or uefi. Default: as the guest looks.")
  var firmware: String?

  @Flag(help: "Print the report as one line of JSON.")
  var reportJson = false

  func plan() throws -> RepairPlan {
    let inventory =
      try disk.isEmpty
      ? AttachedDisks().inventory()
      : BlockInventory(
        disks: disk.map { try DiskProbe($0).disk(named: $0.split(separator: "/").last.map(String.init) ?? $0) })
    var firmware: MachineDescription.Firmware?
    if let name = self.firmware {
      firmware = MachineDescription.Firmware(rawValue: name)
      if firmware == nil { throw ValidationError("--firmware is bios or uefi, not \(name)") }
    }
    let planner = RepairPlanner(
      files: GuestFiles(root: root), inventory: inventory, root: try rootContent(inventory), firmware: firmware,
      sourceDisks: sourceDisks.split(separator: ",").map(String.init))
    return planner.plan()
  }

  private func rootContent(_ inventory: BlockInventory) throws -> BlockInventory.Content? {
    if let rootUuid {
      return inventory.contents.first { $0.content.uuid == rootUuid }?.content ?? .init(type: "ext4", uuid: rootUuid)
    }
    guard let device = MountTable().device(mountedAt: root) else { return nil }
    return try DiskProbe(device).content()
  }
}

struct Plan: ParsableCommand {
  static let configuration = CommandConfiguration(abstract: "Says what a repair would do; changes nothing.")
  @OptionGroup var guest: GuestOptions

  func run() throws { try guest.plan().report.show(asJSON: guest.reportJson) }
}

struct Apply: ParsableCommand {
  static let configuration = CommandConfiguration(abstract: "Repairs the guest mounted for writing.")
  @OptionGroup var guest: GuestOptions

  func run() throws {
    let report = try RepairEditor(files: GuestFiles(root: guest.root)).apply(guest.plan())
    try report.show(asJSON: guest.reportJson)
    if !report.applied { throw ExitCode(2) }
  }
}

extension RepairReport {
  func show(asJSON: Bool) throws {
    if asJSON {
      print(try json())
      return
    }
    print("verdict: \(verdict.rawValue)  firmware: \(firmware.rawValue)  applied: \(applied)")
    for (name, value) in findings.sorted(by: { $0.key < $1.key }) { print("found: \(name): \(value)") }
    for problem in problems { print("problem: \(problem.code): \(problem.message) \(problem.remedy)") }
    for edit in edits { print("\(edit.action.rawValue): \(edit.path): \(edit.reason) Undo: \(edit.undo)") }
  }

  /// One line.
  func json() throws -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    return String(decoding: try encoder.encode(self), as: UTF8.self)
  }
}
