import Foundation
import Machines
import Providers
import Testing

@testable import Hypervisor

@Suite(.serialized, .timeLimit(.minutes(10))) struct LocalMachineTests {
  static let marker = "GODWIT-TINY-GUEST"

  func id(_ name: String) -> ResourceID { ResourceID(rawValue: name) }

  /// A volume that begins with a boot sector.
  func bootVolume(_ provider: Provider, _ name: String) async throws -> ResourceID {
    _ = try await provider.storage.createVolume(id(name), size: 16 << 20, from: nil, tags: [:])
    try await NBDTool.write(try await provider.storage.attachVolume(id(name)), 0, TinyGuest.bootSector(Self.marker))
    try await provider.storage.detachVolume(id(name))
    return id(name)
  }

  func wish(_ volumes: [ResourceID], network: MachineWish.Network = .isolated, ports: [Int] = [])
    -> MachineWish
  {
    MachineWish(
      role: .guest, cpus: 1, memory: 128 << 20, firmware: .bios, volumes: volumes.map(\.rawValue), network: network,
      forwardedPorts: ports)
  }

  func console(_ provider: Provider, _ name: String) async throws -> String {
    String(decoding: try await provider.compute.console(id(name), limit: 1 << 20), as: UTF8.self)
  }

  @Test func `a guest boots through BIOS from its first volume, and outlives the daemon`() async throws {
    try await HypervisorUnderTest.with { hypervisor in
      let provider = try hypervisor.provider
      let disk = try await bootVolume(provider, "disk")
      _ = try await provider.storage.createVolume(id("data"), size: 16 << 20, from: nil, tags: [:])
      let machine = try await provider.compute.createMachine(
        id("m"), wish([disk, id("data")], ports: [22, 80]), tags: ["godwit-owner": "x"])
      #expect(machine.forwards.map(\.guestPort) == [22, 80])
      try await HypervisorUnderTest.until("the guest's marker") {
        try await console(provider, "m").contains(Self.marker)
      }
      #expect(try await console(provider, "m").hasPrefix(Self.marker))
      let picture = try await provider.compute.screenshot(id("m"))
      #expect(try PNGHeader(picture).width == 720)

      let before = hypervisor.processes()
      hypervisor.kill()
      try await hypervisor.start()
      #expect(hypervisor.processes() == before)
      let found = try #require(try await provider.compute.machine(id("m")))
      #expect(found.state == .running && found.forwards == machine.forwards)
      #expect(try PNGHeader(try await provider.compute.screenshot(id("m"))).width == 720)

      try await provider.compute.stopMachine(id("m"))
      #expect(hypervisor.processes().isEmpty)
      try await provider.compute.startMachine(id("m"))
      try await HypervisorUnderTest.until("the marker of the second start") {
        try await console(provider, "m").components(separatedBy: Self.marker).count == 3
      }
    }
  }

  @Test func `two clones of one snapshot run at once, while the volume is snapshotted under a third`() async throws {
    try await HypervisorUnderTest.with { hypervisor in
      let provider = try hypervisor.provider
      let disk = try await bootVolume(provider, "disk")
      _ = try await provider.storage.createSnapshot(id("s"), of: disk, tags: [:])
      for name in ["c1", "c2"] {
        _ = try await provider.storage.createVolume(id(name), size: 16 << 20, from: id("s"), tags: [:])
      }
      // Both disks of one machine share their base layer.
      _ = try await provider.compute.createMachine(id("m1"), wish([id("c1"), id("c2")], network: .none), tags: [:])
      _ = try await provider.compute.createMachine(id("m2"), wish([disk]), tags: [:])
      for name in ["m1", "m2"] {
        try await HypervisorUnderTest.until("the marker of \(name)") {
          try await console(provider, name).contains(Self.marker)
        }
      }
      _ = try await provider.storage.createSnapshot(id("live"), of: disk, tags: [:])
      _ = try await provider.storage.createVolume(id("c3"), size: 16 << 20, from: id("live"), tags: [:])
      let sector = try await NBDTool.read(try await provider.storage.attachVolume(id("c3")), 0, 512)
      #expect(sector == TinyGuest.bootSector(Self.marker))
      #expect(try await provider.compute.machine(id("m2"))?.state == .running)
    }
  }

  @Test func `a volume is attached or in one machine, never both`() async throws {
    try await HypervisorUnderTest.with { hypervisor in
      let provider = try hypervisor.provider
      let disk = try await bootVolume(provider, "disk")
      func inUse(_ what: String, _ call: () async throws -> Void) async {
        do {
          try await call()
          Issue.record("\(what) was allowed")
        } catch {
          #expect((error as? ProviderError)?.code == .inUse, "\(what): \(error)")
        }
      }
      _ = try await provider.storage.attachVolume(disk)
      await inUse("a machine on an attached volume") {
        _ = try await provider.compute.createMachine(id("m"), wish([disk]), tags: [:])
      }
      #expect(try await provider.compute.machine(id("m")) == nil)
      try await provider.storage.detachVolume(disk)
      _ = try await provider.compute.createMachine(id("m"), wish([disk]), tags: [:])
      await inUse("attaching a machine's volume") { _ = try await provider.storage.attachVolume(disk) }
      await inUse("a second machine") {
        _ = try await provider.compute.createMachine(id("n"), wish([disk]), tags: [:])
      }
      try await provider.compute.stopMachine(id("m"))
      await inUse("deleting a stopped machine's volume") { try await provider.storage.deleteVolume(disk) }
    }
  }

  @Test func `a machine comes up under UEFI with variables of its own`() async throws {
    try await HypervisorUnderTest.with { hypervisor in
      let provider = try hypervisor.provider
      _ = try await provider.storage.createVolume(id("blank"), size: 16 << 20, from: nil, tags: [:])
      var wish = wish([id("blank")], network: .none)
      (wish.firmware, wish.memory) = (.uefi, 256 << 20)
      _ = try await provider.compute.createMachine(id("u"), wish, tags: [:])
      try await HypervisorUnderTest.until("the firmware's boot manager") {
        try await console(provider, "u").contains("BdsDxe")
      }
      let header = try PNGHeader(try await provider.compute.screenshot(id("u")))
      #expect(header.width >= 640 && header.height >= 480)
      let variables = try Data(contentsOf: URL(filePath: "\(hypervisor.state)/machines/u/variables.fd"))
      #expect(variables.count == 540_672)
      #expect(variables != (try Data(contentsOf: URL(filePath: "/usr/share/OVMF/OVMF_VARS_4M.fd"))))
    }
  }

  /// An appliance's kernel and initramfs on disk, and the words that make the daemon use them.
  func withAppliance(
    powersOff: Bool, limit: Int, _ body: (HypervisorUnderTest) async throws -> Void
  ) async throws {
    let folder = "/var/tmp/godwit-appliance-\(UInt32.random(in: 0 ... .max))"
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: false)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    try Data(TinyGuest.kernel(Self.marker, powersOff: powersOff)).write(to: URL(filePath: "\(folder)/kernel"))
    try Data([UInt8](repeating: 0, count: 512)).write(to: URL(filePath: "\(folder)/initramfs"))
    let extra = [
      "--appliance-kernel", "\(folder)/kernel", "--appliance-initramfs", "\(folder)/initramfs",
      "--appliance-time-limit", "\(limit)"
    ]
    try await HypervisorUnderTest.with(extra: extra, body)
  }

  func appliance(_ volume: ResourceID) -> MachineWish {
    MachineWish(
      role: .appliance, cpus: 1, memory: 128 << 20, firmware: .bios, volumes: [volume.rawValue], network: .none,
      applianceArguments: ["godwit.firmware=bios"])
  }

  @Test func `an appliance is told its words, ends by itself, and gives its volume back`() async throws {
    try await withAppliance(powersOff: true, limit: 300) { hypervisor in
      let provider = try hypervisor.provider
      _ = try await provider.storage.createVolume(id("v"), size: 16 << 20, from: nil, tags: [:])
      _ = try await provider.compute.createMachine(id("a"), appliance(id("v")), tags: [:])
      try await HypervisorUnderTest.until("its end") { try await provider.compute.machine(id("a"))?.state == .stopped }
      let said = try await console(provider, "a")
      #expect(said.hasPrefix(Self.marker) && said.contains(" godwit.firmware=bios"))
      try await provider.compute.deleteMachine(id("a"))
      _ = try await provider.storage.attachVolume(id("v"))
    }
  }

  @Test func `an appliance over its time is ended and reported as failed`() async throws {
    try await withAppliance(powersOff: false, limit: 3) { hypervisor in
      let provider = try hypervisor.provider
      _ = try await provider.storage.createVolume(id("v"), size: 16 << 20, from: nil, tags: [:])
      let started = ContinuousClock.now
      _ = try await provider.compute.createMachine(id("a"), appliance(id("v")), tags: [:])
      try await HypervisorUnderTest.until("its end") { try await provider.compute.machine(id("a"))?.state == .failed }
      // The probe boot of KVM, which this kernel cannot pass, takes up to 10 s of it.
      #expect(ContinuousClock.now - started < .seconds(25))
      // What was sent SIGKILL may take a moment to go.
      try await HypervisorUnderTest.until("no process") { hypervisor.processes().isEmpty }
      #expect(try await console(provider, "a").contains(Self.marker))
    }
  }
}

/// Width and height of a PNG, or an error when it is none.
struct PNGHeader {
  let width: Int
  let height: Int

  init(_ bytes: [UInt8]) throws {
    try #require(bytes.count > 33 && bytes.starts(with: [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]))
    func big(_ offset: Int) -> Int { bytes[offset..<offset + 4].reduce(0) { $0 << 8 | Int($1) } }
    (width, height) = (big(16), big(20))
  }
}
