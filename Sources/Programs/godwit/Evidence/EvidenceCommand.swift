import ArgumentParser
import Client
import FoundationEssentials
import Wire

struct EvidenceCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "evidence", abstract: "The proof that a copy is right: get it, check it without the platform.",
    subcommands: [Get.self, Check.self])

  struct Get: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Download the evidence of a point.")
    @Argument(help: "The migration: name or id.") var migration: String
    @Option(help: "The point (the newest if none is given).") var point: String?
    @Option(help: "Where to write it (POINT.evidence if none is given).") var output: String?
    @OptionGroup var options: ClientOptions

    func run() async throws {
      try await options.run { platform in
        let point = try await platform.point(point, of: try await platform.migration(migration))
        let path = output ?? point.id + ".evidence"
        try Data(try await platform.evidence(point: point.id)).write(to: URL(filePath: path))
        if options.json { return try options.printJSON(["file": path, "point": point.id]) }
        print("\(path)\nCheck it anywhere by: godwit evidence check \(path) --ca ca.pem [--volume DISK=PATH]")
      }
    }
  }
}

extension PlatformClient {
  /// A point of a migration: this one, or the newest.
  func point(_ wanted: String?, of migration: MigrationAPI.Migration) async throws -> MigrationAPI.Point {
    let points = try await points(migration.id)
    guard let found = wanted.map({ id in points.first { $0.id == id } }) ?? points.first else {
      throw Problem(
        code: "not_found", status: 404, detail: "\(migration.name) has no such point.",
        remedy: "See 'godwit migrate points \(migration.name)'.")
    }
    return found
  }
}
