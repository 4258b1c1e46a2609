import Foundation
import Source
import Testing

@Suite("The consistent instant", .serialized, .timeLimit(.minutes(2)))
struct FreezeGuardTests {
  /// Starts a program that writes to the filesystem, and says so when it is through.
  private func beginWrite(_ disk: LoopDisk) throws -> Process {
    let process = start("touch", [disk.mountPoint + "/probe"])
    try process.run()
    return process
  }

  @Test("A frozen filesystem lets nobody write until it is thawed", arguments: ["ext4", "xfs"])
  func freezesAndThaws(type: String) throws {
    try LoopDisk.with(size: 320 << 20) { disk in
      try disk.mount(type)
      let still = try FreezeGuard(MountedFilesystem.on(disks: [disk.name]), limit: .seconds(20))
      let frozen = try still.freeze()
      #expect(frozen.map(\.filesystem.mountPoint) == [disk.mountPoint])
      let writer = try beginWrite(disk)
      usleep(300_000)
      #expect(writer.isRunning)
      #expect(still.thaw())
      writer.waitUntilExit()
      #expect(writer.terminationStatus == 0)
      #expect(!still.thaw(), "a second thaw says that nothing was frozen")
      #expect(throws: FreezeError.self) { try still.freeze() }
    }
  }

  @Test("The watchdog thaws at the deadline when the freezer hangs, and the freezer learns of it")
  func deadline() throws {
    try LoopDisk.with(size: 320 << 20) { disk in
      try disk.mount("ext4")
      let still = try FreezeGuard(MountedFilesystem.on(disks: [disk.name]), limit: .milliseconds(700))
      let began = ContinuousClock.now
      try still.freeze()
      let writer = try beginWrite(disk)
      writer.waitUntilExit()
      let waited = ContinuousClock.now - began
      #expect(waited > .milliseconds(500) && waited < .seconds(10))
      #expect(!still.thaw())
    }
  }

  @Test("The watchdog thaws when the freezer is killed")
  func killed() async throws {
    try await LoopDisk.with(size: 320 << 20) { disk in
      try disk.mount("ext4")
      await #expect(processExitsWith: .signal(SIGKILL)) { [name = disk.name as String] in
        let still = try FreezeGuard(MountedFilesystem.on(disks: [name]), limit: .seconds(60))
        try #require(try still.freeze().count == 1)
        kill(getpid(), SIGKILL)
      }
      let began = ContinuousClock.now
      let writer = try beginWrite(disk)
      writer.waitUntilExit()
      #expect(writer.terminationStatus == 0)
      #expect(ContinuousClock.now - began < .seconds(10))
      #expect(FreezeGuard.thawLeftovers(MountedFilesystem.on(disks: [disk.name])) == [])
    }
  }

  @Test("What an earlier life left frozen is thawed at the start")
  func leftovers() throws {
    try LoopDisk.with(size: 320 << 20) { disk in
      try disk.mount("ext4")
      try run("fsfreeze", "--freeze", disk.mountPoint)
      #expect(FreezeGuard.thawLeftovers(MountedFilesystem.on(disks: [disk.name])) == [disk.mountPoint])
      let writer = try beginWrite(disk)
      writer.waitUntilExit()
      #expect(writer.terminationStatus == 0)
    }
  }

  @Test("A held freeze stays after its deadline, until it is thawed")
  func hold() throws {
    try LoopDisk.with(size: 320 << 20) { disk in
      try disk.mount("ext4")
      let still = try FreezeGuard(MountedFilesystem.on(disks: [disk.name]), limit: .milliseconds(500))
      try still.freeze()
      #expect(still.hold())
      let writer = try beginWrite(disk)
      usleep(900_000)
      #expect(writer.isRunning)
      #expect(still.thaw())
      writer.waitUntilExit()
    }
  }
}
