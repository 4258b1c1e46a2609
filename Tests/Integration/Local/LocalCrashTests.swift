import Blocks
import Foundation
import Machines
import NetworkVolumes
import Providers
import Testing

@testable import Hypervisor

@Suite(.serialized, .timeLimit(.minutes(10))) struct LocalCrashTests {
  func id(_ name: String) -> ResourceID { ResourceID(rawValue: name) }

  @Test func `exports go on without the daemon, and the next daemon takes them over`() async throws {
    try await HypervisorUnderTest.with { hypervisor in
      let storage = try hypervisor.provider.storage
      _ = try await storage.createVolume(id("v"), size: 64 << 20, from: nil, tags: [:])
      let place = try await storage.attachVolume(id("v"))
      let before = hypervisor.processes()
      #expect(before.count == 1)
      hypervisor.kill()
      try await NBDTool.fill(place, 0, 1 << 20, with: 1)
      try await hypervisor.start()
      #expect(hypervisor.processes() == before)
      _ = try await storage.createSnapshot(id("s"), of: id("v"), tags: [:])
      try await NBDTool.fill(place, 0, 1 << 20, with: 2)
      #expect(try await storage.attachVolume(id("v")) == place)
      _ = try await storage.createVolume(id("c"), size: 64 << 20, from: id("s"), tags: [:])
      try await NBDTool.expect(try await storage.attachVolume(id("c")), 0, 1 << 20, is: 1)
      try await storage.detachVolume(id("v"))
      #expect(before.allSatisfy { !$0.isAlive })
    }
  }

  @Test func `an export whose storage daemon died comes back at the same place with what was flushed`() async throws {
    try await HypervisorUnderTest.with { hypervisor in
      let storage = try hypervisor.provider.storage
      _ = try await storage.createVolume(id("v"), size: 64 << 20, from: nil, tags: [:])
      let place = try await storage.attachVolume(id("v"))
      try await NBDTool.fill(place, 0, 1 << 20, with: 1)
      _ = try await storage.createSnapshot(id("s"), of: id("v"), tags: [:])
      try await NBDTool.fill(place, 0, 1 << 20, with: 2)
      let dead = try #require(hypervisor.processes().first)
      dead.kill()
      try await HypervisorUnderTest.until("another storage daemon") { hypervisor.processes().contains { $0 != dead } }
      #expect(try await storage.attachVolume(id("v")) == place)
      try await NBDTool.expect(place, 0, 1 << 20, is: 2)
      hypervisor.kill()
      hypervisor.processes().forEach { $0.kill() }
      try await hypervisor.start()
      try await NBDTool.expect(place, 0, 1 << 20, is: 2)
    }
  }

  @Test func `a storage daemon that hangs is replaced, and what it was given never comes late`() async throws {
    try await HypervisorUnderTest.with(extra: ["--daemon-patience", "1"]) { hypervisor in
      let storage = try hypervisor.provider.storage
      _ = try await storage.createVolume(id("v"), size: 64 << 20, from: nil, tags: [:])
      let place = try await storage.attachVolume(id("v"))
      try await NBDTool.fill(place, 0, 1 << 20, with: 1)
      let hung = try #require(hypervisor.processes().first)
      let writer = try NBDVolume(uri: place, connections: 1, patience: .milliseconds(300))
      _ = kill(hung.pid, SIGSTOP)
      // Waits in the hung daemon's socket, and dies with it.
      let late = #expect(throws: BlockError.self) {
        try writer.write([UInt8](repeating: 9, count: 4096).span.bytes, at: 0)
      }
      // More than its monitor has room for: whoever asks must not wait in the kernel, with the turn in his hand.
      let asking = Task {
        for _ in 0..<4 { _ = try? await storage.createSnapshot(id("s"), of: id("v"), tags: [:]) }
      }
      defer { asking.cancel() }
      #expect(late?.code == .vanished)
      #expect(throws: BlockError.self) { try NBDVolume(uri: place, patience: .milliseconds(300)) }
      try await HypervisorUnderTest.until("another storage daemon") { hypervisor.processes().contains { $0 != hung } }
      #expect(!hung.isAlive, "the old one is gone before the new one comes")
      #expect(try await storage.attachVolume(id("v")) == place)
      _ = try NBDVolume(uri: place)
      try await NBDTool.fill(place, 4096, 4096, with: 2)
      try await NBDTool.expect(place, 4096, 4096, is: 2)
      try await NBDTool.expect(place, 8192, 4096, is: 1)
    }
  }

  /// Every call is repeated until it succeeds, as a workflow would; the daemon is killed under it at any moment.
  @Test func `kill -9 at any moment loses nothing and leaves nothing`() async throws {
    try await HypervisorUnderTest.with { hypervisor in
      var kills = 0
      for round in 1...12 {
        let storage = try hypervisor.provider.storage
        let (volume, point, clone) = (id("v\(round)"), id("s\(round)"), id("c\(round)"))
        kills += try await killing(hypervisor, within: 60) {
          _ = try await storage.createVolume(volume, size: 16 << 20, from: nil, tags: [:])
        }
        kills += try await killing(hypervisor, within: 60) { _ = try await storage.attachVolume(volume) }
        let place = try await storage.attachVolume(volume)
        try await NBDTool.fill(place, 0, 1 << 20, with: 1)
        kills += try await killing(hypervisor, within: 80) {
          _ = try await storage.createSnapshot(point, of: volume, tags: [:])
        }
        try await NBDTool.fill(place, 0, 1 << 20, with: 2)
        kills += try await killing(hypervisor, within: 60) {
          _ = try await storage.createVolume(clone, size: 16 << 20, from: point, tags: [:])
        }
        try await NBDTool.expect(try await storage.attachVolume(clone), 0, 1 << 20, is: 1)
        try await NBDTool.expect(place, 0, 1 << 20, is: 2)
        kills += try await killing(hypervisor, within: 30) { try await storage.detachVolume(clone) }
        kills += try await killing(hypervisor, within: 20) { try await storage.deleteVolume(clone) }
        kills += try await killing(hypervisor, within: 20) { try await storage.deleteSnapshot(point) }
        try await NBDTool.expect(place, 0, 1 << 20, is: 2)
        kills += try await killing(hypervisor, within: 30) { try await storage.detachVolume(volume) }
        kills += try await killing(hypervisor, within: 20) { try await storage.deleteVolume(volume) }
        #expect(hypervisor.leftovers() == [], "round \(round)")
      }
      #expect(kills > 20, "the daemon was hardly ever killed in the middle of a call")
    }
  }

  @Test func `kill -9 at any moment never doubles, loses or forgets a machine`() async throws {
    try await HypervisorUnderTest.with { hypervisor in
      let provider = try hypervisor.provider
      let (storage, compute) = (provider.storage, provider.compute)
      let wish = MachineWish(
        role: .guest, cpus: 1, memory: 64 << 20, firmware: .bios, volumes: [id("v").rawValue], network: .isolated,
        forwardedPorts: [22])
      var kills = 0
      _ = try await storage.createVolume(id("v"), size: 16 << 20, from: nil, tags: [:])
      for round in 1...6 {
        kills += try await killing(hypervisor, within: 120) {
          _ = try await compute.createMachine(self.id("m"), wish, tags: [:])
        }
        let machine = try #require(try await compute.machine(id("m")))
        #expect(machine.state == .running && machine.forwards.map(\.guestPort) == [22], "round \(round)")
        #expect(hypervisor.processes().count == 1, "round \(round)")
        kills += try await killing(hypervisor, within: 30) { try await compute.stopMachine(self.id("m")) }
        #expect(try await compute.machine(id("m"))?.state == .stopped)
        #expect(hypervisor.processes().isEmpty, "round \(round)")
        kills += try await killing(hypervisor, within: 100) { try await compute.startMachine(self.id("m")) }
        #expect(hypervisor.processes().count == 1, "round \(round)")
        kills += try await killing(hypervisor, within: 40) { try await compute.deleteMachine(self.id("m")) }
        #expect(try await compute.machine(id("m")) == nil)
        #expect(hypervisor.processes().isEmpty, "round \(round)")
      }
      #expect(kills > 6, "the daemon was hardly ever killed in the middle of a call")
    }
  }

  /// Kills the daemon within so many milliseconds while the call runs, starts it again, and repeats the call until it
  /// succeeds. Answers how often the kill came before the call's answer.
  private func killing(
    _ hypervisor: HypervisorUnderTest, within milliseconds: Int, _ call: @escaping @Sendable () async throws -> Void
  ) async throws -> Int {
    let delay = Duration.microseconds(Int.random(in: 0...milliseconds * 1000))
    async let ended: Bool = {
      do {
        try await call()
        return true
      } catch { return false }
    }()
    try await Task.sleep(for: delay)
    hypervisor.kill()
    let answered = await ended
    try await hypervisor.start()
    try await call()
    return answered ? 0 : 1
  }
}
