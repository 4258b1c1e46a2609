import Foundation
import Glibc
import NetworkVolumes

/// A real NBD server as a child process on a Unix socket, in a folder of its own, for the length of a closure.
final class NBDServer {
  struct NotStarted: Error, CustomStringConvertible {
    var description: String
  }

  private let process = Process()
  private let folder: URL

  var uri: String { "nbd+unix:///\(Self.exportName)?socket=\(folder.path)/nbd" }
  private static let exportName = "volume"

  /// Starts `command`, a shell line that ends in `exec` of the server and finds `$folder` (an empty folder to use),
  /// `$socket` and `$pidfile` (to be written once the server listens).
  private init(_ command: String) throws {
    folder = URL(filePath: "/var/tmp/godwit-nbd-\(UUID().uuidString.prefix(8))")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: false)
    // Children of `Process` inherit blocked signals, and would not hear SIGTERM.
    process.executableURL = URL(filePath: "/usr/bin/env")
    process.arguments = ["--default-signal", "sh", "-ec", command]
    process.environment = ProcessInfo.processInfo.environment.merging(
      ["folder": folder.path, "socket": folder.path + "/nbd", "pidfile": folder.path + "/pid"]) { $1 }
    process.standardInput = FileHandle.nullDevice
    try process.run()
    let deadline = ContinuousClock.now + .seconds(30)
    while !FileManager.default.fileExists(atPath: folder.path + "/pid") {
      guard process.isRunning, ContinuousClock.now < deadline else {
        end()
        throw NotStarted(description: "the server did not come up: \(command)")
      }
      usleep(5000)
    }
  }

  /// Kills the server without a chance to say goodbye, and waits until it is gone.
  func kill() {
    if process.isRunning { Glibc.kill(process.processIdentifier, SIGKILL) }
    process.waitUntilExit()
  }

  /// Lets the server hang, and go on: it is still there and keeps its connections.
  func pause() { Glibc.kill(process.processIdentifier, SIGSTOP) }
  func resume() { Glibc.kill(process.processIdentifier, SIGCONT) }

  /// Asks the server to end, as nbdkit has files of its own to remove; kills it if it does not.
  private func end() {
    resume()
    if process.isRunning { Glibc.kill(process.processIdentifier, SIGTERM) }
    let deadline = ContinuousClock.now + .seconds(5)
    while process.isRunning, ContinuousClock.now < deadline { usleep(5000) }
    kill()
    try? FileManager.default.removeItem(at: folder)
  }

  private static func with<Result>(_ command: String, _ body: (NBDServer) throws -> Result) throws -> Result {
    let server = try NBDServer(command)
    defer { server.end() }
    return try body(server)
  }

  // MARK: The servers

  /// A qcow2 image of `size` bytes behind the storage daemon, with the options the hypervisor gives it.
  static func withStorageDaemon(size: Int, _ body: (NBDServer) throws -> Void) throws {
    try with(image(size) + daemon(direct: true), body)
  }

  /// As `withStorageDaemon`, on a filesystem of `room` bytes. It is mounted for the daemon alone, and ends with it.
  static func withStorageDaemon(size: Int, room: Int, _ body: (NBDServer) throws -> Void) throws {
    let inside = "mkdir $folder/small; mount -t tmpfs -o size=\(room) godwit $folder/small; store=$folder/small; "
    // tmpfs takes O_DIRECT only on newer kernels.
    let command = inside + image(size) + daemon(direct: false)
    try with("exec unshare --mount --propagation private sh -ec '\(command)'", body)
  }

  /// nbdkit with `arguments`: filters, a plug-in and its parameters.
  /// - Parameter before: shell commands that prepare what it needs.
  static func withNbdkit(_ arguments: String, before: String = "", _ body: (NBDServer) throws -> Void) throws {
    let nbdkit = "exec nbdkit --foreground --unix $socket --pidfile $pidfile --exportname \(exportName) \(arguments)"
    try with(before + nbdkit, body)
  }

  private static func image(_ size: Int) -> String {
    "qemu-img create -q -f qcow2 ${store:=$folder}/image.qcow2 \(size); "
  }

  private static func daemon(direct: Bool) -> String {
    let cache = "cache.direct=\(direct ? "on" : "off"),cache.no-flush=off,discard=unmap"
    return "exec qemu-storage-daemon --pidfile $pidfile "
      + "--blockdev driver=file,node-name=file,filename=$store/image.qcow2,\(cache) "
      + "--blockdev driver=qcow2,node-name=disk,file=file,detect-zeroes=unmap,\(cache) "
      + "--nbd-server addr.type=unix,addr.path=$socket,max-connections=16 "
      + "--export type=nbd,id=\(exportName),node-name=disk,name=\(exportName),writable=on"
  }
}
