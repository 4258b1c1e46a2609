import Crypto
import FoundationEssentials
import SwiftASN1
import Wire
import X509

/// A certificate, signed by the CA that the checker gave, on an Ed25519 key that may sign one kind of thing.
struct SignerCertificate {
  /// 32 bytes.
  let publicKey: [UInt8]

  /// - Parameters:
  ///   - der: as it stands in the evidence file.
  ///   - authority: what the checker trusts, from outside of the file.
  ///   - time: seconds since 1970 at which it must have been good.
  init(der: [UInt8], role: SignerRole, authority: Certificate, time: Int) throws(EvidenceFailure) {
    func refused(_ why: String) -> EvidenceFailure {
      EvidenceFailure(.untrustedKey, "The certificate of the \(Self.name(role)) in the file is not good: \(why).")
    }
    guard let certificate = try? Certificate(derEncoded: der) else { throw refused("it cannot be read") }
    guard certificate.issuer == authority.subject,
      authority.publicKey.isValidSignature(certificate.signature, for: certificate)
    else { throw refused("the CA you gave did not sign it") }
    let moment = Date(timeIntervalSince1970: Double(time))
    guard certificate.notValidBefore <= moment, moment <= certificate.notValidAfter else {
      throw refused("it was not valid when the point was sealed")
    }
    let names = (try? certificate.extensions.subjectAlternativeNames).flatMap { $0 }.map { Array($0) } ?? []
    guard names == [.uniformResourceIdentifier(role.rawValue)] else { throw refused("it is for another purpose") }
    guard let usage = (try? certificate.extensions.keyUsage).flatMap({ $0 }), usage.digitalSignature,
      !usage.keyCertSign
    else { throw refused("its key is not for signatures") }
    guard let key = Curve25519.Signing.PublicKey(certificate.publicKey) else { throw refused("its key is not Ed25519") }
    publicKey = Array(key.rawRepresentation)
  }

  private static func name(_ role: SignerRole) -> String {
    switch role {
    case .gateway: "gateway"
    case .enrolment: "enrolment service"
    }
  }

  /// The CA's certificate from PEM.
  static func authority(pem: String) throws(EvidenceFailure) -> Certificate {
    guard let certificate = try? Certificate(pemEncoded: pem) else {
      throw EvidenceFailure(.untrustedKey, "The CA that you gave is no certificate in PEM.")
    }
    guard case .isCertificateAuthority = (try? certificate.extensions.basicConstraints).flatMap({ $0 }) else {
      throw EvidenceFailure(.untrustedKey, "The certificate that you gave as the CA is not that of a CA.")
    }
    return certificate
  }
}
