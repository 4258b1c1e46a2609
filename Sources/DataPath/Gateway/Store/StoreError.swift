import Glibc

/// The gateway's own folder failed: not a volume, but what is kept about volumes.
struct StoreError: Error, CustomStringConvertible {
  var call: String
  var path: String
  var reason: String

  init(_ call: String, _ path: String, reason: String) {
    (self.call, self.path, self.reason) = (call, path, reason)
  }

  /// With the words of the system for the error of the call just made.
  init(_ call: String, _ path: String) { self.init(call, path, reason: String(cString: strerror(errno))) }

  var description: String { "\(call) on \(path): \(reason)" }
}
