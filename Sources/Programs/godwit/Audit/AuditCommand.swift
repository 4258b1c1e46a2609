import ArgumentParser
import Client
import Foundation
import ServiceKit
import Wire

struct AuditCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "audit", abstract: "Who did what to what, from where.", subcommands: [List.self, Verify.self])

  struct List: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "What was done for a tenant, newest first.")
    @Option(help: "How many.") var last = 50
    @OptionGroup var options: ClientOptions

    func run() async throws {
      try await options.run { platform in
        let entries = try await platform.audit(last: last)
        if options.json { return try options.printJSON(entries) }
        var table = TextTable(["SEQ", "WHEN", "WHO", "FROM", "WHAT", "OF", "OUTCOME"])
        for entry in entries {
          let event = entry.event
          table.add([
            "\(entry.seq)", Date(timeIntervalSince1970: Double(event.at)).formatted(.iso8601), event.actor,
            event.from ?? "", event.action, event.object,
            event.outcome.rawValue + (event.code.map { " (\($0))" } ?? "")
          ])
        }
        print(table.text)
      }
    }
  }
}
