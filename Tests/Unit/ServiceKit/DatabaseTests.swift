import GRDB
import ServiceKit
import Testing

@Suite struct DatabaseTests {
  private func migrator(_ identifiers: String...) -> DatabaseMigrator {
    var migrator = DatabaseMigrator()
    for identifier in identifiers {
      migrator.registerMigration(identifier) { try $0.create(table: "table-" + identifier) { $0.column("a") } }
    }
    return migrator
  }

  @Test("two parts share a file; a part's newer form is refused, the other's is none of its business")
  func parts() async throws {
    try await withTemporaryFolder { folder in
      let path = folder + "/a.sqlite"
      _ = try ServiceKit.Database.open(path, migrations: migrator("jobs-1"))
      _ = try ServiceKit.Database.open(path, migrations: migrator("orders-1", "orders-2"))
      _ = try ServiceKit.Database.open(path, migrations: migrator("jobs-1"))
      let error = #expect(throws: ConfigurationError.self) {
        try ServiceKit.Database.open(path, migrations: migrator("orders-1"))
      }
      #expect(error?.problem.contains("newer version") == true)
    }
  }

  @Test("a file that cannot be opened is said in plain words") func cannotOpen() throws {
    let error = #expect(throws: ConfigurationError.self) {
      try ServiceKit.Database.open("/nonexistent/a.sqlite", migrations: migrator("a-1"))
    }
    #expect(error?.problem.contains("/nonexistent/a.sqlite") == true)
  }
}
