import Crypto
import Foundation
import ServiceKit

/// Seals credentials at rest: AES-256-GCM under a key that lies in a file of its own, outside the database. The tenant
/// and target are authenticated with it, so that a sealed secret cannot be moved to another row.
struct SecretBox: Sendable {
  private let key: SymmetricKey

  /// Reads the key, or makes one at first start.
  init(keyFile: String) throws {
    if let bytes = try PrivateFile.read(keyFile) {
      guard bytes.count == 32 else {
        throw ConfigurationError("\(keyFile) holds no key.", remedy: "Restore it; without it no target can be used.")
      }
      key = SymmetricKey(data: bytes)
      return
    }
    key = SymmetricKey(size: .bits256)
    try PrivateFile.write(key.withUnsafeBytes(Array.init), to: keyFile)
  }

  func seal(_ secret: String, tenant: String, target: String) throws -> Data {
    guard let sealed = try AES.GCM.seal(Data(secret.utf8), using: key, authenticating: aad(tenant, target)).combined
    else { throw ConfigurationError("A secret could not be sealed.", remedy: "Report this as a fault.") }
    return sealed
  }

  func open(_ sealed: Data, tenant: String, target: String) throws -> String {
    guard let box = try? AES.GCM.SealedBox(combined: sealed),
      let secret = try? AES.GCM.open(box, using: key, authenticating: aad(tenant, target))
    else {
      throw ConfigurationError(
        "The secret of target \(target) cannot be opened with this key.", remedy: "Enter the secret again.")
    }
    return String(decoding: secret, as: UTF8.self)
  }

  private func aad(_ tenant: String, _ target: String) -> Data { Data("godwit-target-1\0\(tenant)\0\(target)".utf8) }
}
