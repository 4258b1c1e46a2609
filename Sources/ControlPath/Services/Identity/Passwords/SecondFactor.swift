import Foundation
import GRDB
import ServiceKit
import Wire

/// A user's authenticator: in force once it has shown a code. A code serves once.
struct SecondFactor: Sendable {
  private static let recoveryCodes = 10
  let database: IdentityDatabase
  let box: SecretBox
  let now: @Sendable () -> Int

  /// A new secret, not in force yet.
  /// - Throws: `Problem` 409 where one is.
  func begin(_ user: UserRecord) async throws -> IdentityAPI.SecondFactor {
    let bytes = Secret.bytes(20)
    let secret = TOTP.base32(bytes)
    let codes = (0..<Self.recoveryCodes).map { _ in "gwr_" + Secret.text(bytes: 10) }
    let row = SecondFactorRecord(
      user: user.id, secret: try box.seal(Hex.encode(bytes), of: Self.owner(user.id)), isInForce: false, lastStep: 0,
      recovery: codes.map(SecretHash.of))
    try await database.pool.audited { db in
      if let known = try SecondFactorRecord.fetchOne(db, key: user.id), known.isInForce {
        throw Problem.conflict("You have a second factor.", remedy: "Remove it first.")
      }
      try row.save(db)
    }
    let label = "Godwit:" + (user.email.addingPercentEncoding(withAllowedCharacters: .alphanumerics) ?? user.id)
    return .init(
      secret: secret, url: "otpauth://totp/\(label)?secret=\(secret)&issuer=Godwit", recoveryCodes: codes)
  }

  /// Puts it in force.
  func confirm(_ user: String, _ code: String) async throws {
    try await database.pool.audited { db in
      guard try take(user, code, recovery: false, thenInForce: true, db) else { throw Self.refused }
    }
  }

  /// Takes a code, of the authenticator or for recovery, from a user who needs one.
  /// - Throws: `Problem` 401.
  func check(_ user: String, _ code: String?) async throws {
    let row = try await database.pool.read { try SecondFactorRecord.fetchOne($0, key: user) }
    guard let row, row.isInForce else { return }
    guard let code else {
      throw Problem(
        code: "second_factor_needed", status: 401, detail: "Your authenticator's code is needed as well.",
        remedy: "Give it as 'code', or a recovery code.")
    }
    guard try await database.pool.write({ try take(user, code, recovery: true, $0) }) else { throw Self.refused }
  }

  func remove(_ user: String) async throws {
    try await database.pool.audited { db in _ = try SecondFactorRecord.deleteOne(db, key: user) }
  }

  /// Whether the code is good; from then on it is not.
  private func take(
    _ user: String, _ code: String, recovery: Bool, thenInForce: Bool = false, _ db: GRDB.Database
  ) throws -> Bool {
    guard var row = try SecondFactorRecord.fetchOne(db, key: user) else { return false }
    let secret = Hex.decode(try box.open(row.secret, of: Self.owner(user))) ?? []
    if let step = TOTP.step(of: code, secret, now: now(), after: row.lastStep) {
      row.lastStep = step
    } else if recovery, let index = row.recovery.firstIndex(of: SecretHash.of(code)) {
      row.recovery.remove(at: index)
    } else {
      return false
    }
    row.isInForce = row.isInForce || thenInForce
    try row.update(db)
    return true
  }

  private static func owner(_ user: String) -> String { "godwit-second-factor-1\0\(user)" }

  private static let refused = Problem(
    code: "second_factor_refused", status: 401, detail: "The code is wrong, or was used.",
    remedy: "Wait for the next one; check the clock of your telephone.")
}
