import Crypto
import Foundation
import GRDB
import Machines
import ServiceKit
import Wire

/// Single-use tokens, and the identities they are exchanged for.
struct Enrolment: Sendable {
  static let tokenLife = 86_400
  let orchestrator: Orchestrator

  /// A new token; only its hash is kept.
  /// - Parameter most: how many sources the tenant may have, those counted that open tokens may become; nil: any number.
  func issue(tenant: String, atMost most: Int? = nil) async throws -> MigrationAPI.EnrolmentToken {
    let token = "gwe_" + Secret.text(bytes: 32)
    let row = EnrolmentTokenRow(
      hash: Self.hash(token), tenant: tenant, expiresAt: orchestrator.now() + Self.tokenLife)
    let now = orchestrator.now()
    try await orchestrator.database.write { db in
      let sources = try SourceRow.filter(Column("tenant") == tenant).fetchCount(db)
      let tokens = EnrolmentTokenRow.filter(
        Column("tenant") == tenant && Column("usedBy") == nil && Column("expiresAt") > now)
      if let most, try sources + tokens.fetchCount(db) >= most {
        throw TenantLimits.reached("sources and open enrolment tokens", most)
      }
      try row.insert(db)
    }
    return MigrationAPI.EnrolmentToken(token: token, expiresAt: row.expiresAt, command: command(token))
  }

  /// Exchanges a token for a source. With the same key it may be repeated: the answer may have been lost.
  func enrol(_ request: EnrolmentRequest, key: PublicJWK) async throws -> SourceRow {
    let (now, hash) = (orchestrator.now(), Self.hash(request.token))
    return try await orchestrator.database.write { db in
      guard var token = try EnrolmentTokenRow.fetchOne(db, key: hash) else {
        throw Problem(
          code: "token_unknown", status: 403, detail: "There is no such enrolment token.",
          remedy: "Make a new one in the console and paste its line.")
      }
      guard token.usedBy == nil || token.usedBy == key.thumbprint else {
        throw Problem(
          code: "token_used", status: 403, detail: "The enrolment token has enrolled another machine already.",
          remedy: "Make a new token for each machine.")
      }
      guard token.expiresAt > now else {
        throw Problem(
          code: "token_expired", status: 403, detail: "The enrolment token is older than a day.",
          remedy: "Make a new one in the console and paste its line.")
      }
      token.usedBy = key.thumbprint
      try token.update(db)
      return try Self.source(for: request, key: key, tenant: token.tenant, now: now, db)
    }
  }

  private static func source(
    for request: EnrolmentRequest, key: PublicJWK, tenant: String, now: Int, _ db: GRDB.Database
  ) throws -> SourceRow {
    if var known = try SourceRow.filter(Column("thumbprint") == key.thumbprint).fetchOne(db) {
      guard known.tenant == tenant else {
        throw Problem(
          code: "identity_taken", status: 409, detail: "The agent's key belongs to another tenant.",
          remedy: "Remove the agent's state folder and enrol again.")
      }
      (known.machine, known.agentVersion, known.lastSeenAt) = (request.machine, request.agentVersion, now)
      try known.update(db)
      return known
    }
    let source = SourceRow(
      id: Identifier.make("src"), tenant: tenant, name: String(request.machine.hostname.prefix(253)),
      thumbprint: key.thumbprint, publicKey: key.x, machine: request.machine, agentVersion: request.agentVersion,
      enrolledAt: now, lastSeenAt: now, formerInstances: [])
    try source.insert(db)
    try EventRow(
      tenant: tenant, at: now, source: source.id, code: "source_enrolled",
      message: "The machine \(source.name) was added."
    ).insert(db)
    return source
  }

  static func hash(_ token: String) -> String { Hex.encode(Array(SHA256.hash(data: Array(token.utf8)))) }

  /// For a root shell. The script, and with it the token, travels on standard input and is in no process's arguments.
  private func command(_ token: String) -> String {
    let url = orchestrator.configuration.publicURL
    return """
      sh -s <<'GODWIT'
      set -eu; [ "$(id -u)" = 0 ] || { echo "Paste this into a root shell (sudo -i)." >&2; exit 1; }
      umask 077; d=$(mktemp -d); trap 'rm -rf "$d"' EXIT
      cat >"$d/ca.pem" <<'CA'
      \(orchestrator.configuration.certificateAuthority.trimmingCharacters(in: .newlines))
      CA
      if command -v curl >/dev/null; then curl -fsS --cacert "$d/ca.pem" -o "$d/agent" \(url)/v1/agent/download/linux-x86_64
      else wget -q --ca-certificate="$d/ca.pem" -O "$d/agent" \(url)/v1/agent/download/linux-x86_64; fi
      chmod 700 "$d/agent"
      printf '%s\\n' '\(token)' | "$d/agent" enrol --server \(url) --ca-file "$d/ca.pem"
      GODWIT
      """
  }
}
