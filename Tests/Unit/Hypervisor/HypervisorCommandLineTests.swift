import FoundationEssentials
import Machines
import Testing

@testable import Hypervisor

@Suite struct HypervisorCommandLineTests {
  let scratch: HypervisorScratchFolder
  let folder: StateFolder
  let layers = [LayerID.random(), LayerID.random(), LayerID.random()]

  init() throws {
    scratch = try HypervisorScratchFolder()
    folder = try StateFolder(path: scratch.path)
  }

  func command(_ wish: MachineWish, accelerator: Accelerator = .tcg) -> MachineCommand {
    let record = MachineRecord(id: "m1", wish: wish, tags: [:], state: .creating, reason: nil, forwards: [])
    return MachineCommand(
      record: record, layers: wish.volumes.map { _ in layers }, hostPorts: wish.forwardedPorts.map { $0 + 40000 },
      accelerator: accelerator, folder: folder,
      settings: HypervisorSettings(state: scratch.path, applianceKernel: "/k", applianceInitramfs: "/i"), directIO: true
    )
  }

  static let wishes: [MachineWish] = [
    .guest(.isolated), .bios(.isolated), .bios(.open), .bios(.none), .uefi(.isolated), .uefi(.none), .appliance
  ]

  @Test(arguments: wishes, [Accelerator.tcg, .kvm])
  func `a machine's command line leaves no format to be guessed`(wish: MachineWish, accelerator: Accelerator) throws {
    let arguments = try command(wish, accelerator: accelerator).arguments()
    #expect(try ArgumentRules.violations(arguments) == [])
    #expect(arguments.filter { $0 == "-blockdev" }.count == wish.volumes.count + (wish.firmware == .uefi ? 2 : 0))
  }

  @Test func `the storage daemon's command line leaves no format to be guessed`() throws {
    let arguments = try StorageDaemonCommand.arguments(
      chain: layers, node: BlockNode(disk: 0, folder: folder, directIO: true), run: folder.volumeRun("v"))
    #expect(try ArgumentRules.violations(arguments) == [])
    #expect(arguments.contains("--blockdev"))
  }

  @Test func `what is added to a running process leaves no format to be guessed`() throws {
    let node = BlockNode(disk: 3, folder: folder, directIO: false)
    let added = try node.layer(layers[0], readOnly: false, backing: .null).text
    #expect(try ArgumentRules.violations(["-blockdev", added]) == [])
  }

  @Test func `qemu-img is told both formats and opens no backing file`() throws {
    #expect(try ArgumentRules.violations(ImageCommand.create("/a", parent: "/b", size: 512)) == [])
    #expect(try ArgumentRules.violations(ImageCommand.create("/a", parent: nil, size: 512)) == [])
  }

  @Test(arguments: [
    ["-drive", "file=/a"], ["-blockdev", #"{"driver":"qcow2","file":{"driver":"file","filename":"/a"}}"#],
    ["-blockdev", #"{"driver":"raw","file":{"filename":"/a"}}"#], ["create", "/a", "1G"],
    ["create", "-f", "qcow2", "-b", "/b", "/a"], ["-blockdev", #"{"driver":"nbd"}"#]
  ])
  func `the rules find a format that is left to be guessed`(arguments: [String]) throws {
    #expect(try ArgumentRules.violations(arguments) != [])
  }

  @Test func `node names are unique in a process and short enough for QEMU`() {
    let names = (0..<100).map { BlockNode(disk: $0, folder: folder, directIO: true).name(layers[0]) }
    #expect(Set(names).count == 100)
    #expect(names.allSatisfy { $0.utf8.count <= 31 })
  }

  @Test func `an isolated machine has a restricted network and its forwards on loopback`() throws {
    var wish = MachineWish.guest(.isolated)
    wish.forwardedPorts = [22, 80]
    let arguments = try command(wish).arguments()
    #expect(
      arguments.contains("user,id=net0,restrict=on,hostfwd=tcp:127.0.0.1:40022-:22,hostfwd=tcp:127.0.0.1:40080-:80"))
    #expect(arguments.contains { $0.hasPrefix("virtio-net-pci,") && $0.contains("romfile=,") })
  }

  @Test func `a guest is never given a kernel, and only its first disk boots`() throws {
    let arguments = try command(.bios(.isolated)).arguments()
    #expect(!arguments.contains("-kernel") && !arguments.contains("-no-reboot"))
    let disks = arguments.filter { $0.hasPrefix("virtio-blk-pci,") }
    #expect(disks.map { $0.contains("bootindex=") } == [true, false])
  }

  @Test func `the appliance has its kernel, no network and no screen`() throws {
    let arguments = try command(.appliance).arguments()
    #expect(arguments.contains("-kernel") && arguments.contains("-no-reboot"))
    #expect(!arguments.contains("-netdev") && !arguments.contains("VGA"))
    #expect(arguments.last { $0.contains("console=ttyS0") }?.hasSuffix(" firmware=bios") == true)
  }

  @Test func `a comma in a path is not taken for an option`() {
    #expect(StorageDaemonCommand.escaped("/a,server=off") == "/a,,server=off")
  }
}

extension MachineWish {
  static func guest(_ network: Network) -> MachineWish {
    MachineWish(role: .guest, cpus: 2, memory: 512 << 20, firmware: .bios, volumes: ["v1"], network: network)
  }
  static func bios(_ network: Network) -> MachineWish {
    MachineWish(role: .guest, cpus: 1, memory: 512 << 20, firmware: .bios, volumes: ["v1", "v2"], network: network)
  }
  static func uefi(_ network: Network) -> MachineWish {
    MachineWish(role: .guest, cpus: 1, memory: 512 << 20, firmware: .uefi, volumes: ["v1", "v2"], network: network)
  }
  static var appliance: MachineWish {
    MachineWish(
      role: .appliance, cpus: 1, memory: 512 << 20, firmware: .bios, volumes: ["v1"], network: .none,
      applianceArguments: ["firmware=bios"])
  }
}
