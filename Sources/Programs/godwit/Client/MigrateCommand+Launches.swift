import ArgumentParser
import Client
import FoundationEssentials
import Wire

extension MigrateCommand {
  /// What a launch may be told.
  struct LaunchOptions: ParsableArguments {
    @Option(name: .customLong("port"), help: "Guest TCP port to reach from here; may be repeated (22 if none).")
    var ports: [Int] = []
    @Option(help: "Text on the serial console that proves the start (a login prompt if none).") var successText: String?
    @Option(help: "Forwarded port that must greet for the start to count.") var successPort: Int?
    @Option(help: "Seconds the machine may take to prove itself.") var bootSeconds: Int?
    @Option(help: "CPUs (as the source, if none).") var cpus: Int?
    @Option(help: "Memory in MiB (as the source, if none).") var memory: UInt64?

    func wish(point: String? = nil, expiresIn: Int? = nil) -> MigrationAPI.LaunchWish {
      .init(
        point: point, expiresIn: expiresIn, cpus: cpus, memory: memory.map { $0 << 20 },
        ports: ports.isEmpty ? nil : ports, successText: successText, successPort: successPort, bootSeconds: bootSeconds
      )
    }
  }

  struct Test: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Start a disposable, isolated machine from a point and prove that it runs.")
    @Argument(help: "The migration: name or id.") var migration: String
    @Option(help: "The point (the newest if none is given).") var point: String?
    @Option(help: "Seconds until it is removed.") var expires: Int?
    @OptionGroup var launch: LaunchOptions
    @OptionGroup var options: ClientOptions

    func run() async throws {
      try await options.run { platform in
        let migration = try await platform.migration(migration)
        let started = try await platform.launch(migration.id, launch.wish(point: point, expiresIn: expires))
        let ended = try await Follow(platform, quiet: options.json).launch(started.id)
        try options.show(ended)
      }
    }
  }

  struct EndTest: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Remove a test machine before it expires.")
    @Argument(help: "The migration: name or id.") var migration: String
    @Option(help: "The launch (the newest test if none is given).") var launch: String?
    @OptionGroup var options: ClientOptions

    func run() async throws {
      try await options.run { platform in
        let migration = try await platform.migration(migration)
        let tests = try await platform.launches(migration.id).filter { $0.kind == .test }
        guard let found = launch.map({ id in tests.first { $0.id == id } }) ?? tests.first else {
          throw Problem(
            code: "not_found", status: 404, detail: "\(migration.name) has no such test machine.",
            remedy: "See 'godwit migrate status \(migration.name) --json' for its launches.")
        }
        try await platform.remove(launch: found.id)
        let ended = try await Follow(platform, quiet: options.json).removed(found.id)
        if options.json { try options.printJSON(ended) } else { print("The test machine is gone.") }
      }
    }
  }

  struct Switch: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Freeze the source, copy the last blocks, power it off, start it on the target.")
    @Argument(help: "The migration: name or id.") var migration: String
    @OptionGroup var launch: LaunchOptions
    @OptionGroup var options: ClientOptions

    func run() async throws {
      try await options.run { platform in
        let migration = try await platform.migration(migration)
        let known = Set(try await platform.launches(migration.id).map(\.id))
        _ = try await platform.step("switch", migration.id, launch.wish())
        let ended = try await Follow(platform, quiet: options.json).switched(migration.id, known: known)
        try options.show(ended)
      }
    }
  }

  struct Rollback: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Take a switch back: stop the target; then start the source again yourself.")
    @Argument(help: "The migration: name or id.") var migration: String
    @OptionGroup var options: ClientOptions

    func run() async throws {
      try await options.run { platform in
        let migration = try await platform.migration(migration)
        _ = try await platform.step("rollback", migration.id)
        let after = try await Follow(platform, quiet: options.json).settled(migration.id) { $0.switchedAt == nil }
        if options.json { return try options.printJSON(after) }
        print(after.rollbackStatement ?? "Taken back. Start the source again.")
      }
    }
  }

  struct Finish: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Keep the target; remove everything made along the way, the agent included.")
    @Argument(help: "The migration: name or id.") var migration: String
    @OptionGroup var options: ClientOptions

    func run() async throws {
      try await options.run { platform in
        let migration = try await platform.migration(migration)
        _ = try await platform.step("finish", migration.id)
        let after = try await Follow(platform, quiet: options.json).settled(migration.id) { $0.state == .done }
        if options.json { return try options.printJSON(after) }
        print("\(after.name) is done; the machine on the target is yours.")
      }
    }
  }

  struct Proof: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "What proves a launch: verdict, repair, console; the screenshot with --screenshot FILE.")
    @Argument(help: "The migration: name or id.") var migration: String
    @Option(help: "The launch (the newest if none is given).") var launch: String?
    @Option(help: "Write the boot screenshot (PNG) here.") var screenshot: String?
    @OptionGroup var options: ClientOptions

    func run() async throws {
      try await options.run { platform in
        let migration = try await platform.migration(migration)
        let launches = try await platform.launches(migration.id)
        guard let found = launch.map({ id in launches.first { $0.id == id } }) ?? launches.first else {
          throw Problem(
            code: "not_found", status: 404, detail: "\(migration.name) was not launched yet.",
            remedy: "Start a test by 'godwit migrate test \(migration.name)'.")
        }
        if let screenshot {
          try Data(try await platform.screenshot(launch: found.id)).write(to: URL(filePath: screenshot))
        }
        try options.show(found)
      }
    }
  }
}

extension ClientOptions {
  func show(_ launch: MigrationAPI.Launch) throws {
    if json { try printJSON(launch) } else { print(LaunchText.text(launch)) }
    if let problem = launch.problem { throw Failure(problem) }
  }
}
