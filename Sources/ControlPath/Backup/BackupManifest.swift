import Foundation

/// What a backup holds, in the order in which it lies there.
struct BackupManifest: Codable, Hashable, Sendable {
  struct Entry: Codable, Hashable, Sendable {
    /// Below the state folder: `clouds/clouds.sqlite`.
    var path: String
    /// Bytes.
    var size: Int
    /// SHA-256, hex.
    var sha256: String
    var isDatabase: Bool
    /// `0o600`, or `0o644` for public halves of keys.
    var mode: UInt32
  }
  /// Of this layout.
  var version = 1
  /// Of the program that made it.
  var program: String
  /// Seconds since 1970.
  var madeAt: Int
  var entries: [Entry]

  /// Bytes of the longest manifest.
  static let longest = 16 << 20

  /// - Throws: `BackupFailure` for one of another version, or whose paths lead out of the folder.
  func check() throws {
    guard version == 1 else { throw BackupFailure.unknownVersion(version) }
    var seen: Set<String> = []
    for entry in entries {
      let parts = entry.path.split(separator: "/", omittingEmptySubsequences: false)
      let isClean = parts.allSatisfy { !$0.isEmpty && $0 != "." && $0 != ".." && !$0.utf8.contains(0) }
      guard isClean, entry.size >= 0, seen.insert(entry.path).inserted else {
        throw BackupFailure.damaged("it names '\(entry.path.prefix(200))'")
      }
    }
  }
}

/// Why a backup cannot be made or used.
public enum BackupFailure: Error, Hashable, Sendable, CustomStringConvertible {
  case notABackup
  case unknownVersion(Int)
  /// A wrong secret and a changed file look the same.
  case notOpened
  case damaged(String)

  public var description: String {
    switch self {
    case .notABackup: "The file is no backup. Give one that 'godwit backup' made."
    case .unknownVersion(let version): "The backup has layout \(version), of a later program. Use that one."
    case .notOpened:
      "The backup cannot be opened: the passphrase or key is another one, or the file was changed or cut off. "
        + "Check the secret, or use another copy."
    case .damaged(let what): "The backup is damaged: \(what). Use another copy."
    }
  }
}
