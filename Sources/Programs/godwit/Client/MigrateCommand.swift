import ArgumentParser
import Client
import Wire

struct MigrateCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "migrate", abstract: "Move a machine: start, sync, test, switch, finish.",
    subcommands: [
      Start.self, Status.self, Sync.self, Test.self, EndTest.self, Switch.self, Rollback.self, Finish.self, Points.self,
      Proof.self
    ])

  struct Start: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Start moving a source: copy what is used, then keep the copy fresh.")
    @Argument(help: "The source: name or id.") var source: String
    @Option(help: "A name for the migration (the source's, if none is given).") var name: String?
    @Option(help: "The target to move it to.") var target = "local"
    @Option(help: "Seconds between syncs; without it, only when asked.") var every: Int?
    @Option(help: "Points to keep.") var keep = 5
    @Option(help: "At most this many megabytes a second on the link.") var limit: Int?
    @Option(help: "Mebibytes of each disk that every sync reads again at both ends, in turn.") var scrub: UInt64?
    @OptionGroup var options: ClientOptions

    func run() async throws {
      try await options.run { platform in
        let source = try await platform.source(source)
        let limits = limit.map { SyncCommand.Limits(link: UInt64($0) * 1_000_000) }
        let migration = try await platform.start(
          .init(
            name: name ?? source.name, source: source.id, target: target, schedule: every, retention: keep,
            limits: limits, scrub: scrub.map { $0 << 20 }))
        if options.json { return try options.printJSON(migration) }
        print("\(migration.name) (\(migration.id)) has started; follow it by: godwit migrate status \(migration.name)")
      }
    }
  }

  struct Sync: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Bring the copy up to date now and make a point.")
    @Argument(help: "The migration: name or id.") var migration: String
    @Flag(help: "Re-read and compare everything instead of trusting the tracker.") var compare = false
    @Flag(help: "Read everything in use again, at the source and on the replica, and mend what differs.")
    var scrub = false
    @Flag(inversion: .prefixedNo, help: "Wait until the point is there.") var wait = true
    @OptionGroup var options: ClientOptions

    func run() async throws {
      try await options.run { platform in
        let migration = try await platform.migration(migration)
        let sync = try await platform.sync(
          migration.id, .init(mode: compare ? .compare : nil, scrub: scrub ? .everything : nil))
        guard wait else { return options.json ? try options.printJSON(sync) : print(sync.id) }
        let ended = try await Follow(platform, quiet: options.json).sync(migration.id, sync.id)
        if options.json { try options.printJSON(ended) }
        if let problem = ended.problem { throw Failure(problem) }
      }
    }
  }

  struct Points: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "The recorded points, newest first.")
    @Argument(help: "The migration: name or id.") var migration: String
    @OptionGroup var options: ClientOptions

    func run() async throws {
      try await options.run { platform in
        let migration = try await platform.migration(migration)
        let points = try await platform.points(migration.id)
        if options.json { return try options.printJSON(points) }
        var table = TextTable(["POINT", "AT", "CONSISTENCY", "RE-READ", "DIGEST OF DISK 1"])
        for point in points {
          table.add([
            point.id, Instant.text(point.createdAt),
            Set(point.receipt.consistency.values).sorted().joined(separator: ", "),
            point.check.map(PointText.text) ?? "-", point.receipt.disks.first?.root ?? ""
          ])
        }
        print(table.text)
      }
    }
  }
}
