import Crypto
import Foundation

/// Writes a stream sealed with AES-256-GCM in chunks of 1 MiB. A chunk's number, and whether it is the last one, are in
/// its nonce, and the file's beginning is authenticated with each: none can be changed, moved, left out or cut off.
struct SealedWriter {
  static let magic = Data("GODWITB1".utf8)
  static let chunk = 1 << 20
  static let tag = 16

  private let file: FileHandle
  private let key: SymmetricKey
  private let head: Data
  private var number: UInt64 = 0
  private var pending = Data()

  init(_ file: FileHandle, secret: BackupSecret) throws {
    self.file = file
    let derivation = BackupSecret.Derivation(secret)
    key = try secret.derive(derivation)
    let description = try JSONEncoder().encode(derivation)
    head = Self.magic + Self.length(description.count) + description
    try file.write(contentsOf: head)
  }

  static func length(_ count: Int) -> Data { withUnsafeBytes(of: UInt32(count).bigEndian) { Data($0) } }

  static func nonce(_ number: UInt64, isLast: Bool) throws -> AES.GCM.Nonce {
    try AES.GCM.Nonce(data: withUnsafeBytes(of: number.bigEndian) { Data($0) } + [0, 0, 0, isLast ? 1 : 0])
  }

  mutating func write(_ data: Data) throws {
    pending += data
    // The last chunk is sealed by `finish`, so something stays until then.
    while pending.count > Self.chunk {
      try seal(pending.prefix(Self.chunk), isLast: false)
      pending = Data(pending.dropFirst(Self.chunk))
    }
  }

  /// The end; the file is durable after it.
  mutating func finish() throws {
    try seal(pending, isLast: true)
    pending = Data()
    try file.synchronize()
  }

  /// The length's highest bit marks the last one.
  private mutating func seal(_ data: Data, isLast: Bool) throws {
    let box = try AES.GCM.seal(
      data, using: key, nonce: Self.nonce(number, isLast: isLast), authenticating: Data(SHA256.hash(data: head)))
    number += 1
    try file.write(contentsOf: Self.length(box.ciphertext.count | (isLast ? 1 << 31 : 0)))
    try file.write(contentsOf: box.ciphertext + box.tag)
  }
}
