import Crypto
import Foundation

/// Reads what `SealedWriter` wrote; gives out no byte that is not authenticated.
struct SealedReader {
  private let file: FileHandle
  private let key: SymmetricKey
  private let head: SHA256Digest
  private var number: UInt64 = 0
  private var pending = Data()
  private var isOver = false

  /// Bytes of the longest description of a key's derivation.
  private static let longestHead = 4096

  /// - Throws: `BackupFailure`, or `ConfigurationError` for the other kind of secret.
  init(_ file: FileHandle, secret: BackupSecret) throws {
    self.file = file
    guard try file.read(upToCount: SealedWriter.magic.count) == SealedWriter.magic,
      let count = try Self.length(file), count <= Self.longestHead,
      let description = try file.read(upToCount: count), description.count == count,
      let derivation = try? JSONDecoder().decode(BackupSecret.Derivation.self, from: description)
    else { throw BackupFailure.notABackup }
    key = try secret.derive(derivation)
    head = SHA256.hash(data: SealedWriter.magic + SealedWriter.length(count) + description)
  }

  private static func length(_ file: FileHandle) throws -> Int? {
    guard let bytes = try file.read(upToCount: 4), bytes.count == 4 else { return nil }
    return bytes.reduce(0) { $0 << 8 | Int($1) }
  }

  /// So many bytes, or fewer where that is less work; never none.
  /// - Throws: `BackupFailure`.
  mutating func read(atMost count: Int) throws -> Data {
    while pending.isEmpty { try open() }
    let data = Data(pending.prefix(count))
    pending = Data(pending.dropFirst(data.count))
    return data
  }

  mutating func read(exactly count: Int) throws -> Data {
    var data = Data()
    while data.count < count { data += try read(atMost: count - data.count) }
    return data
  }

  /// That nothing follows.
  mutating func end() throws {
    while !isOver, pending.isEmpty { try open() }
    guard pending.isEmpty, try file.read(upToCount: 1)?.isEmpty ?? true else {
      throw BackupFailure.damaged("there is more in it than its list says")
    }
  }

  private mutating func open() throws {
    guard !isOver else { throw BackupFailure.damaged("there is less in it than its list says") }
    guard let word = try Self.length(file) else { throw BackupFailure.notOpened }
    let (isLast, count) = (word >> 31 == 1, word & 0x7FFF_FFFF)
    guard count <= SealedWriter.chunk, let sealed = try file.read(upToCount: count + SealedWriter.tag),
      sealed.count == count + SealedWriter.tag,
      let box = try? AES.GCM.SealedBox(
        nonce: SealedWriter.nonce(number, isLast: isLast), ciphertext: sealed.prefix(count), tag: sealed.suffix(16)),
      let data = try? AES.GCM.open(box, using: key, authenticating: Data(head))
    else { throw BackupFailure.notOpened }
    (number, isOver, pending) = (number + 1, isLast, data)
  }
}
