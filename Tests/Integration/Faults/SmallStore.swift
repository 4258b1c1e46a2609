import Foundation

/// A filesystem of a few MiB of its own, for the length of a closure: it fills up, and can be grown. Nothing of it stays.
struct SmallStore {
  /// Where it is mounted.
  let path: String

  /// What has files open in it must have ended when `body` returns or throws.
  static func with<Value>(
    megabytes: Int, folder: String, _ body: (SmallStore) async throws -> Value
  ) async throws -> Value {
    let store = SmallStore(path: folder + "/store")
    try FileManager.default.createDirectory(atPath: store.path, withIntermediateDirectories: true)
    try run("mount", "-t", "tmpfs", "-o", "size=\(megabytes)m", "tmpfs", store.path)
    let result: Result<Value, any Error>
    do { result = .success(try await body(store)) } catch { result = .failure(error) }
    try store.unmount()
    return try result.get()
  }

  func grow(megabytes: Int) throws { try run("mount", "-o", "remount,size=\(megabytes)m", path) }

  /// Takes the last byte.
  func fillUp() {
    // It ends when there is no room.
    _ = try? run("dd", "if=/dev/zero", "of=\(path)/filler", "bs=4K", "status=none")
  }

  private func unmount() throws {
    for _ in 0..<50 {
      // A program that was just ended may hold a file for a moment longer.
      if (try? run("umount", path)) != nil { return }
      usleep(100_000)
    }
    try run("umount", path)
  }
}
