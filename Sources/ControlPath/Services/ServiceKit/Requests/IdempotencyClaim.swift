import Crypto
import FoundationEssentials
import GRDB
import HTTPTypes
import Hummingbird
import NIOCore
import Synchronization
import Wire

/// A request that bears an `Idempotency-Key`, while it is handled.
struct IdempotencyClaim: Sendable {
  @TaskLocal static var current: IdempotencyClaim?

  let tenant: String
  let actor: String
  let digest: String
  private let hash: String
  private let cipher: SymmetricKey

  /// - Parameter secret: the caller's key, which is kept nowhere.
  init(tenant: String, actor: String, secret: String, digest: String) {
    (self.tenant, self.actor, self.digest) = (tenant, actor, digest)
    hash = Hex.encode(Array(SHA256.hash(data: Data("godwit-idempotency-name-1\0\(secret)".utf8))))
    cipher = HKDF<SHA256>.deriveKey(
      inputKeyMaterial: SymmetricKey(data: Data(secret.utf8)), info: Data("godwit-idempotency-answer-1".utf8),
      outputByteCount: 32)
  }

  /// Its row's primary key.
  var name: StatementArguments { [tenant, actor, hash] }
  private var context: Data { Data("\(tenant)\0\(actor)\0\(digest)".utf8) }

  func seal(_ answer: Data) throws -> Data {
    guard let sealed = try AES.GCM.seal(answer, using: cipher, authenticating: context).combined else {
      throw CryptoKitError.incorrectParameterSize
    }
    return sealed
  }

  func open(_ sealed: Data) throws -> Data {
    try AES.GCM.open(try AES.GCM.SealedBox(combined: sealed), using: cipher, authenticating: context)
  }

  /// In the transaction of the first change: from then on the request is not carried out again.
  func markChanged(_ database: GRDB.Database) throws {
    try database.execute(
      sql: "UPDATE idempotency SET changed = 1 WHERE tenant = ? AND actor = ? AND key = ?", arguments: name)
  }
}

/// Takes an answer's body instead of a connection.
struct CollectedBody: ResponseBodyWriter {
  /// Shared by the copies of the value; written by one task.
  private final class Box: Sendable { let bytes = Mutex<[UInt8]>([]) }
  private let box = Box()

  var bytes: [UInt8] { box.bytes.withLock { $0 } }

  mutating func write(_ buffer: ByteBuffer) async throws {
    box.bytes.withLock { $0 += Array(buffer.readableBytesView) }
  }
  consuming func finish(_ trailingHeaders: HTTPFields?) async throws {}
}

extension HTTPField.Name {
  /// `Idempotency-Key`
  static let idempotencyKey = HTTPField.Name("Idempotency-Key")!
  /// On an answer that was given before.
  static let idempotencyReplayed = HTTPField.Name("Idempotency-Replayed")!
}
