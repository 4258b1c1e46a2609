import Foundation
import ServiceKit

extension SecretBox {
  func seal(_ secret: String, tenant: String, target: String) throws -> Data {
    try seal(secret, of: Self.owner(tenant, target))
  }

  func open(_ sealed: Data, tenant: String, target: String) throws -> String {
    try open(sealed, of: Self.owner(tenant, target))
  }

  private static func owner(_ tenant: String, _ target: String) -> String { "godwit-target-1\0\(tenant)\0\(target)" }
}
