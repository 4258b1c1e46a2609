import Fakes
import Foundation
import NIOHTTP1
import ServiceKit
import Testing
import Wire
import Workflows

/// The promise: the control plane may be killed at any step, and goes on as if nothing had been. The log of the fake
/// cloud, a program that is not killed, is the judge.
@Suite(.timeLimit(.minutes(15)), .serialized)
struct KillTests {
  @Test func `Killed once after every side effect and around every commit, a migration ends the same`() async throws {
    try await Self.survive(
      among: [""],
      expected: [
        "sync.volumes/put.volume.0:effect", "sync.volumes/put.volume.1:effect", "sync.volumes:before",
        "sync.volumes:after", "sync.attach/put.attachment.1:effect", "sync.command:before", "sync.wait:after",
        "sync.snapshot/put.snapshot.0:effect", "sync.snapshot/put.snapshot.1:effect", "sync.record:before",
        "sync.record:after", "sync.prune/delete.snapshot.0:effect", "launch.clone/put.volume.1:effect",
        "launch.repair/put.machine.r:effect", "launch.repaired/delete.machine.r:effect",
        "launch.boot/put.machine.m:effect", "launch.remove/delete.machine.m:effect",
        "launch.remove/delete.volume.0:effect", "switch.final:before", "switch.launch:after",
        "switch.launching:before", "finish.points/delete.snapshot.0:effect", "finish.volumes/delete.volume.1:effect",
        "finish.end:before", "finish.end:after", "agent.reported.done:after"
      ], last: "finish.end:after", KillStories.migrate)
  }

  @Test func `Killed while it rolls back and removes, with a cloud that fails and loses answers, it ends the same`()
    async throws
  {
    try await Self.survive(
      among: ["rollback.", "finish."],
      expected: [
        "rollback.stop/post.power.m:effect", "rollback.stop:before", "rollback.stop:after", "rollback.stopped:before",
        "rollback.open:before", "rollback.open:after", "rollback.home:before", "rollback.home:after",
        "finish.quiet:after", "finish.points/delete.snapshot.1:effect", "finish.volumes/delete.attachment.0:effect",
        "finish.volumes/delete.volume.0:effect", "finish.end:before"
      ], last: "finish.end:after"
    ) { plane, admin in
      var faults = Faults()
      (faults.errorRate, faults.throttleRate, faults.lostAnswerRate) = (0.1, 0.1, 0.2)
      try await admin.set(faults)
      try await KillStories.rollBack(plane)
      let hits = try await admin.hits()
      #expect(hits.errors > 0 && hits.throttles > 0 && hits.lostAnswers > 0, "\(hits)")
      try await admin.set(Faults())
      try await KillStories.expectNothingLeft(Owner(plane: plane), admin)
    }
  }

  @Test func `Killed while it cleans up after failures and an abort, it ends the same`() async throws {
    try await Self.survive(
      among: ["sync.abandon", "switch.", "launch.failed", "launch.remove", "finish.agent", "finish.uninstalling"],
      expected: [
        "sync.abandon:before", "sync.abandon:after", "switch.failed:before", "switch.failed:after",
        "launch.failed:before", "launch.failed:after", "launch.remove/delete.machine.m:effect",
        "launch.remove/delete.volume.1:effect", "launch.remove:before", "launch.remove:after", "finish.agent:after"
      ], last: "finish.uninstalling:after"
    ) { plane, admin in
      try await KillStories.fail(plane, admin)
      try await KillStories.expectNothingLeft(Owner(plane: plane), admin)
    }
  }

  // MARK: Lives

  /// Runs `story` against a control plane that is killed once at each point it reaches.
  ///
  /// - Parameters:
  ///   - prefixes: of the points where it is killed.
  ///   - expected: points that must be among them: a fault that is not hit proves nothing.
  ///   - last: the point that is still to come when the story's end can be seen.
  static func survive(
    among prefixes: [String], expected: [String], last: String, evaluationSeats: Int? = nil,
    _ story: @escaping @Sendable (ControlPlane, FakeCloudAdmin) async throws -> Void
  ) async throws {
    try await ControlPlane.test(running: false) { plane, admin in
      let plane = plane.licensed(evaluationSeats)
      let file = plane.folder + "/killed"
      try await withThrowingTaskGroup(of: Int.self) { group in
        group.addTask {
          var lives = 0
          while !FileManager.default.fileExists(atPath: plane.folder + "/stop") {
            try await Self.live(plane, prefixes, killedAt: file)
            lives += 1
          }
          return lives
        }
        group.addTask {
          defer { _ = FileManager.default.createFile(atPath: plane.folder + "/stop", contents: nil) }
          try await story(plane, admin)
          for _ in 0..<300 {
            if let text = try? String(contentsOfFile: file, encoding: .utf8), text.contains(last) { break }
            try await Task.sleep(for: .milliseconds(50))
          }
          return 0
        }
        var lives = 0
        for try await count in group { lives += count }
        let points = try String(contentsOfFile: file, encoding: .utf8).split(separator: "\n").map(String.init)
        print("killed at \(points.count) points, \(lives) lives")
        #expect(Set(points).count == points.count)
        // The last life ended by itself, where the story was not over before it began.
        #expect(points.count...points.count + 1 ~= lives, "each kill was one life")
        for name in expected { #expect(points.contains(name), "\(name) was never reached") }
      }
    }
  }

  /// The exit code of a life that nobody killed.
  private static let toldToStop: Int32 = 7

  /// One life of the control plane in a process of its own, until it is killed or the test is over.
  private static func live(_ plane: ControlPlane, _ prefixes: [String], killedAt file: String) async throws {
    let result = await #expect(processExitsWith: .failure) { [plane, prefixes, file] in
      try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask { try await plane.run(faults: .killingEach(namesIn: file, among: prefixes)) }
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
}
