import GRDB
import Machines
import ServiceKit
import Wire

struct SourceRow: TenantRow {
  static let databaseTableName = "source"
  /// Seconds after which an agent that does not ask counts as gone.
  static let onlineSeconds = 120

  var id: String
  var tenant: String
  var name: String
  /// Of the agent's key, and that key: 32 bytes, base64url.
  var thumbprint: String
  var publicKey: String
  var machine: MachineDescription
  var agentVersion: String
  var enrolledAt: Int
  var lastSeenAt: Int
  /// The agent's process that asked last, and those that it replaced (the newest few).
  var instance: String?
  var formerInstances: [String]
  var problem: Problem?

  func isOnline(at now: Int) -> Bool { now - lastSeenAt < Self.onlineSeconds }

  func view(at now: Int) -> MigrationAPI.Source {
    MigrationAPI.Source(
      id: id, name: name, machine: machine, agentVersion: agentVersion, identity: thumbprint, enrolledAt: enrolledAt,
      lastSeenAt: lastSeenAt, online: isOnline(at: now), problem: problem)
  }
}

struct EnrolmentTokenRow: Codable, Sendable, FetchableRecord, PersistableRecord {
  static let databaseTableName = "enrolmentToken"
  /// SHA-256 of the token, hex: the token itself is shown once and not kept.
  var hash: String
  var tenant: String
  var expiresAt: Int
  /// Thumbprint of the key that it enrolled.
  var usedBy: String?
}

/// A command to an agent, kept until the agent reported its end.
struct CommandRow: TenantRow {
  static let databaseTableName = "command"
  var id: String
  var tenant: String
  var source: String
  var body: AgentCommand.Body
  /// The agent's process that was told last.
  var knownTo: String?
  var report: AgentReport?
  var ended: Bool
  /// The workflow to wake when there is news.
  var waker: String?
  var createdAt: Int
}

struct EventRow: TenantRow {
  static let databaseTableName = "event"
  var id: String
  var tenant: String
  var at: Int
  var migration: String?
  var source: String?
  var code: String
  var message: String

  /// - Parameter id: given where a step that may run twice must not tell it twice.
  init(
    id: String = Identifier.make("evt"), tenant: String, at: Int, migration: String? = nil, source: String? = nil,
    code: String, message: String
  ) {
    (self.id, self.tenant, self.at, self.migration, self.source) = (id, tenant, at, migration, source)
    (self.code, self.message) = (code, message)
  }

  var view: MigrationAPI.Event {
    MigrationAPI.Event(id: id, at: at, migration: migration, source: source, code: code, message: message)
  }
}
