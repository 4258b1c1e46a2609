import Crypto
import Wire

/// Random bytes and text nobody can guess, and its comparison.
public enum Secret {
  /// `bytes` random bytes of the system's generator, as base64url.
  public static func text(bytes: Int) -> String { Base64URL.encode(self.bytes(bytes)) }

  /// So many bytes of the system's generator.
  public static func bytes(_ count: Int) -> [UInt8] {
    var generator = SystemRandomNumberGenerator()
    return (0..<count).map { _ in UInt8.random(in: 0...255, using: &generator) }
  }

  /// Whether both are the same, in a time that does not tell where they differ.
  public static func same(_ a: String, _ b: String) -> Bool {
    SHA256.hash(data: Array(a.utf8)) == SHA256.hash(data: Array(b.utf8))
  }
}
