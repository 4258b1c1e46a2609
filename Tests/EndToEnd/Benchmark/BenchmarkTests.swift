import Foundation
import Testing

/// The benchmarks speak with agent and gateway themselves: whoever changes what these say to each other hears of it here,
/// not when the next figure is wanted.
@Suite(.timeLimit(.minutes(5))) struct BenchmarkTests {
  @Test func `The benchmarks run, and their full copy and points are sealed`() throws {
    let table = FileManager.default.temporaryDirectory.appendingPathComponent("bench-\(UUID()).json")
    defer { try? FileManager.default.removeItem(at: table) }
    let script = try Script(
      "Benchmarks/run", ["--smoke", "--json", table.path, "--gateway", ".build/debug/godwit-gateway"])
    #expect(script.status == 0, "\(script.text)")
    for figure in ["full: bytes on the wire", "freeze over"] {
      #expect(script.text.contains(figure), "\(script.text)")
    }
    #expect(FileManager.default.fileExists(atPath: table.path))
  }
}
