import Crypto
public import Foundation
import Glibc
import SwiftASN1
import X509

/// The installation's own CA, made at first start: `ca.key` (0600) and `ca.pem` in a folder, and server certificates
/// signed by it.
public struct CertificateAuthority: Sendable {
  /// PEM of the CA's certificate: what agents and clients trust.
  public let certificatePEM: String
  let certificate: Certificate
  let key: P256.Signing.PrivateKey
  let folder: String

  /// A server's certificate and where its files are.
  public struct ServerIdentity: Hashable, Sendable {
    public var certificateFile: String
    public var keyFile: String
    public var certificatePEM: String
    public var privateKeyPEM: String
  }

  /// Reads the CA in `folder` (0700), or makes it, good for ten years.
  public static func open(folder: String, name: String = "Godwit CA") throws -> CertificateAuthority {
    try PrivateFile.makeFolder(folder)
    let (keyFile, certificateFile) = (folder + "/ca.key", folder + "/ca.pem")
    if let keyBytes = try PrivateFile.read(keyFile) {
      let pem = String(decoding: try PrivateFile.read(certificateFile, secret: false) ?? [], as: UTF8.self)
      guard let key = try? P256.Signing.PrivateKey(pemRepresentation: String(decoding: keyBytes, as: UTF8.self)),
        let certificate = try? Certificate(pemEncoded: pem),
        certificate.publicKey == Certificate.PublicKey(key.publicKey)
      else {
        throw ConfigurationError(
          "\(keyFile) and \(certificateFile) do not belong together.",
          remedy: "Restore both from one copy; agents trust only this CA.")
      }
      return CertificateAuthority(certificatePEM: pem, certificate: certificate, key: key, folder: folder)
    }
    let key = P256.Signing.PrivateKey()
    let subject = try DistinguishedName { CommonName("\(name) \(Secret.text(bytes: 4))") }
    let certificate = try make(
      for: Certificate.PublicKey(key.publicKey), subject: subject, issuer: subject, days: 3650, signer: key
    ) {
      Critical(BasicConstraints.isCertificateAuthority(maxPathLength: 0))
      Critical(KeyUsage(keyCertSign: true, cRLSign: true))
      SubjectKeyIdentifier(hash: Certificate.PublicKey(key.publicKey))
    }
    let pem = try certificate.serializeAsPEM().pemString + "\n"
    try PrivateFile.write(Array(pem.utf8), to: certificateFile, mode: 0o644)
    try PrivateFile.write(Array(key.pemRepresentation.utf8), to: keyFile)
    return CertificateAuthority(certificatePEM: pem, certificate: certificate, key: key, folder: folder)
  }

  /// The certificate of server `name` for the given host names and IP addresses, kept as `NAME.pem` and `NAME.key`. A
  /// kept one is used as long as it is for the same names and good for 30 more days.
  public func server(_ name: String, hosts: [String], now: Date = Date()) throws -> ServerIdentity {
    let files = (certificate: "\(folder)/\(name).pem", key: "\(folder)/\(name).key")
    let names = try SubjectAlternativeNames(hosts.map(Self.generalName))
    if let keyPEM = try PrivateFile.read(files.key), let kept = try PrivateFile.read(files.certificate, secret: false),
      let leaf = try? Certificate(pemEncoded: String(decoding: kept, as: UTF8.self)),
      let key = try? P256.Signing.PrivateKey(pemRepresentation: String(decoding: keyPEM, as: UTF8.self)),
      leaf.publicKey == Certificate.PublicKey(key.publicKey),
      leaf.notValidAfter > now.addingTimeInterval(30 * 86_400), leaf.issuer == certificate.subject,
      let found = try leaf.extensions.subjectAlternativeNames, found == names
    {
      return ServerIdentity(
        certificateFile: files.certificate, keyFile: files.key, certificatePEM: String(decoding: kept, as: UTF8.self),
        privateKeyPEM: key.pemRepresentation)
    }
    let leafKey = P256.Signing.PrivateKey()
    let leaf = try Self.make(
      for: Certificate.PublicKey(leafKey.publicKey), subject: try DistinguishedName { CommonName("godwit \(name)") },
      issuer: certificate.subject, days: 397, signer: key
    ) {
      Critical(BasicConstraints.notCertificateAuthority)
      Critical(KeyUsage(digitalSignature: true))
      try ExtendedKeyUsage([.serverAuth])
      names
      SubjectKeyIdentifier(hash: Certificate.PublicKey(leafKey.publicKey))
      AuthorityKeyIdentifier(keyIdentifier: SubjectKeyIdentifier(hash: certificate.publicKey).keyIdentifier)
    }
    let pem = try leaf.serializeAsPEM().pemString + "\n"
    try PrivateFile.write(Array(leafKey.pemRepresentation.utf8), to: files.key)
    try PrivateFile.write(Array(pem.utf8), to: files.certificate, mode: 0o644)
    return ServerIdentity(
      certificateFile: files.certificate, keyFile: files.key, certificatePEM: pem,
      privateKeyPEM: leafKey.pemRepresentation)
  }

  /// Valid from a day ago: a source's clock may be slow.
  static func make(
    for publicKey: Certificate.PublicKey, subject: DistinguishedName, issuer: DistinguishedName, days: Double,
    signer: P256.Signing.PrivateKey,
    @ExtensionsBuilder extensions: () throws -> Result<Certificate.Extensions, any Error>
  ) throws -> Certificate {
    try Certificate(
      version: .v3, serialNumber: Certificate.SerialNumber(), publicKey: publicKey,
      notValidBefore: Date(timeIntervalSinceNow: -86_400), notValidAfter: Date(timeIntervalSinceNow: days * 86_400),
      issuer: issuer, subject: subject, signatureAlgorithm: .ecdsaWithSHA256,
      extensions: try Certificate.Extensions(builder: extensions), issuerPrivateKey: Certificate.PrivateKey(signer))
  }

  static func generalName(_ host: String) throws -> GeneralName {
    var four = in_addr()
    var six = in6_addr()
    if inet_pton(AF_INET, host, &four) == 1 {
      return .ipAddress(ASN1OctetString(contentBytes: ArraySlice(withUnsafeBytes(of: four, Array.init))))
    }
    if inet_pton(AF_INET6, host, &six) == 1 {
      return .ipAddress(ASN1OctetString(contentBytes: ArraySlice(withUnsafeBytes(of: six, Array.init))))
    }
    let name = host.lowercased()
    let allowed = name.utf8.allSatisfy {
      (0x30...0x39).contains($0) || (0x61...0x7A).contains($0) || $0 == 0x2D || $0 == 0x2E
    }
    guard allowed, !name.isEmpty, name.utf8.count <= 253 else {
      throw ConfigurationError("'\(host)' is neither a host name nor an IP address.", remedy: "Correct --advertise.")
    }
    return .dnsName(name)
  }
}
