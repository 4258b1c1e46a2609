import Crypto
import Foundation
import Wire

/// Opaque 128-bit names that fit `[a-z0-9-]`.
public enum Identifier {
  public static func make(_ prefix: String) -> String {
    let alphabet = Array("0123456789abcdefghjkmnpqrstvwxyz".utf8)
    var generator = SystemRandomNumberGenerator()
    let letters = (0..<26).map { _ in alphabet[Int.random(in: 0..<32, using: &generator)] }
    return prefix + "-" + String(decoding: letters, as: UTF8.self)
  }

  /// A name that is the same for the same key of the same tenant; a random one without a key.
  public static func make(_ prefix: String, tenant: String, key: String?) -> String {
    guard let key else { return make(prefix) }
    let digest = SHA256.hash(data: Data("\(prefix)\0\(tenant)\0\(key)".utf8))
    return prefix + "-" + Hex.encode(Array(digest.prefix(16)))
  }

  /// Whether a text from outside can be an id at all.
  public static func isValid(_ text: String) -> Bool {
    (1...63).contains(text.utf8.count)
      && text.utf8.allSatisfy { (0x30...0x39).contains($0) || (0x61...0x7A).contains($0) || $0 == 0x2D }
  }
}
