import Crypto
import Foundation
import SwiftASN1
public import Wire
import X509

extension CertificateAuthority {
  /// Years; what was signed is checked long after.
  private static let signerYears = 10.0

  /// Where `signer` keeps a role's certificate.
  public func signerFile(_ role: SignerRole) -> String {
    "\(folder)/signer-\(role.rawValue.split(separator: ":").last ?? "").pem"
  }

  /// The certificate (PEM) of an Ed25519 key that signs evidence, kept as `signer-ROLE.pem`: its one alternative name is
  /// the role's URI, so that it serves for nothing else. A kept one is used as long as it is for the same key.
  ///
  /// - Parameter publicKey: 32 bytes.
  /// - Throws: `ConfigurationError` where this is no such key.
  public func signer(_ role: SignerRole, publicKey: [UInt8]) throws -> String {
    guard let raw = try? Curve25519.Signing.PublicKey(rawRepresentation: publicKey) else {
      throw ConfigurationError("The key of \(role.rawValue) is no Ed25519 key.", remedy: "Restore the key's file.")
    }
    let name = role.rawValue.split(separator: ":").last.map(String.init) ?? ""
    let file = signerFile(role)
    let wanted = Certificate.PublicKey(raw)
    if let kept = try PrivateFile.read(file, secret: false).map({ String(decoding: $0, as: UTF8.self) }),
      let found = try? Certificate(pemEncoded: kept), found.publicKey == wanted, found.issuer == certificate.subject,
      found.notValidAfter > Date(timeIntervalSinceNow: 30 * 86_400)
    {
      return kept
    }
    let made = try Self.make(
      for: wanted, subject: try DistinguishedName { CommonName("godwit \(name) signer") },
      issuer: certificate.subject, days: Self.signerYears * 365, signer: key
    ) {
      Critical(BasicConstraints.notCertificateAuthority)
      Critical(KeyUsage(digitalSignature: true))
      Critical(SubjectAlternativeNames([.uniformResourceIdentifier(role.rawValue)]))
      AuthorityKeyIdentifier(keyIdentifier: SubjectKeyIdentifier(hash: certificate.publicKey).keyIdentifier)
    }
    let pem = try made.serializeAsPEM().pemString + "\n"
    try PrivateFile.write(Array(pem.utf8), to: file, mode: 0o644)
    return pem
  }

  /// The DER bytes in a certificate's PEM; nil where there is none.
  public static func der(pem: String) -> [UInt8]? { try? PEMDocument(pemString: pem).derBytes }
}
