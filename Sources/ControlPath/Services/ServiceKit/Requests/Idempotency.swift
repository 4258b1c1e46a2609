import Crypto
import FoundationEssentials
import GRDB
import HTTPTypes
import Hummingbird
import NIOCore
import Wire

/// `Idempotency-Key` of requests that make something: repeated within 24 h, such a request is answered as the first time and
/// makes nothing anew. An answer is kept encrypted under the caller's key, of which only a hash is kept: what is shown once
/// lies in no database in plain text.
struct Idempotency: Sendable {
  /// Seconds.
  static let memory = 86_400
  /// Seconds after which a request of another process that has no answer is taken for dead.
  static let patience = 60
  private static let longestBody = 1 << 20

  let writer: any DatabaseWriter
  let now: @Sendable () -> Int
  /// This process: what it began and has not ended is under way.
  private static let life = Secret.text(bytes: 12)

  init(writer: any DatabaseWriter, now: @escaping @Sendable () -> Int = { Int(Date().timeIntervalSince1970) }) {
    (self.writer, self.now) = (writer, now)
  }

  static func register(in migrator: inout DatabaseMigrator) {
    migrator.registerMigration("idempotency-1") { database in
      try database.execute(
        sql: """
          CREATE TABLE idempotency (
            tenant TEXT NOT NULL, actor TEXT NOT NULL, key TEXT NOT NULL, digest TEXT NOT NULL, at INTEGER NOT NULL,
            life TEXT NOT NULL, changed BOOLEAN NOT NULL, answer BLOB, PRIMARY KEY (tenant, actor, key));
          CREATE INDEX idempotency_at ON idempotency (at);
          """)
    }
  }

  /// Handles a request, or answers as the first one of its key was.
  /// - Throws: `Problem` 400 for a bad key, 422 for the key of another request, 409 while the first is under way, or where
  ///   it was cut off after it had changed something.
  func once(
    _ request: Request, _ context: ServiceContext, _ body: (Request) async throws -> Response
  ) async throws -> Response {
    guard request.method == .post, let key = request.headers[.idempotencyKey] else { return try await body(request) }
    guard (1...255).contains(key.utf8.count), key.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else {
      throw Problem.malformed("'Idempotency-Key' has 1 to 255 letters, digits and signs.")
    }
    var request = request
    let bytes = try await request.wholeBody(limit: Self.longestBody)
    request.body = RequestBody(buffer: bytes)
    let claim = IdempotencyClaim(
      tenant: context.parameters.get("tenant") ?? "*", actor: context.actor, secret: key,
      digest: Self.digest(request, bytes))
    if let known = try await begin(claim) {
      AuditTrail.current?.keep()
      return known.response
    }
    do {
      let response = try await IdempotencyClaim.$current.withValue(claim) { try await body(request) }
      return try await keep(response, claim)
    } catch {
      try await writer.write { database in
        // What has changed something stays known, though nobody can say any more what the answer was.
        try database.execute(
          sql: "DELETE FROM idempotency WHERE tenant = ? AND actor = ? AND key = ? AND changed = 0",
          arguments: claim.name)
      }
      throw error
    }
  }

  /// Notes the claim; the first answer, where there is one.
  private func begin(_ claim: IdempotencyClaim) async throws -> KeptAnswer? {
    let (time, life) = (now(), Self.life)
    let kept = try await writer.write { database -> Data? in
      try database.execute(sql: "DELETE FROM idempotency WHERE at < ?", arguments: [time - Self.memory])
      let row = try Row.fetchOne(
        database, sql: "SELECT * FROM idempotency WHERE tenant = ? AND actor = ? AND key = ?", arguments: claim.name)
      if let row {
        guard row["digest"] == claim.digest else { throw Self.reused }
        if let answer: Data = row["answer"] { return answer }
        if row["changed"] == true { throw Self.cutOff }
        guard row["life"] != life, time - (row["at"] as Int) > Self.patience else { throw Self.underWay }
      }
      try database.execute(
        sql: """
          INSERT OR REPLACE INTO idempotency (tenant, actor, key, digest, at, life, changed) VALUES (?, ?, ?, ?, ?, ?, 0)
          """, arguments: claim.name + [claim.digest, time, life])
      return nil
    }
    return try kept.map { try JSONDecoder().decode(KeptAnswer.self, from: try claim.open($0)) }
  }

  private func keep(_ response: Response, _ claim: IdempotencyClaim) async throws -> Response {
    let collected = CollectedBody()
    try await response.body.write(collected)
    let answer = KeptAnswer(
      status: response.status.code, contentType: response.headers[.contentType], body: collected.bytes)
    let sealed = try claim.seal(try JSONEncoder().encode(answer))
    try await writer.write { database in
      try database.execute(
        sql: "UPDATE idempotency SET answer = ? WHERE tenant = ? AND actor = ? AND key = ?",
        arguments: [sealed] + claim.name)
    }
    var response = response
    response.body = ResponseBody(byteBuffer: ByteBuffer(bytes: collected.bytes))
    return response
  }

  private static func digest(_ request: Request, _ body: ByteBuffer) -> String {
    var hash = SHA256()
    hash.update(data: Data("\(request.method.rawValue) \(request.uri.string)\n".utf8))
    hash.update(data: Data(body.readableBytesView))
    return Hex.encode(Array(hash.finalize()))
  }

  private static let reused = Problem(
    code: "idempotency_key_reused", status: 422, detail: "The Idempotency-Key belongs to another request.",
    remedy: "Choose a new key for each thing to be made, and repeat it only with the same request.")
  private static let underWay = Problem(
    code: "idempotency_under_way", status: 409, detail: "The first request of this Idempotency-Key has not ended.",
    remedy: "Repeat it in a moment.", retryAfter: 1)
  private static let cutOff = Problem(
    code: "idempotency_cut_off", status: 409,
    detail: "The first request of this Idempotency-Key changed something, and was cut off before its answer.",
    remedy: "Look whether what it should make is there; use a new key where it is not.")
}

/// One answer as it is kept.
struct KeptAnswer: Codable {
  var status: Int
  var contentType: String?
  var body: [UInt8]

  var response: Response {
    var headers: HTTPFields = [.cacheControl: "no-store", .idempotencyReplayed: "true"]
    headers[.contentType] = contentType
    return Response(
      status: .init(code: status), headers: headers,
      body: body.isEmpty ? .init() : .init(byteBuffer: .init(bytes: body)))
  }
}
