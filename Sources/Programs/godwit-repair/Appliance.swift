import ArgumentParser
import CLinuxRepair
import Glibc
import Machines
import Repair

/// The main of the repair appliance: a disposable machine with the clone's disks, a serial console and nothing else.
///
/// Words of the kernel command line: `godwit.mode=plan|apply`, `godwit.firmware=bios|uefi`, `godwit.disks=sda,sdb` (kernel
/// names on the source, in the order the disks are attached).
struct Appliance: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Repairs the attached disks, prints the report on the console, powers off.")

  private static let folder = "/guest"

  /// Stands in the appliance's initramfs alone.
  private static let mark = "/etc/godwit-appliance"

  func validate() throws {
    guard getpid() == 1 || getppid() == 1, GuestFiles(root: "/").exists(Self.mark) else {
      throw ValidationError("This powers the machine off: it runs as the first program of the repair appliance only.")
    }
  }

  func run() throws {
    let report = outcome()
    sync()
    let json = (try? report.json()) ?? "{}"
    print("GODWIT-REPAIR-REPORT \(json)\nGODWIT-REPAIR-END")
    fflush(nil)
    // The console must have sent what was written before the power goes.
    tcdrain(STDOUT_FILENO)
    reboot(Int32(bitPattern: UInt32(RB_POWER_OFF)))
  }

  /// Never throws: whatever goes wrong is the report.
  private func outcome() -> RepairReport {
    let words = KernelWords()
    do {
      let inventory = try AttachedDisks().inventory()
      mkdir(Self.folder, 0o755)
      guard let guest = MountedGuest.find(in: inventory, at: Self.folder) else {
        return Self.refused(Self.noRoot(inventory), words)
      }
      let mounted = try guest.mountOthers(sourceDisks: words.disks)
      let report = try Self.repair(guest, words)
      try guest.unmount(mounted)
      return report
    } catch {
      let problem = RepairReport.Problem(
        code: "repair_failed", message: "The repair stopped: \(error).",
        remedy: "Launch again; if it fails again, look at the appliance's console.")
      return Self.refused(problem, words)
    }
  }

  private static func repair(_ guest: MountedGuest, _ words: KernelWords) throws -> RepairReport {
    let files = GuestFiles(root: folder)
    let planner = RepairPlanner(
      files: files, inventory: guest.inventory, root: guest.root, firmware: words.firmware, sourceDisks: words.disks)
    let plan = planner.plan()
    return words.onlyPlans ? plan.report : try RepairEditor(files: files).apply(plan)
  }

  private static func refused(_ problem: RepairReport.Problem, _ words: KernelWords) -> RepairReport {
    RepairReport(
      verdict: .refused, firmware: words.firmware ?? .bios, findings: [:], edits: [], problems: [problem],
      applied: false)
  }

  private static func noRoot(_ inventory: BlockInventory) -> RepairReport.Problem {
    let stacked = Set(inventory.contents.map(\.content.type)).intersection([
      "LVM2_member", "linux_raid_member", "crypto_LUKS"
    ])
    if !stacked.isEmpty {
      return RepairReport.Problem(
        code: "unsupported_layout",
        message: "No root filesystem lies on a plain partition; found \(stacked.sorted().joined(separator: ", ")), "
          + "which is not repaired yet.",
        remedy: "Add virtio_pci and virtio_blk to the machine's initramfs before migrating, then launch without repair."
      )
    }
    let disks = inventory.disks.map(\.name).joined(separator: ", ")
    return RepairReport.Problem(
      code: "no_root_filesystem",
      message: "No root of a Linux machine was found on the attached disks (\(disks.isEmpty ? "none" : disks)).",
      remedy: "Check that all disks of the source are part of the migration, the one with its root above all.")
  }
}
