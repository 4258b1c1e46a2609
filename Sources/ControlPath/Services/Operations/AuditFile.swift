import Foundation
import GRDB
public import Wire

/// The audit in a database's file, read as it lies there: also in a copy, without the service.
public enum AuditFile {
  /// Checks every record against the chain and the signed heads.
  /// - Parameters:
  ///   - publicKey: of the operations service, 32 bytes.
  ///   - anchors: further heads, as the service's log has them.
  /// - Returns: how many records there are.
  /// - Throws: `AuditBreak`, or `DatabaseError` for a file that is damaged or none.
  public static func verify(_ path: String, publicKey: [UInt8], anchors: [AuditHead] = []) throws -> Int64 {
    var configuration = Configuration()
    configuration.readonly = true
    return try DatabaseQueue(path: path, configuration: configuration).read { database in
      var chain = AuditChain()
      let newest = try AuditHead.newest(database).map { try AuditHead($0, publicKey: publicKey) }
      // In the order in which they lie there, without an index that may say otherwise.
      let rows = try Row.fetchCursor(database, sql: "SELECT seq, body, hash FROM audit NOT INDEXED ORDER BY seq")
      while let row = try rows.next() {
        // A byte that is no text any more must not pass as one.
        guard let body = text(row["body"]), let hash = text(row["hash"]) else {
          throw AuditBreak.altered(seq: row["seq"])
        }
        try chain.follow(AuditRecord(seq: row["seq"], body: body, hash: hash), anchors: anchors)
      }
      try chain.end(newest: newest, anchors: anchors)
      return chain.seq
    }
  }

  private static func text(_ value: Data) -> String? { String(data: value, encoding: .utf8) }
}
