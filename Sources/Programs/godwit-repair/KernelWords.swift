import Machines
import Repair

/// What the appliance is told on its kernel command line.
struct KernelWords {
  var onlyPlans = false
  var firmware: MachineDescription.Firmware?
  var disks: [String] = []

  init() {
    for word in (GuestFiles(root: "/").lines(of: "/proc/cmdline").first ?? "").split(separator: " ") {
      let parts = word.split(separator: "=", maxSplits: 1)
      guard parts.count == 2 else { continue }
      switch parts[0] {
      case "godwit.mode": onlyPlans = parts[1] == "plan"
      case "godwit.firmware": firmware = MachineDescription.Firmware(rawValue: String(parts[1]))
      case "godwit.disks": disks = parts[1].split(separator: ",").map(String.init)
      default: break
      }
    }
  }
}
