public import Blocks
internal import Glibc
public import SystemPackage

extension BlockError {
  /// The error for a system call that failed with `error`.
  ///
  /// - Parameter fallback: the code where the number itself does not decide.
  public init(_ fallback: Code, call: String, device: String, offset: UInt64? = nil, error: Errno) {
    let code: Code =
      switch error.rawValue {
      case ENXIO, ENODEV, ENOMEDIUM: fallback == .cannotOpen ? .cannotOpen : .vanished
      case ENOSPC, EDQUOT: fallback == .unwritable ? .full : fallback
      default: fallback
      }
    self.init(code, call: call, device: device, offset: offset, reason: "\(error)")
  }
}
