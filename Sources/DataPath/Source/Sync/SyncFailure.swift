public import Blocks
public import Transport
public import Wire

/// Why a sync cannot go on. The code is what `AgentReport.Failure` carries.
public struct SyncFailure: Error, Hashable, Sendable, CustomStringConvertible {
  public var code: String
  public var message: String
  /// What a program of the owner printed.
  public var output: String?
  public init(code: String, message: String, output: String? = nil) {
    (self.code, self.message, self.output) = (code, message, output)
  }

  public var description: String { message }
  public var reported: AgentReport.Failure { .init(code: code, message: message, output: output) }

  public init(_ error: BlockError) {
    let remedy: String
    switch error.code {
    case .vanished:
      code = "disk_vanished"
      remedy = "attach the disk again and start the sync anew, or remove the disk from the migration"
    case .unreadable:
      code = "disk_read_error"
      remedy = "check the disk's health (smartctl, kernel log) and replace it or rewrite that place"
    default:
      code = "disk_error"
      remedy = "check the disk and the kernel log"
    }
    message = "\(error); \(remedy)"
  }

  public init(_ error: TransportError) {
    switch error {
    case .refused(let problem, _):
      switch problem.code {
      case "target_full": code = "target_full"
      default: code = "gateway_refused"
      }
    case .wrongCertificate: code = "gateway_certificate"
    case .unreachable, .outcomeUnknown, .proxyRefused: code = "gateway_unreachable"
    case .cancelled: code = "cancelled"
    case .badAnswer, .badSettings: code = "gateway_refused"
    }
    message = "\(error)"
  }
}
