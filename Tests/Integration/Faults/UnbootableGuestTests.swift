import Clouds
import Foundation
import Local
import Machines
import Providers
import ServiceKit
import Testing
import Wire

/// A guest that can be repaired but never boots, on the real local cloud: its loader never ends.
@Suite(.timeLimit(.minutes(8)), .serialized) struct UnbootableGuestTests {
  @Test func `A guest that never boots fails its test with what it showed, and leaves nothing and the replica alone`()
    async throws
  {
    let guest = try Self.script("guests/build-tiny") + "/disk.raw"
    let appliance = BuiltPrograms.appliance
    let extra = ["--appliance-kernel", appliance + "/vmlinuz", "--appliance-initramfs", appliance + "/initramfs"]
    try await HypervisorUnderTest.with(extra: extra) { hypervisor in
      let token = HypervisorUnderTest.token
      try await ControlPlane.test(running: false) { plane, _ in
        let local: ProviderFactory = { endpoint, secret in try .local(endpoint: endpoint, token: secret ?? "") }
        try await plane.whileRunning(plane.services(providers: ["local": local])) {
          let size = try FileHandle(forReadingFrom: URL(filePath: guest)).seekToEnd()
          let agent = SimulatedAgent(
            plane, disks: [OneDiskMachine.disk("sda", size: size)],
            onSync: { disks in try await Self.fill(disks[0].location, from: guest) })
          let owner = Owner(plane: plane)
          let migration = try await owner.begin(
            agent,
            on: CloudsAPI.TargetWish(provider: "local", endpoint: hypervisor.endpoint, secret: token))
          async let end: Void = agent.run()
          _ = try await owner.migration(migration.id) { $0.state == .insync }
          let launch: MigrationAPI.Launch = try await owner.post(
            "migrations/\(migration.id)/launches", MigrationAPI.LaunchWish(memory: 256 << 20, bootSeconds: 30))
          let failed = try await owner.until("launches/\(launch.id)", as: MigrationAPI.Launch.self, seconds: 240) {
            $0.state == .failed
          }
          #expect(failed.problem?.code == "boot_failed", "\(failed)")
          #expect(failed.problem?.remedy.contains("the source is untouched") == true)
          #expect(failed.repair?.verdict == .ready || failed.repair?.verdict == .doubtful)
          #expect(failed.proof?.passed == false && failed.proof?.screenshot == true)
          let picture = try await owner.migration.bytes(owner.path("launches/\(launch.id)/screenshot"))
          #expect(picture.starts(with: [0x89, 0x50, 0x4E, 0x47]))
          let left = try await owner.ledger()
          #expect(left.filter { $0.kind == .machine }.isEmpty, "\(left)")
          #expect(left.filter { $0.kind == .volume }.map(\.id) == migration.disks.map(\.volume))
          #expect(hypervisor.processes().count <= 1, "the machine is gone; the replica's storage daemon may stay")
          try await owner.delete("migrations/\(migration.id)")
          _ = try await owner.migration(migration.id) { $0.state == .done }
          try await end
          for _ in 0..<400 where !(try await owner.ledger().isEmpty) { try await Task.sleep(for: .milliseconds(50)) }
        }
      }
    }
  }

  /// The guest's bytes, but the code of its boot sector, which stands still.
  private static func fill(_ location: String, from guest: String) async throws {
    try run("qemu-img", "convert", "-n", "-f", "raw", "-O", "raw", guest, location)
    try await NBDTool.write(location, 0, [0xEB, 0xFE] + [UInt8](repeating: 0x90, count: 438))
  }

  private static func script(_ path: String, _ arguments: String...) throws -> String {
    let output = try run(BuiltPrograms.top + "/deploy/" + path, arguments)
    return String(output.split(separator: "\n").last ?? "")
  }
}
