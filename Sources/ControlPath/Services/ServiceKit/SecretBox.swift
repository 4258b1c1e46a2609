import Crypto
public import FoundationEssentials

/// Seals secrets at rest: AES-256-GCM under a key that lies in a file of its own, outside the database. What a secret is
/// of is authenticated with it, so that a sealed one cannot be moved to another row.
public struct SecretBox: Sendable {
  private let key: SymmetricKey

  /// Reads the key, or makes one at first start.
  public init(keyFile: String) throws {
    if let bytes = try PrivateFile.read(keyFile) {
      guard bytes.count == 32 else {
        throw ConfigurationError(
          "\(keyFile) holds no key.", remedy: "Restore it; without it nothing that was sealed can be used.")
      }
      key = SymmetricKey(data: bytes)
      return
    }
    key = SymmetricKey(size: .bits256)
    try PrivateFile.write(key.withUnsafeBytes(Array.init), to: keyFile)
  }

  /// - Parameter owner: names the kind and the row.
  public func seal(_ secret: String, of owner: String) throws -> Data {
    let sealed = try AES.GCM.seal(Data(secret.utf8), using: key, authenticating: Data(owner.utf8))
    guard let combined = sealed.combined else {
      throw ConfigurationError("A secret could not be sealed.", remedy: "Report this as a fault.")
    }
    return combined
  }

  public func open(_ sealed: Data, of owner: String) throws -> String {
    guard let box = try? AES.GCM.SealedBox(combined: sealed),
      let secret = try? AES.GCM.open(box, using: key, authenticating: Data(owner.utf8))
    else {
      let name = owner.split(separator: "\0").dropFirst().joined(separator: " ")
      throw ConfigurationError(
        "The secret of \(name) cannot be opened with this key.", remedy: "Restore the key's file, or enter it again.")
    }
    return String(decoding: secret, as: UTF8.self)
  }
}
