import Foundation
import GRDB
import Logging
import ServiceKit
import ServiceLifecycle

/// Brings every target's secret under the newest key, while targets are used and changed.
struct SecretRotation: Service {
  let database: DatabasePool
  let box: SecretBox
  let logger: Logger
  /// Seconds between two looks.
  var pause = 60.0

  func run() async throws {
    await cancelWhenGracefulShutdown {
      while !Task.isCancelled {
        do { try await once() } catch is CancellationError { return } catch {
          logger.error("secrets cannot be sealed anew", metadata: ["error": "\(error)"])
        }
        do { try await Task.sleep(for: .seconds(pause)) } catch { return }
      }
    }
  }

  /// Secrets that an older key sealed, of every tenant.
  static func old(_ box: SecretBox, in reader: any DatabaseReader) async throws -> [Targets.Row] {
    try await reader.read { try Targets.Row.fetchAll($0, sql: "SELECT * FROM target WHERE secret IS NOT NULL") }
      .filter { row in row.secret.map { !box.isCurrent($0) } ?? false }
  }

  private func once() async throws {
    var (done, failed) = (0, 0)
    for row in try await Self.old(box, in: database) {
      guard let secret = row.secret else { continue }
      do {
        let text = try box.open(secret, tenant: row.tenant, target: row.id)
        let sealed = try box.seal(text, tenant: row.tenant, target: row.id)
        // Unless it was changed meanwhile: then the newest key sealed it anyway.
        try await database.write { db in
          try db.execute(
            sql: "UPDATE target SET secret = ? WHERE tenant = ? AND id = ? AND secret = ?",
            arguments: [sealed, row.tenant, row.id, secret])
        }
        done += 1
      } catch let error as ConfigurationError {
        failed += 1
        logger.error(
          "secret cannot be sealed anew",
          metadata: ["tenant": "\(row.tenant)", "target": "\(row.id)", "error": "\(error)"])
      }
    }
    if done + failed > 0 {
      logger.notice("secrets sealed anew", metadata: ["done": "\(done)", "failed": "\(failed)"])
    }
  }
}

extension MetricRegistry {
  /// How many secrets need an older key: while there are any it must stay.
  func gaugeOldSecrets(_ box: SecretBox, in reader: any DatabaseReader) {
    gauge("godwit_secrets_under_old_keys", "Secrets that are not sealed by the newest key yet.") {
      guard let old = try? await SecretRotation.old(box, in: reader) else { return [] }
      return [([:], Double(old.count))]
    }
  }
}
