public import Wire

/// Why a request to the platform did not succeed, and what to do about it.
public enum TransportError: Error, Hashable, Sendable, CustomStringConvertible {
  /// The settings cannot be used: no such CA, a proxy address that is none.
  case badSettings(String)
  /// No connection came about: the request was certainly not processed.
  case unreachable(host: String, reason: String)
  /// The server's certificate is not from the CA given at enrolment, or not for that name.
  case wrongCertificate(host: String, reason: String)
  /// The proxy did not let us through.
  case proxyRefused(proxy: String, reason: String)
  /// No answer in time, or the connection broke: the request may or may not have been processed.
  case outcomeUnknown(host: String, reason: String)
  /// The server said no.
  case refused(Problem, retryAfter: Int?)
  /// The answer is not what the protocol says.
  case badAnswer(host: String, reason: String)
  case cancelled

  public var description: String {
    switch self {
    case .badSettings(let reason): "the connection settings cannot be used: \(reason)"
    case .unreachable(let host, let reason):
      "cannot connect to \(host): \(reason); check name, port, firewall, and whether a proxy is needed (--proxy)"
    case .wrongCertificate(let host, let reason):
      "the certificate of \(host) was refused: \(reason); if a proxy on the way opens TLS, give its CA with --extra-ca"
    case .proxyRefused(let proxy, let reason):
      "the proxy \(proxy) does not let us through: \(reason); check its address, its credentials and its rules"
    case .outcomeUnknown(let host, let reason): "no answer from \(host): \(reason)"
    case .refused(let problem, _): "\(problem.detail) (\(problem.code), \(problem.status)); \(problem.remedy)"
    case .badAnswer(let host, let reason): "\(host) gave an answer we do not understand: \(reason)"
    case .cancelled: "cancelled"
    }
  }

  /// The server's stable word, where it said no.
  public var problemCode: String? {
    if case .refused(let problem, _) = self { problem.code } else { nil }
  }

  /// Whether the same request may succeed later without anybody doing anything.
  public var isTransient: Bool {
    switch self {
    case .unreachable, .outcomeUnknown, .proxyRefused: true
    case .refused(let problem, _): problem.status == 429 || problem.status >= 500 && problem.code != "target_full"
    case .badSettings, .wrongCertificate, .badAnswer, .cancelled: false
    }
  }
}
