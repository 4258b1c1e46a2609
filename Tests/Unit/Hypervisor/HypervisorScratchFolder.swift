import FoundationEssentials
import Glibc

/// A private folder that is gone when the test is.
final class HypervisorScratchFolder: Sendable {
  let path: String

  init() throws {
    path = "/var/tmp/godwit-test-\(UInt64.random(in: 0 ... .max))"
    guard mkdir(path, 0o700) == 0 else { throw CocoaError(.fileWriteUnknown) }
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }
}
