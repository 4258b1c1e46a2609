import Foundation
import Testing

@testable import Source

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

  /// Where the freezer of two disks is killed, and how many filesystems are frozen then.
  enum Moment: String, CaseIterable, Sendable {
    case written, armed, between, frozen, capturing, held
  }

  @Test("Wherever the freezer is killed, no disk of the group stays frozen", arguments: Moment.allCases)
  func killedAnywhere(moment: Moment) async throws {
    try await LoopDisk.with(size: 320 << 20) { first in
      try await LoopDisk.with(size: 320 << 20) { second in
        try first.mount("ext4")
        try second.mount("xfs")
        await #expect(processExitsWith: .signal(SIGKILL)) {
          [names = [first.name, second.name] as [String], word = moment.rawValue as String] in
          let moment = try #require(Moment(rawValue: word))
          let steps: [Moment: FreezeGuard.Step] = [.written: .written, .armed: .armed, .between: .frozen(1)]
          let still = try FreezeGuard(MountedFilesystem.on(disks: names), limit: .seconds(60)) { step in
            if steps[moment] == step { kill(getpid(), SIGKILL) }
          }
          try #require(try still.freeze().count == 2)
          if moment == .capturing {
            let disk = open("/dev/" + names[0], O_RDONLY)
            var bytes = [UInt8](repeating: 0, count: 1 << 20)
            try #require(read(disk, &bytes, bytes.count) == bytes.count)
          }
          if moment == .held { try #require(still.hold()) }
          kill(getpid(), SIGKILL)
        }
        // The watchdog of a held freeze is gone; the agent's next life thaws, as there is no note of a seal.
        if moment == .held {
          let thawed = FreezeGuard.thawLeftovers(MountedFilesystem.on(disks: [first.name, second.name]))
          #expect(Set(thawed) == [first.mountPoint, second.mountPoint])
        }
        for disk in [first, second] {
          let writer = try beginWrite(disk)
          for _ in 0..<100 where writer.isRunning { usleep(50_000) }
          #expect(!writer.isRunning && writer.terminationStatus == 0)
        }
        #expect(FreezeGuard.thawLeftovers(MountedFilesystem.on(disks: [first.name, second.name])) == [])
      }
    }
  }

  @Test("An instant whose watchdog was killed is none, and is not held")
  func watchdogKilled() throws {
    for holds in [false, true] {
      try LoopDisk.with(size: 320 << 20) { disk in
        try disk.mount("ext4")
        let known = Set(try Self.watchdogs())
        let still = try FreezeGuard(MountedFilesystem.on(disks: [disk.name]), limit: .seconds(60))
        try still.freeze()
        let watchdogs = Set(try Self.watchdogs()).subtracting(known)
        try #require(watchdogs.count == 1)
        kill(watchdogs.first ?? 0, SIGKILL)
        if holds { #expect(!still.hold()) }
        #expect(!still.thaw())
        let writer = try beginWrite(disk)
        writer.waitUntilExit()
        #expect(writer.terminationStatus == 0)
      }
    }
  }

  /// Children of this process that stand guard.
  private static func watchdogs() throws -> [pid_t] {
    try FileManager.default.contentsOfDirectory(atPath: "/proc").compactMap { pid_t($0) }.filter { process in
      let status = try? String(contentsOfFile: "/proc/\(process)/status", encoding: .utf8)
      return status?.contains("Name:\tgodwit-watchdog\n") == true && status?.contains("PPid:\t\(getpid())\n") == true
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

  @Test(
    "A guard that was told to hold may go, also in an orderly end: what it froze stays frozen",
    arguments: ["ext4", "xfs"])
  func heldOutlivesTheGuard(type: String) throws {
    try LoopDisk.with(size: 320 << 20) { disk in
      try disk.mount(type)
      let mounted = MountedFilesystem.on(disks: [disk.name])
      do {
        let still = try FreezeGuard(mounted, limit: .seconds(20))
        try still.freeze()
        #expect(still.hold())
        #expect(still.frozenMountPoints == [disk.mountPoint])
      }
      #expect(FreezeGuard.areFrozen([disk.mountPoint]))
      let writer = try beginWrite(disk)
      usleep(300_000)
      #expect(writer.isRunning)
      #expect(FreezeGuard.thawLeftovers(mounted) == [disk.mountPoint])
      writer.waitUntilExit()
      #expect(!FreezeGuard.areFrozen([disk.mountPoint]))
      // Asking has not frozen it.
      let later = try beginWrite(disk)
      later.waitUntilExit()
      #expect(later.terminationStatus == 0)
    }
  }

  @Test("What somebody else has thawed is not held")
  func thawedByAnother() throws {
    try LoopDisk.with(size: 320 << 20) { disk in
      try disk.mount("ext4")
      let still = try FreezeGuard(MountedFilesystem.on(disks: [disk.name]), limit: .seconds(20))
      try still.freeze()
      try run("fsfreeze", "-u", disk.mountPoint)
      #expect(!still.hold())
      #expect(!still.thaw())
      let writer = try beginWrite(disk)
      writer.waitUntilExit()
      #expect(writer.terminationStatus == 0)
    }
  }

  @Test("Where one of several held filesystems was thawed by somebody else, none stays frozen")
  func thawedInPart() throws {
    try LoopDisk.with(size: 320 << 20) { first in
      try LoopDisk.with(size: 320 << 20) { second in
        try first.mount("ext4")
        try second.mount("xfs")
        let mounted = MountedFilesystem.on(disks: [first.name, second.name])
        let still = try FreezeGuard(mounted, limit: .seconds(20))
        try still.freeze()
        #expect(still.hold())
        #expect(FreezeGuard.areFrozen(mounted.map(\.mountPoint)))
        try run("fsfreeze", "-u", second.mountPoint)
        #expect(!FreezeGuard.areFrozen([first.mountPoint, second.mountPoint]))
        for disk in [first, second] {
          let writer = try beginWrite(disk)
          writer.waitUntilExit()
          #expect(writer.terminationStatus == 0)
        }
      }
    }
  }
}
