import Crypto
import FoundationEssentials
import Wire

/// A right password that still wants its second factor, kept by the browser: sealed under a key that this process made,
/// good for a few minutes.
struct PendingSignIn: Codable, Hashable {
  static let life = 300
  var email: String
  var password: String
  /// Seconds since 1970.
  var until: Int

  /// Seals and opens them.
  struct Box: Sendable {
    private let key = SymmetricKey(size: .bits256)

    func seal(_ pending: PendingSignIn) throws -> String {
      let sealed = try AES.GCM.seal(try JSONEncoder().encode(pending), using: key)
      return Base64URL.encode(Array(sealed.nonce) + sealed.ciphertext + sealed.tag)
    }

    /// Nil for what this process did not seal, or too long ago.
    func open(_ text: String, now: Int) -> PendingSignIn? {
      guard let bytes = Base64URL.decode(text), let box = try? AES.GCM.SealedBox(combined: Data(bytes)),
        let plain = try? AES.GCM.open(box, using: key),
        let pending = try? JSONDecoder().decode(PendingSignIn.self, from: plain), pending.until > now
      else { return nil }
      return pending
    }
  }
}
