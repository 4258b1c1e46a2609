import ArgumentParser
import Client
import Machines
import Wire

struct SourceCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "source", abstract: "Machines to move.", subcommands: [Add.self, List.self, Show.self])

  struct Add: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Print the line to paste into a root shell of the machine; good once, for 24 hours.")
    @OptionGroup var options: ClientOptions

    func run() async throws {
      try await options.run { platform in
        let token = try await platform.enrolmentToken()
        if options.json { return try options.printJSON(token) }
        print(token.command)
      }
    }
  }

  struct List: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "The machines that have reported.")
    @OptionGroup var options: ClientOptions

    func run() async throws {
      try await options.run { platform in
        let sources = try await platform.sources()
        if options.json { return try options.printJSON(sources) }
        var table = TextTable(["ID", "NAME", "SYSTEM", "FIRMWARE", "DISKS", "AGENT", ""])
        for source in sources {
          let disks = source.machine.disks.map { "\($0.name) \(ProgressLine.bytes(Double($0.size)))" }
          table.add([
            source.id, source.name, source.machine.distribution.name, source.machine.firmware.rawValue,
            disks.joined(separator: ", "), source.online ? "online" : "away", source.problem?.detail ?? ""
          ])
        }
        print(table.text)
      }
    }
  }

  struct Show: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "All that one machine reported, as JSON.")
    @Argument(help: "Name or id.") var source: String
    @OptionGroup var options: ClientOptions

    func run() async throws {
      try await options.run { try options.printJSON(try await $0.source(source)) }
    }
  }
}
