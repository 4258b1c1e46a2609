import Foundation
import Testing

@testable import Hypervisor

@Suite(.serialized, .timeLimit(.minutes(5))) struct AcceleratorProbeTests {
  func withRun(_ body: (RunFolder) async throws -> Void) async throws {
    let path = "/var/tmp/godwit-probe-\(UInt32.random(in: 0 ... .max))"
    defer { try? FileManager.default.removeItem(atPath: path) }
    try await body(RunFolder(path: path))
    #expect(!FileManager.default.fileExists(atPath: path))
  }

  @Test func `a kernel that reaches its first process proves the accelerator`() async throws {
    try await withRun { run in
      let probe = AcceleratorProbe(kernel: BuiltPrograms.appliance + "/vmlinuz", run: run, limit: .seconds(200))
      let failure = try await probe.failure(of: .tcg)
      #expect(failure == nil)
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
