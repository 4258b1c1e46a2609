import Glibc
public import GRDB
import NIOCore

/// One thing that a service cannot work without, and how to find out whether it is there.
public struct ReadinessCheck: Sendable {
  public let name: String
  let body: @Sendable () async throws -> Void

  /// - Parameter body: throws what is wrong; that goes to the log, not to the caller.
  public init(_ name: String, _ body: @escaping @Sendable () async throws -> Void) {
    (self.name, self.body) = (name, body)
  }

  /// The database can be read.
  public static func database(_ reader: any DatabaseReader) -> ReadinessCheck {
    ReadinessCheck("database") {
      _ = try await reader.read { try Int.fetchOne($0, sql: "SELECT count(*) FROM sqlite_master") }
    }
  }

  /// A key's file is still there, and ours alone: without it the next start would fail.
  public static func key(_ file: String) -> ReadinessCheck {
    ReadinessCheck("key") {
      guard try PrivateFile.read(file) != nil else {
        throw ConfigurationError("There is no \(file).", remedy: "Restore it from a copy before the next start.")
      }
    }
  }

  /// Another service answers.
  public static func service(_ name: String, _ endpoint: RESTClient.Endpoint) throws -> ReadinessCheck {
    let client = try RESTClient(name: name, endpoint: endpoint, timeout: .seconds(3))
    return ReadinessCheck(name) { _ = try await client.bytes("/healthz") }
  }
}
