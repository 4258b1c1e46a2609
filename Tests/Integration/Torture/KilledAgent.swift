import Foundation
import Glibc
import NIOPosix
import Testing
import Transport
import Wire

@testable import Source

/// One of many lives of an agent, each in a process of its own that is ended by SIGKILL.
struct KilledAgent: Codable, Sendable {
  let disk: String
  /// Of the bench: what the agent keeps lies there.
  let folder: String
  let authority: String
  let key: [UInt8]
  let command: SyncCommand
  /// How long it lives.
  let microseconds: UInt32

  static func places(in folder: String) -> AgentPlaces {
    var places = AgentPlaces()
    places.volatile = folder + "/run"
    places.configuration = folder + "/etc"
    // Not this machine's own: no BPF filesystem lies above.
    places.pins = folder + "/none/godwit"
    return places
  }

  /// Lives in a process of its own, and is killed.
  func live() async {
    await #expect(processExitsWith: .signal(SIGKILL)) { [agent = self as KilledAgent] in try await agent.sync() }
  }

  private func sync() async throws {
    let time = microseconds
    Thread.detachNewThread {
      usleep(time)
      kill(getpid(), SIGKILL)
    }
    let places = Self.places(in: folder)
    _ = FreezeGuard.thawLeftovers(MountedFilesystem.on(disks: [disk]))
    let source = try LinuxSource(disks: [disk], places: places, migration: command.migration)
    source.begin(session: command.session)
    let pool = NIOThreadPool(numberOfThreads: 4)
    pool.start()
    let runner = SyncRunner(
      connection: ConnectionSettings(authority: authority), key: try AgentKey(rawRepresentation: key),
      group: MultiThreadedEventLoopGroup.singleton, pool: pool, memory: places.memory)
    _ = await runner.run(command, id: "c", source: source, interval: .milliseconds(100)) { _ in }
    kill(getpid(), SIGKILL)
  }
}
