import Crypto
import CryptoExtras
import Foundation
import NIOPosix
import ServiceKit

/// Passwords as they are kept: scrypt (RFC 7914), in the form `$scrypt$ln=15,r=8,p=3$SALT$HASH` (base64).
public enum PasswordHash {
  public struct Cost: Hashable, Sendable {
    /// The base-2 logarithm of the number of rounds.
    public var logRounds: Int
    /// In 128 bytes; memory is rounds times this.
    public var blockSize: Int
    public var parallelism: Int
    public init(logRounds: Int, blockSize: Int, parallelism: Int) {
      (self.logRounds, self.blockSize, self.parallelism) = (logRounds, blockSize, parallelism)
    }
    /// 32 MiB, three times.
    public static let standard = Cost(logRounds: 15, blockSize: 8, parallelism: 3)
  }

  /// Of users who sign in otherwise: no password is theirs.
  static let none = ""

  static func make(_ password: String, cost: Cost) async throws -> String {
    let salt = Secret.bytes(16)
    let hash = try await derive(password, salt, cost)
    return "$scrypt$ln=\(cost.logRounds),r=\(cost.blockSize),p=\(cost.parallelism)$"
      + Data(salt).base64EncodedString() + "$" + Data(hash).base64EncodedString()
  }

  /// Whether `password` is the one of `kept`. Without one the time is spent all the same, so that nobody learns from it
  /// who has an account.
  static func matches(_ password: String, _ kept: String?, cost: Cost) async throws -> Bool {
    guard isPossible(password) else { return false }
    guard let kept, let (made, salt, hash) = parse(kept) else {
      _ = try await derive(password, [UInt8](repeating: 0, count: 16), cost)
      return false
    }
    let given = try await derive(password, salt, made)
    return SHA256.hash(data: given) == SHA256.hash(data: hash)
  }

  /// Not with zeros: the HMAC in scrypt fills up short keys with them, so that several passwords would be one.
  static func isPossible(_ password: String) -> Bool { !password.isEmpty && !password.utf8.contains(0) }

  private static func parse(_ text: String) -> (Cost, salt: [UInt8], hash: [UInt8])? {
    let parts = text.split(separator: "$")
    guard parts.count == 4, parts[0] == "scrypt" else { return nil }
    let numbers = parts[1].split(separator: ",").compactMap { $0.split(separator: "=").last.flatMap { Int($0) } }
    guard numbers.count == 3, let salt = Data(base64Encoded: String(parts[2])),
      let hash = Data(base64Encoded: String(parts[3]))
    else { return nil }
    return (Cost(logRounds: numbers[0], blockSize: numbers[1], parallelism: numbers[2]), Array(salt), Array(hash))
  }

  /// 32 bytes. On a thread of the pool: it takes a good part of a second. The password must be possible.
  static func derive(_ password: String, _ salt: [UInt8], _ cost: Cost) async throws -> [UInt8] {
    // The same letters typed on another system may be other code points.
    let bytes = Array(password.precomposedStringWithCompatibilityMapping.utf8)
    return try await NIOThreadPool.singleton.runIfActive {
      let key = try KDF.Scrypt.deriveKey(
        from: bytes, salt: salt, outputByteCount: 32, rounds: 1 << cost.logRounds, blockSize: cost.blockSize,
        parallelism: cost.parallelism)
      return key.withUnsafeBytes(Array.init)
    }
  }
}
