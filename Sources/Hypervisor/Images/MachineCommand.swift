import Crypto
import FoundationEssentials
import Machines

/// The command line of a machine's QEMU.
struct MachineCommand: Sendable {
  var record: MachineRecord
  /// Layers of each volume, top first.
  var layers: [[LayerID]]
  /// For each forwarded port of the wish, the port of 127.0.0.1 that leads there.
  var hostPorts: [Int]
  var accelerator: Accelerator
  var folder: StateFolder
  var settings: HypervisorSettings
  var directIO: Bool

  func arguments() throws -> [String] {
    let run = folder.machineRun(record.id)
    return [
      "-name", "godwit-\(record.id)", "-nodefaults", "-no-user-config", "-display", "none",
      "-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny",
      "-machine", "q35\(record.wish.firmware == .uefi ? ",pflash0=firmware-code,pflash1=firmware-variables" : "")"
    ] + accelerator.arguments + [
      "-smp", String(record.wish.cpus), "-m", "size=\((record.wish.memory + (1 << 20) - 1) >> 20)M"
    ] + (try firmware) + (try disks) + network + role + [
      "-device", "virtio-rng-pci",
      "-chardev",
      "file,id=console,path=\(StorageDaemonCommand.escaped(folder.console(record.id))),append=on",
      "-serial", "chardev:console",
      "-chardev", "socket,id=qmp,path=\(StorageDaemonCommand.escaped(run.monitor)),server=on,wait=off",
      "-mon", "chardev=qmp,mode=control", "-pidfile", run.pid
    ]
  }

  /// BIOS is QEMU's own; UEFI is code that all machines share and variables of the machine's own.
  private var firmware: [String] {
    get throws {
      guard record.wish.firmware == .uefi else { return [] }
      return try Self.raw("firmware-code", settings.firmwareCode, readOnly: true)
        + Self.raw("firmware-variables", folder.firmwareVariables(record.id), readOnly: false)
    }
  }

  private static func raw(_ name: String, _ path: String, readOnly: Bool) throws -> [String] {
    let options: JSONValue = [
      "driver": "raw", "node-name": .string(name), "read-only": .bool(readOnly),
      "file": ["driver": "file", "filename": .string(path), "read-only": .bool(readOnly)]
    ]
    return ["-blockdev", try options.text]
  }

  private var disks: [String] {
    get throws {
      try layers.enumerated().flatMap { index, chain in
        let node = BlockNode(disk: index, folder: folder, directIO: directIO)
        let boot = index == 0 && record.wish.role == .guest ? ",bootindex=1" : ""
        return [
          "-blockdev", try node.chain(chain[...]).text,
          "-device", "virtio-blk-pci,id=disk\(index),drive=\(node.name(chain[0]))\(boot)"
        ]
      }
    }
  }

  /// QEMU's user-mode network. The card has no boot ROM: a machine never boots from the network.
  private var network: [String] {
    guard record.wish.network != .none else { return ["-nic", "none"] }
    let restrict = record.wish.network == .isolated ? "on" : "off"
    let forwards = zip(hostPorts, record.wish.forwardedPorts).map { ",hostfwd=tcp:127.0.0.1:\($0)-:\($1)" }.joined()
    return [
      "-netdev", "user,id=net0,restrict=\(restrict)\(forwards)",
      "-device", "virtio-net-pci,netdev=net0,romfile=,mac=\(macAddress)"
    ]
  }

  /// Locally administered, the same at every start of this machine.
  private var macAddress: String {
    let bytes = [0x52, 0x54, 0x00] + SHA256.hash(data: Data(record.id.utf8)).prefix(3)
    return bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined(separator: ":")
  }

  /// A guest has a screen and may restart itself. The appliance has its kernel given, and ends instead of restarting.
  private var role: [String] {
    switch record.wish.role {
    case .guest: ["-device", "VGA"]
    case .appliance:
      [
        "-no-reboot", "-kernel", settings.applianceKernel ?? "", "-initrd", settings.applianceInitramfs ?? "",
        "-append",
        (["console=ttyS0", "quiet", "panic=-1", "random.trust_cpu=on", "tsc=reliable"] + record.wish.applianceArguments)
          .joined(separator: " ")
      ]
    }
  }
}
