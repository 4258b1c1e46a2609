import ArgumentParser
import Client
import Wire

struct VerifyCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "verify", abstract: "Have the target re-read a point and compare every leaf with what was sealed.",
    discussion: """
      Reads clones of the point's snapshots; what is found is kept with the point. With --full a sync follows that reads \
      everything in use at the source and on the replica again, whatever was read before, mends what differs and makes a \
      new point.
      """)
  @Argument(help: "The migration: name or id.") var migration: String
  @Option(help: "The point (the newest if none is given).") var point: String?
  @Flag(help: "Re-read the source and the whole replica, too.") var full = false
  @OptionGroup var options: ClientOptions

  func run() async throws {
    try await options.run { platform in
      let migration = try await platform.migration(migration)
      let point = try await platform.point(point, of: migration)
      let run = try await platform.verify(point: point.id).check?.run
      var check: MigrationAPI.PointCheck?
      repeat {
        try await Task.sleep(for: .seconds(1))
        check = try await platform.point(id: point.id).check
      } while check?.run == run && check?.state == .reading
      guard let check else { throw Failure(.notThere(point.id)) }
      var sync: MigrationAPI.Sync?
      if full {
        let begun = try await platform.sync(migration.id, .init(scrub: .everything))
        sync = try await Follow(platform, quiet: options.json).sync(migration.id, begun.id)
      }
      if options.json {
        try options.printJSON(Whole(point: point.id, check: check, sync: sync))
      } else {
        print(text(check, sync))
      }
      if let problem = check.problem ?? sync?.problem { throw Failure(problem) }
      if check.state != .passed { throw ExitCode(1) }
    }
  }

  private struct Whole: Encodable {
    var point: String
    var check: MigrationAPI.PointCheck
    var sync: MigrationAPI.Sync?
  }

  private func text(_ check: MigrationAPI.PointCheck, _ sync: MigrationAPI.Sync?) -> String {
    var lines = [PointText.text(check)]
    if let sync {
      let found = sync.progress?.scrub ?? ScrubFindings()
      lines.append(
        found.isClean
          ? "Source and replica were re-read: nothing differs."
          : "\(found.differing) leaves of the replica had differed and are mended; \(found.missed) had been missed.")
    }
    return lines.joined(separator: "\n")
  }
}

/// A point's re-reading as people read it.
enum PointText {
  static func text(_ check: MigrationAPI.PointCheck) -> String {
    switch check.state {
    case .reading: "being re-read"
    case .passed: "right: \(check.compared) leaves re-read \(check.endedAt.map(Instant.text) ?? "")"
    case .differs: "DAMAGED: \(check.differing) of \(check.compared) leaves differ"
    case .failed: "could not be re-read"
    }
  }
}

extension Problem {
  fileprivate static func notThere(_ point: String) -> Problem {
    Problem(
      code: "not_found", status: 404, detail: "The point \(point) is gone.", remedy: "Verify a later one.")
  }
}
