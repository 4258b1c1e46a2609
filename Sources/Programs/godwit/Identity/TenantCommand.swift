import ArgumentParser
import Client
import Wire

struct TenantCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "tenant", abstract: "Who shares the platform (for its administrator).",
    subcommands: [Add.self, List.self])

  struct Add: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Make a tenant; then invite its first owner.")
    @Argument(help: "Its id: a-z, 0-9 and -.") var id: String
    @Option(help: "Its name, if not the id.") var name: String?
    @OptionGroup var options: ClientOptions

    func run() async throws {
      try await options.run { platform in
        let tenant = try await platform.makeTenant(.init(id: id, name: name ?? id))
        if options.json { return try options.printJSON(tenant) }
        print("Tenant \(tenant.id). Next: godwit user invite ADDRESS --role owner --tenant \(tenant.id)")
      }
    }
  }

  struct List: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "The tenants.")
    @OptionGroup var options: ClientOptions

    func run() async throws {
      try await options.run { platform in
        let tenants = try await platform.tenants()
        if options.json { return try options.printJSON(tenants) }
        var table = TextTable(["ID", "NAME"])
        for tenant in tenants { table.add([tenant.id, tenant.name]) }
        print(table.text)
      }
    }
  }
}
