import Foundation
import Glibc

/// A real block device with slow writes: a loop device on a file that nbdkit serves, each write with a delay.
struct SlowDisk {
  let path: String
  /// `O_DIRECT`, which the C module hides.
  private static let direct: CInt = 0o40000
  var name: String { String(path.dropFirst("/dev/".count)) }

  /// - Parameter writeDelay: milliseconds of each write.
  static func with<Value>(
    file: String, folder: String, writeDelay: Int, _ body: (SlowDisk) async throws -> Value
  ) async throws -> Value {
    let (socket, mount) = (folder + "/slow.sock", folder + "/slow.raw")
    let server = start(
      "nbdkit",
      [
        "--foreground", "--unix", socket, "--filter=delay", "file", file, "delay-write=\(writeDelay)ms"
      ])
    try server.run()
    defer { end(server) }
    try wait { FileManager.default.fileExists(atPath: socket) }
    _ = FileManager.default.createFile(atPath: mount, contents: nil)
    let fuse = start("nbdfuse", [mount, "--unix", socket])
    try fuse.run()
    defer {
      _ = try? run("umount", "--lazy", mount)
      end(fuse)
    }
    try wait { ((try? FileHandle(forReadingFrom: URL(filePath: mount)).seekToEnd()) ?? 0) > 0 }
    let loop = try run("losetup", "--find", "--show", mount)
    let result: Result<Value, any Error>
    do { result = .success(try await body(SlowDisk(path: loop))) } catch { result = .failure(error) }
    try run("losetup", "--detach", loop)
    return try result.get()
  }

  /// Writes the last block again and again with what it holds, past the page cache, until it is cancelled.
  func rewriteLastBlock() -> Task<Void, Never> {
    Task.detached {
      let disk = open(path, O_RDWR | Self.direct | O_CLOEXEC)
      guard disk >= 0 else { return }
      defer { close(disk) }
      let block = UnsafeMutableRawPointer.allocate(byteCount: 4096, alignment: 4096)
      defer { block.deallocate() }
      let place = lseek(disk, 0, SEEK_END) - 4096
      guard pread(disk, block, 4096, place) == 4096 else { return }
      while !Task.isCancelled {
        _ = pwrite(disk, block, 4096, place)
        try? await Task.sleep(for: .milliseconds(5))
      }
    }
  }

  private static func end(_ process: Process) {
    guard process.isRunning else { return }
    kill(process.processIdentifier, SIGKILL)
    process.waitUntilExit()
  }

  private static func wait(_ holds: () -> Bool) throws {
    for _ in 0..<500 {
      if holds() { return }
      usleep(10_000)
    }
    throw BenchFailure(what: "the slow disk did not come up")
  }
}
