import Foundation
import Testing

@testable import Hypervisor

/// A kernel as the repair appliance's build keeps it, or named by GODWIT_APPLIANCE_KERNEL.
private let kernel: String? = {
  if let named = ProcessInfo.processInfo.environment["GODWIT_APPLIANCE_KERNEL"] { return named }
  let cache = FileManager.default.homeDirectoryForCurrentUser.appending(path: ".cache/godwit")
  let names = (try? FileManager.default.contentsOfDirectory(atPath: cache.path)) ?? []
  return names.filter { $0.hasPrefix("appliance-") }.map { cache.appending(path: "\($0)/vmlinuz").path }
    .first { FileManager.default.fileExists(atPath: $0) }
}()

@Suite(.serialized, .timeLimit(.minutes(5))) struct AcceleratorProbeTests {
  func withRun(_ body: (RunFolder) async throws -> Void) async throws {
    let path = "/var/tmp/godwit-probe-\(UInt32.random(in: 0 ... .max))"
    defer { try? FileManager.default.removeItem(atPath: path) }
    try await body(RunFolder(path: path))
    #expect(!FileManager.default.fileExists(atPath: path))
  }

  @Test(.enabled(if: kernel != nil, "needs a kernel: make appliance"))
  func `a kernel that reaches its first process proves the accelerator`() async throws {
    try await withRun { run in
      let probe = AcceleratorProbe(kernel: try #require(kernel), run: run, limit: .seconds(200))
      #expect(try await probe.failure(of: .tcg) == nil)
    }
  }

  @Test func `a kernel that never reaches it proves nothing, and is ended in time`() async throws {
    let file = "/var/tmp/godwit-kernel-\(UInt32.random(in: 0 ... .max))"
    defer { try? FileManager.default.removeItem(atPath: file) }
    try Data(TinyGuest.kernel("HANGS", powersOff: false)).write(to: URL(filePath: file))
    try await withRun { run in
      let failure = try await AcceleratorProbe(kernel: file, run: run, limit: .seconds(2)).failure(of: .tcg)
      #expect(failure?.contains("did not come to an end") == true)
    }
    #expect(HostProcess.all(withArgument: file).isEmpty)
  }

  @Test func `a kernel that ends early proves nothing`() async throws {
    let file = "/var/tmp/godwit-kernel-\(UInt32.random(in: 0 ... .max))"
    defer { try? FileManager.default.removeItem(atPath: file) }
    try Data(TinyGuest.kernel("ENDS", powersOff: true)).write(to: URL(filePath: file))
    try await withRun { run in
      let failure = try await AcceleratorProbe(kernel: file, run: run, limit: .seconds(60)).failure(of: .tcg)
      #expect(failure == "the kernel ended before its first process ran")
    }
  }
}
