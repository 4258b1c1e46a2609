import ArgumentParser
import Client
import Foundation
import ServiceKit
import Wire

struct LicenceCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "licence", abstract: "Licences: a seat for each machine that is migrated.",
    discussion: "The operator issues and revokes them (role finance, or the platform's administrator).",
    subcommands: [Issue.self, List.self, Show.self, Check.self, Revoke.self])

  struct Issue: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Issue a licence to a tenant, and print it.")
    @Argument(help: "The tenant it is for.") var holder: String
    @Option(help: "evaluation, standard or enterprise.") var edition = "standard"
    @Option(help: "Machines that may be migrated.") var seats: Int
    @Option(help: "Days it is good for, from now.") var days = 365
    @Option(help: "With the same key the same licence is answered again.") var key: String?
    @OptionGroup var options: ClientOptions

    func run() async throws {
      try await options.run { platform in
        let issued = try await platform.issue(
          .init(tenant: holder, edition: .init(rawValue: edition), seats: seats, days: days, key: key))
        if options.json { return try options.printJSON(issued) }
        print(issued.licence)
      }
    }
  }

  struct List: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "The tenant's licences and how many of their seats are taken; the operator's: of all tenants.")
    @Flag(help: "Of every tenant, for the operator.") var all = false
    @OptionGroup var options: ClientOptions

    func run() async throws {
      try await options.run { platform in
        let licences = all ? try await platform.allLicences() : try await platform.licences()
        if options.json { return try options.printJSON(licences) }
        let seats = all ? nil : try await platform.seats()
        var table = TextTable(["ID", "TENANT", "EDITION", "TAKEN", "SEATS", "UNTIL", ""])
        for licence in licences {
          let taken = seats?.seats.count { $0.licence == licence.id }
          table.add([
            licence.id, licence.tenant, licence.edition.rawValue, taken.map { "\($0)" } ?? "", "\(licence.seats)",
            Self.instant(licence.until), Self.remark(licence)
          ])
        }
        print(table.text)
      }
    }

    static func instant(_ seconds: Int) -> String {
      Date(timeIntervalSince1970: Double(seconds)).formatted(.iso8601)
    }

    private static func remark(_ licence: LicensingAPI.Issued) -> String {
      let now = Int(Date().timeIntervalSince1970)
      return licence.revokedAt != nil ? "revoked" : licence.until <= now ? "expired" : now < licence.from ? "early" : ""
    }
  }

  struct Show: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Print one of the tenant's licences, as it was signed.")
    @Argument(help: "Its id.") var id: String
    @OptionGroup var options: ClientOptions

    func run() async throws {
      try await options.run { platform in
        let licence = try await platform.licence(id: id)
        if options.json { return try options.printJSON(licence) }
        print(licence.licence)
      }
    }
  }

  struct Revoke: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Make a licence void: no migration starts by it any more; those that run go on.")
    @Argument(help: "Its id.") var id: String
    @OptionGroup var options: ClientOptions

    func run() async throws { try await options.run { try await $0.revoke(licence: id) } }
  }
}
