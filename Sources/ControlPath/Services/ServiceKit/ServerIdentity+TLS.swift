public import NIOSSL

extension CertificateAuthority.ServerIdentity {
  /// A certificate, with its chain, and its key, made elsewhere.
  public init(certificatePEM: String, privateKeyPEM: String) {
    (certificateFile, keyFile) = ("", "")
    (self.certificatePEM, self.privateKeyPEM) = (certificatePEM, privateKeyPEM)
  }

  /// TLS 1.2 and newer, no client certificates: who calls is shown by tokens and key proofs.
  public func tlsConfiguration() throws -> TLSConfiguration {
    let chain = try NIOSSLCertificate.fromPEMBytes(Array(certificatePEM.utf8)).map {
      NIOSSLCertificateSource.certificate($0)
    }
    let key = try NIOSSLPrivateKey(bytes: Array(privateKeyPEM.utf8), format: .pem)
    var tls = TLSConfiguration.makeServerConfiguration(certificateChain: chain, privateKey: .privateKey(key))
    tls.minimumTLSVersion = .tlsv12
    tls.applicationProtocols = ["http/1.1"]
    return tls
  }
}
