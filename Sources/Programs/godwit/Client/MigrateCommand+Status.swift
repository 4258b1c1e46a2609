import ArgumentParser
import Client
import Wire

extension MigrateCommand {
  struct Status: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "How the migrations stand; one in full, live with --follow.")
    @Argument(help: "The migration: name or id; without it, all of them.") var migration: String?
    @Flag(help: "Stay and show the running sync.") var follow = false
    @OptionGroup var options: ClientOptions

    func run() async throws {
      try await options.run { platform in
        guard let migration else { return try await list(platform) }
        let found = try await platform.migration(migration)
        let syncs = try await platform.syncs(found.id)
        if follow, let active = found.activeSync {
          _ = try await Follow(platform, quiet: options.json).sync(found.id, active)
        }
        let launches = try await platform.launches(found.id)
        if options.json { return try options.printJSON(Whole(migration: found, syncs: syncs, launches: launches)) }
        print("\(found.name)  \(found.state.rawValue)\(found.paused ? " (paused)" : "")")
        if let sync = syncs.first(where: { $0.id == found.activeSync }), let progress = sync.progress {
          print("  \(sync.mode.rawValue): \(ProgressLine.text(progress, ProgressEstimate()))")
          if let forecast = ProgressLine.forecast(progress.forecast) { print("  \(forecast)") }
          if let voided = progress.voided { print("  a delta could not be proven (\(voided)); everything is compared") }
          if let problem = progress.problem { print("  problem: \(problem)") }
        }
        if let scrub = found.scrub { print("  " + ScrubText.text(scrub)) }
        if let check = try await platform.points(found.id).first?.check {
          print("  last point: \(PointText.text(check))")
        }
        if let problem = found.problem { print("  \(problem.detail)\n    \(problem.remedy)") }
        for event in try await platform.events(found.id).prefix(10) {
          print("  \(Instant.text(event.at))  \(event.message)")
        }
      }
    }

    private func list(_ platform: PlatformClient) async throws {
      let migrations = try await platform.migrations()
      if options.json { return try options.printJSON(migrations) }
      var table = TextTable(["ID", "NAME", "STATE", "LAST POINT", ""])
      for one in migrations {
        table.add([
          one.id, one.name, one.state.rawValue + (one.paused ? " (paused)" : ""),
          one.lastPointAt.map(Instant.text) ?? "-", one.problem?.detail ?? ""
        ])
      }
      print(table.text)
    }

    struct Whole: Encodable {
      var migration: MigrationAPI.Migration
      var syncs: [MigrationAPI.Sync]
      var launches: [MigrationAPI.Launch]
    }
  }
}
