import Fakes
import Foundation
import NIOHTTP1
import ServiceKit
import Testing
import Wire
import Workflows

/// The promise: the control plane may be killed at any step, and goes on as if nothing had been. The fake cloud's own
/// log, in a process that is not killed, is the judge.
@Suite(.timeLimit(.minutes(15)), .serialized)
struct KillTests {
  @Test func `Killed once after every side effect and around every commit, a migration ends the same`() async throws {
    try await ControlPlane.test(running: false) { plane, admin in
      let file = plane.folder + "/killed"
      try await withThrowingTaskGroup(of: Int.self) { group in
        group.addTask {
          var lives = 0
          while !FileManager.default.fileExists(atPath: plane.folder + "/stop") {
            try await Self.live(plane, killedAt: file)
            lives += 1
          }
          return lives
        }
        group.addTask {
          defer { _ = FileManager.default.createFile(atPath: plane.folder + "/stop", contents: nil) }
          try await Self.migrate(plane, admin)
          return 0
        }
        var lives = 0
        for try await count in group { lives += count }
        let points = try String(contentsOfFile: file, encoding: .utf8).split(separator: "\n").map(String.init)
        print("killed at \(points.count) points, \(lives) lives")
        #expect(Set(points).count == points.count)
        #expect(lives == points.count + 1, "each kill was one life; the last life ended by itself")
        for name in Self.expected { #expect(points.contains(name), "\(name) was never reached") }
      }
    }
  }

  /// Points that a migration with a test, a switch and a finish must pass; a fault that is not hit proves nothing.
  static let expected = [
    "sync.volumes/put.volume.0:effect", "sync.volumes/put.volume.1:effect", "sync.volumes:before", "sync.volumes:after",
    "sync.attach/put.attachment.1:effect", "sync.command:before", "sync.wait:after",
    "sync.snapshot/put.snapshot.0:effect", "sync.snapshot/put.snapshot.1:effect", "sync.record:before",
    "sync.record:after", "sync.prune/delete.snapshot.0:effect", "launch.clone/put.volume.1:effect",
    "launch.repair/put.machine.r:effect", "launch.repaired/delete.machine.r:effect", "launch.boot/put.machine.m:effect",
    "launch.remove/delete.machine.m:effect", "launch.remove/delete.volume.0:effect", "switch.final:before",
    "switch.launch:after", "switch.launching:before", "finish.points/delete.snapshot.0:effect",
    "finish.volumes/delete.volume.1:effect", "finish.end:before", "finish.end:after", "agent.reported.done:after"
  ]

  /// The exit code of a life that nobody killed.
  private static let toldToStop: Int32 = 7

  /// One life of the control plane in a process of its own, until it is killed or the test is over.
  private static func live(_ plane: ControlPlane, killedAt file: String) async throws {
    let result = await #expect(processExitsWith: .failure) { [plane, file] in
      try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask { try await plane.run(faults: .killingEach(namesIn: file)) }
        group.addTask {
          while !FileManager.default.fileExists(atPath: plane.folder + "/stop") {
            try await Task.sleep(for: .milliseconds(50))
          }
        }
        try await group.next()
        exit(Self.toldToStop)
      }
    }
    let status = try #require(result).exitStatus
    guard status == .signal(SIGKILL) || status == .exitCode(Self.toldToStop) else {
      throw Owner.TookTooLong(description: "the control plane ended with \(status)")
    }
  }

  private static func migrate(_ plane: ControlPlane, _ admin: FakeCloudAdmin) async throws {
    let (owner, agent) = (Owner(plane: plane), SimulatedAgent(plane))
    let migration = try await owner.begin(agent)
    async let end: Void = agent.run()
    _ = try await owner.migration(migration.id) { $0.state == .insync }
    for _ in 0..<2 { try await owner.sync(migration.id) }
    let launch: MigrationAPI.Launch = try await owner.post(
      "migrations/\(migration.id)/launches", MigrationAPI.LaunchWish(key: "the-test"))
    let running = try await owner.until("launches/\(launch.id)", as: MigrationAPI.Launch.self) {
      $0.state == .running || $0.problem != nil
    }
    #expect(running.problem == nil)
    _ = try await owner.insisting { try await owner.migration.send(.DELETE, owner.path("launches/\(launch.id)")) }
    _ = try await owner.until("launches/\(launch.id)", as: MigrationAPI.Launch.self) { $0.state == .removed }
    try await owner.order("migrations/\(migration.id)/switch", MigrationAPI.LaunchWish())
    let switched = try await owner.migration(migration.id) { $0.switchedAt != nil || $0.problem != nil }
    #expect(switched.problem == nil)
    try await end
    #expect(try await owner.points(migration.id).first?.final == true)
    try await owner.order("migrations/\(migration.id)/finish")
    _ = try await owner.migration(migration.id) { $0.state == .done }
    try await expectHandedOver(owner, admin)
    // The end is told before the last step is committed: that commit is still to be killed.
    for _ in 0..<300 {
      let killed = (try? String(contentsOfFile: plane.folder + "/killed", encoding: .utf8)) ?? ""
      if killed.contains("finish.end:after") { break }
      try await Task.sleep(for: .milliseconds(50))
    }
    let events = try await owner.events(migration.id)
    for code in ["point_recorded", "test_passed", "test_removed", "switched", "finished"] {
      #expect(events.filter { $0 == code }.count == (code == "point_recorded" ? 4 : 1), "\(code): \(events)")
    }
  }
}
