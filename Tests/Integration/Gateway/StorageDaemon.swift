import Foundation
import Glibc
import Synchronization

/// A real storage daemon that exports a file over NBD, and can hang, die and come back on the same socket.
final class StorageDaemon: Sendable {
  enum Format: Sendable { case raw, qcow2 }

  let file: String
  private let format: Format
  let socket: String
  private let process = Mutex<Process?>(nil)

  var location: String { "nbd+unix:///volume?socket=\(socket)" }

  /// - Parameter folder: where its socket goes; short, as sockets' names must be.
  static func with<Value>(
    file: String, format: Format = .raw, folder: String, _ body: (StorageDaemon) async throws -> Value
  ) async throws -> Value {
    let daemon = StorageDaemon(file: file, format: format, socket: folder + "/nbd")
    defer { daemon.kill() }
    try daemon.start()
    return try await body(daemon)
  }

  private init(file: String, format: Format, socket: String) {
    (self.file, self.format, self.socket) = (file, format, socket)
  }

  func start() throws {
    let pidFile = socket + ".pid"
    for path in [pidFile, socket] { try? FileManager.default.removeItem(atPath: path) }
    let daemon = Process()
    daemon.executableURL = URL(filePath: "/usr/bin/env")
    let disk =
      switch format {
      case .raw: "driver=file,node-name=disk,filename=\(file)"
      case .qcow2: "driver=qcow2,node-name=disk,file.driver=file,file.filename=\(file)"
      }
    daemon.arguments = [
      "qemu-storage-daemon", "--pidfile", pidFile, "--blockdev", disk,
      "--nbd-server", "addr.type=unix,addr.path=\(socket),max-connections=16", "--export",
      "type=nbd,id=volume,node-name=disk,name=volume,writable=on"
    ]
    daemon.standardInput = FileHandle.nullDevice
    try daemon.run()
    process.withLock { $0 = daemon }
    for _ in 0..<500 where !FileManager.default.fileExists(atPath: pidFile) { usleep(10_000) }
    guard FileManager.default.fileExists(atPath: pidFile) else { throw BenchFailure(what: "no storage daemon") }
  }

  func hang() { signal(SIGSTOP) }
  func goOn() { signal(SIGCONT) }

  func kill() {
    signal(SIGKILL)
    process.withLock { $0 }?.waitUntilExit()
  }

  private func signal(_ number: Int32) {
    if let daemon = process.withLock({ $0 }), daemon.isRunning { Glibc.kill(daemon.processIdentifier, number) }
  }
}
