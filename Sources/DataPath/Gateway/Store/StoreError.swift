import Glibc
import SystemPackage

/// The gateway's own folder failed: not a volume, but what is kept about volumes.
struct StoreError: Error, CustomStringConvertible {
  var call: String
  var path: String
  var reason: String
  /// There is no room left.
  var isFull = false

  init(_ call: String, _ path: String, reason: String) {
    (self.call, self.path, self.reason) = (call, path, reason)
  }

  init(_ call: String, _ path: String, error: Errno) {
    self.init(call, path, reason: "\(error)")
    isFull = error == .noSpace || error == .diskQuotaExceeded
  }

  /// With the words of the system for the error of the call just made.
  init(_ call: String, _ path: String) { self.init(call, path, error: Errno(rawValue: errno)) }

  var description: String { "\(call) on \(path): \(reason)" }
}
