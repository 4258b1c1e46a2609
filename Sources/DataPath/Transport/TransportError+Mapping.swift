import AsyncHTTPClient
import Glibc
import NIOCore
import NIOPosix
import NIOSSL

extension TransportError {
  /// Sorts what the HTTP stack throws by what is certain: that nothing was processed, or nothing at all.
  init(_ error: any Error, url: String, proxy: String) {
    let host = Self.authority(of: url)
    switch error {
    case let error as TransportError: self = error
    case is CancellationError: self = .cancelled
    case let error as HTTPClientError: self.init(error, host: host, proxy: proxy)
    case let error as NIOConnectionError: self = .unreachable(host: host, reason: Self.reason(error))
    case let error as IOError where Self.noConnection.contains(error.errnoCode):
      self = .unreachable(host: host, reason: "\(error)")
    case let error as NIOSSLError: self.init(error, host: host)
    case let error as NIOSSLExtraError:
      self = .wrongCertificate(host: host, reason: "\(error)")
    case let error as ChannelError:
      if case .connectTimeout = error {
        self = .unreachable(host: host, reason: "no connection in time")
      } else {
        self = .outcomeUnknown(host: host, reason: "\(error)")
      }
    case is NIOTooManyBytesError: self = .badAnswer(host: host, reason: "it is too long")
    default: self = .outcomeUnknown(host: host, reason: "\(error)")
    }
  }

  private init(_ error: HTTPClientError, host: String, proxy: String) {
    switch error {
    case .cancelled: self = .cancelled
    case .invalidURL, .emptyHost, .emptyScheme: self = .badSettings("\(host) is no address of a server")
    case .connectTimeout, .tlsHandshakeTimeout, .getConnectionFromPoolTimeout:
      self = .unreachable(host: host, reason: "no connection in time")
    case .proxyAuthenticationRequired:
      self = .proxyRefused(proxy: proxy, reason: "it wants a user and a password")
    case .invalidProxyResponse: self = .proxyRefused(proxy: proxy, reason: "it refused to connect to \(host)")
    case .httpProxyHandshakeTimeout: self = .proxyRefused(proxy: proxy, reason: "it did not answer in time")
    case .deadlineExceeded, .readTimeout, .writeTimeout: self = .outcomeUnknown(host: host, reason: "no answer in time")
    case .remoteConnectionClosed: self = .outcomeUnknown(host: host, reason: "the connection was closed")
    default: self = .outcomeUnknown(host: host, reason: "\(error)")
    }
  }

  private init(_ error: NIOSSLError, host: String) {
    switch error {
    case .handshakeFailed(let reason):
      let text = "\(reason)"
      let certificate = text.contains("CERTIFICATE_VERIFY_FAILED")
      self =
        certificate
        ? .wrongCertificate(host: host, reason: "it is not from the CA given at enrolment")
        : .unreachable(host: host, reason: "TLS handshake failed: \(text)")
    case .unableToValidateCertificate, .noCertificateToValidate, .cannotFindPeerIP:
      self = .wrongCertificate(host: host, reason: "it is not from the CA given at enrolment")
    default: self = .outcomeUnknown(host: host, reason: "\(error)")
    }
  }

  /// What the kernel says of a connection that never came about.
  private static let noConnection = [ECONNREFUSED, EHOSTUNREACH, ENETUNREACH]

  private static func reason(_ error: NIOConnectionError) -> String {
    if let failure = error.connectionErrors.first { return "\(failure.target): \(failure.error)" }
    if error.dnsAError != nil || error.dnsAAAAError != nil { return "the name \(error.host) was not found" }
    return "no address to try"
  }

  static func authority(of url: String) -> String {
    guard let scheme = url.firstRange(of: "://") else { return url }
    return String(url[scheme.upperBound...].prefix { $0 != "/" })
  }
}
