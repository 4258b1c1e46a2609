import Foundation
import GRDB
import Glibc
import ServiceKit
import Wire

/// How often a password may be tried. Each failure beyond the free ones doubles the pause before the next try, for the
/// account and for the address it comes from; a try counts as failed before its password is looked at, so that many at
/// once gain nothing.
struct SignInLimit: Sendable {
  /// Failures without a pause; seconds of the longest pause; seconds after which failures are forgotten.
  static let freeOfAccount = 5
  static let freeOfAddress = 30
  static let longestPause = 900.0
  static let memory = 86_400.0

  let database: IdentityDatabase
  let now: @Sendable () -> Double

  private static func keys(_ email: String?, _ address: String) -> [(key: String, free: Int)] {
    (email.map { [("account:" + $0, freeOfAccount)] } ?? []) + [("address:" + network(of: address), freeOfAddress)]
  }

  /// What counts as one address: of IPv6 the first 64 bits, which is what one customer has at least; an IPv4 address in
  /// IPv6's form is the same as without.
  static func network(of address: String) -> String {
    var bytes = in6_addr()
    guard inet_pton(AF_INET6, address, &bytes) == 1 else { return address }
    let words = withUnsafeBytes(of: bytes, Array.init)
    if words.prefix(12) == [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF] {
      return words.suffix(4).map { "\($0)" }.joined(separator: ".")
    }
    return Hex.encode(Array(words.prefix(8))) + "/64"
  }

  static func pause(failures: Int, free: Int) -> Double {
    failures < free ? 0 : min(pow(2, Double(min(failures - free, 20))), longestPause)
  }

  /// Counts a try as failed.
  /// - Parameter email: nil: nobody knows yet whose it is.
  /// - Throws: `Problem` 429 `too_many_attempts`, without counting it.
  func begin(email: String?, address: String) async throws {
    let time = now()
    try await database.pool.write { db in
      try db.execute(sql: "DELETE FROM attempt WHERE lastAt < ?", arguments: [time - Self.memory])
      for (key, free) in Self.keys(email, address) {
        guard let row = try AttemptRow.fetchOne(db, key: key) else { continue }
        let wait = row.lastAt + Self.pause(failures: row.failures, free: free) - time
        guard wait <= 0 else {
          throw Problem(
            code: "too_many_attempts", status: 429, detail: "Sign-in was tried too often.",
            remedy: "Try again in \(Int(wait.rounded(.up))) s.", retryAfter: max(1, Int(wait.rounded(.up))))
        }
      }
      for (key, _) in Self.keys(email, address) {
        var row = try AttemptRow.fetchOne(db, key: key) ?? AttemptRow(key: key, failures: 0, lastAt: time)
        (row.failures, row.lastAt) = (row.failures + 1, time)
        try row.save(db)
      }
    }
  }

  /// The try was right: the account's failures are forgotten, the address's one is taken back.
  func succeed(email: String?, address: String) async throws {
    try await database.pool.write { db in
      if let email { try db.execute(sql: "DELETE FROM attempt WHERE key = ?", arguments: ["account:" + email]) }
      try db.execute(
        sql: "UPDATE attempt SET failures = MAX(failures - 1, 0) WHERE key = ?",
        arguments: ["address:" + Self.network(of: address)])
    }
  }
}
