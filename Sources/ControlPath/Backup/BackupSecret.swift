import Crypto
import CryptoExtras
import Foundation
import ServiceKit

/// What a backup is sealed with. Each backup has a key of its own, derived from this and its salt.
public enum BackupSecret: Sendable {
  case passphrase(String)
  /// At least 32 bytes that nobody can guess.
  case key([UInt8])

  /// The content of a key file of mode 0600.
  public static func file(_ path: String) throws -> BackupSecret {
    guard let bytes = try PrivateFile.read(path) else {
      throw ConfigurationError(
        "There is no \(path).", remedy: "Make it by 'godwit key \(path)', and keep a copy elsewhere.")
    }
    guard bytes.count >= 32 else {
      throw ConfigurationError("\(path) holds less than 32 bytes.", remedy: "Make a key by 'godwit key'.")
    }
    return .key(bytes)
  }

  /// - Throws: `ConfigurationError` for one that is soon guessed.
  public static func checked(passphrase: String) throws -> BackupSecret {
    guard passphrase.count >= 12 else {
      throw ConfigurationError("The passphrase is shorter than 12 characters.", remedy: "Choose a longer one.")
    }
    return .passphrase(passphrase)
  }

  /// How the key of one backup comes from the secret; stands at the file's beginning.
  struct Derivation: Codable, Hashable, Sendable {
    var isPassphrase: Bool
    var salt: Data
    /// Of scrypt: the base-2 logarithm of the rounds. A passphrase costs a quarter of a GiB to try.
    var logRounds = 18

    init(_ secret: BackupSecret) {
      if case .passphrase = secret { isPassphrase = true } else { isPassphrase = false }
      salt = Data(Secret.bytes(32))
    }
  }

  func derive(_ how: Derivation) throws -> SymmetricKey {
    guard how.salt.count == 32, (14...20).contains(how.logRounds) else { throw BackupFailure.notABackup }
    switch self {
    case .passphrase(let text) where how.isPassphrase:
      return try KDF.Scrypt.deriveKey(
        from: Array(text.precomposedStringWithCompatibilityMapping.utf8), salt: how.salt, outputByteCount: 32,
        rounds: 1 << how.logRounds, blockSize: 8, parallelism: 1, maxMemory: 2 << 30)
    case .key(let bytes) where !how.isPassphrase:
      return HKDF<SHA256>.deriveKey(
        inputKeyMaterial: SymmetricKey(data: bytes), salt: how.salt, info: Data("godwit-backup-1".utf8),
        outputByteCount: 32)
    case .passphrase:
      throw ConfigurationError("The backup was sealed with a key.", remedy: "Give its file as --key-file.")
    case .key:
      throw ConfigurationError(
        "The backup was sealed with a passphrase.", remedy: "Leave out --key-file; the passphrase is read.")
    }
  }
}
