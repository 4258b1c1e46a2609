import Foundation
import ServiceKit
import Synchronization
import Transport

/// A real proxy in a process of its own (Tests/support/proxy).
final class TestProxy: Sendable {
  private let process: Process
  private let output: FileHandle
  private let lines = Mutex("")
  let settings: ConnectionSettings.Proxy

  static func with<Value>(
    refusing status: Int? = nil, inspectingWith identity: CertificateAuthority.ServerIdentity? = nil,
    _ body: (TestProxy) async throws -> Value
  ) async throws -> Value {
    var arguments = status.map { ["--refuse", "\($0)"] } ?? []
    if let identity { arguments += ["--certificate", identity.certificateFile, "--private-key", identity.keyFile] }
    let proxy = try TestProxy(arguments)
    defer { proxy.end() }
    return try await body(proxy)
  }

  private init(_ arguments: [String]) throws {
    var root = URL(filePath: #filePath)
    for _ in 0..<4 { root.deleteLastPathComponent() }
    process = Process()
    process.executableURL = root.appending(path: "Tests/support/proxy")
    process.arguments = arguments
    let pipe = Pipe()
    process.standardOutput = pipe
    output = pipe.fileHandleForReading
    try process.run()
    let port = String(decoding: output.availableData, as: UTF8.self).trimmingCharacters(in: .newlines)
    guard let settings = ConnectionSettings.Proxy(parsing: "http://127.0.0.1:\(port)") else {
      process.terminate()
      throw BenchFailure(what: "the proxy said \(port)")
    }
    self.settings = settings
    output.readabilityHandler = { [weak self] handle in
      let text = String(decoding: handle.availableData, as: UTF8.self)
      self?.lines.withLock { $0 += text }
    }
  }

  /// What it saw, a line each.
  var log: [String] { lines.withLock { $0.split(separator: "\n").map(String.init) } }

  private func end() {
    output.readabilityHandler = nil
    kill(process.processIdentifier, SIGKILL)
    process.waitUntilExit()
  }
}
