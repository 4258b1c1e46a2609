import Foundation
import GRDB
import Machines
import Wire

struct LaunchRow: TenantRow {
  static let databaseTableName = "launch"
  var id: String
  var tenant: String
  var migration: String
  var point: String
  var kind: MigrationAPI.Launch.Kind
  var state: MigrationAPI.Launch.State
  var wish: MigrationAPI.LaunchWish
  var forwards: [MigrationAPI.Launch.Forward]
  var repair: RepairReport?
  var proof: MigrationAPI.Launch.Proof?
  var problem: Problem?
  var createdAt: Int
  var expiresAt: Int?

  var machine: String { id + "-m" }
  var appliance: String { id + "-r" }
  func clone(_ disk: Int) -> String { "\(id)-\(disk)" }

  var view: MigrationAPI.Launch {
    MigrationAPI.Launch(
      id: id, migration: migration, point: point, kind: kind, state: state, machine: machine, forwards: forwards,
      repair: repair, proof: proof, problem: problem, createdAt: createdAt, expiresAt: expiresAt)
  }
}

struct ScreenshotRow: Codable, Sendable, FetchableRecord, PersistableRecord {
  static let databaseTableName = "screenshot"
  var launch: String
  var tenant: String
  var png: Data
}
