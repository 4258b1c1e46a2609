import ArgumentParser
import Client
import Wire

struct TokenCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "token", abstract: "API tokens for programs.", subcommands: [Add.self, List.self, Revoke.self])

  struct Add: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Print a new API token; it is not shown again.")
    @Argument(help: "What it is for.") var name: String
    @Option(parsing: .upToNextOption, help: "What it may do: read, migrate, configure, own.") var scopes: [Right] = [
      .read
    ]
    @Option(help: "Days it is good for, at most 366.") var days = 90
    @OptionGroup var options: ClientOptions

    func run() async throws {
      try await options.run { platform in
        let token = try await platform.makeToken(.init(name: name, scopes: scopes, expiresIn: days * 86_400))
        if options.json { return try options.printJSON(token) }
        print(token.token ?? "")
      }
    }
  }

  struct List: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "The API tokens, without what they are shown by.")
    @OptionGroup var options: ClientOptions

    func run() async throws {
      try await options.run { platform in
        let tokens = try await platform.apiTokens()
        if options.json { return try options.printJSON(tokens) }
        var table = TextTable(["ID", "NAME", "SCOPES", "USER"])
        for token in tokens {
          table.add([token.id, token.name, token.scopes.map(\.rawValue).joined(separator: ","), token.user ?? ""])
        }
        print(table.text)
      }
    }
  }

  struct Revoke: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Make an API token void.")
    @Argument(help: "Its id.") var id: String
    @OptionGroup var options: ClientOptions

    func run() async throws { try await options.run { try await $0.revoke(token: id) } }
  }
}
