import Glibc
import Subprocess
import SystemPackage

/// QEMU's programs, found on PATH, run to their end with nothing inherited but PATH.
enum Tool: String, Sendable {
  case image = "qemu-img"
  case storageDaemon = "qemu-storage-daemon"
  case system = "qemu-system-x86_64"

  /// Runs the program and waits for its end.
  ///
  /// Throws `.failed` with what it said on standard error, `.unavailable` when it takes longer than `limit`.
  func run(_ arguments: [String], limit: Duration = .seconds(30)) async throws {
    let ended = try await withThrowingTaskGroup(of: String?.self) { group in
      group.addTask { try await self.failure(arguments) }
      group.addTask {
        try await Task.sleep(for: limit)
        throw HypervisorError(.unavailable, "\(self.rawValue) did not come to an end within \(limit)")
      }
      defer { group.cancelAll() }
      return try await group.next() ?? nil
    }
    if let ended { throw HypervisorError(.failed, "\(rawValue) failed: \(ended)") }
  }

  /// Starts the program in a session of its own, so that it outlives this process, and does not wait for it. (QEMU's own
  /// `-daemonize` is no way: its sandbox forbids the fork.) The log is locked and handed over: see `RunFolder.isHeld`.
  func launch(_ arguments: [String], log: String) async throws {
    let file = try FileDescriptor.open(
      log, .writeOnly, options: [.create, .append, .closeOnExec], permissions: .ownerReadWrite)
    // From here on only the child's copies keep the lock.
    defer { try? file.close() }
    guard flock(file.rawValue, LOCK_EX | LOCK_NB) == 0 else {
      throw HypervisorError(.unavailable, "\(rawValue) was not started: \(log) is held by one that runs")
    }
    do {
      let result = try await Subprocess.run(
        .name("setsid"), arguments: Arguments(["--fork", rawValue] + arguments),
        environment: .inherit.updating(["LC_ALL": "C"]), workingDirectory: "/", input: .none,
        output: .fileDescriptor(file, closeAfterSpawningProcess: false),
        error: .fileDescriptor(file, closeAfterSpawningProcess: false))
      guard result.terminationStatus.isSuccess else {
        throw HypervisorError(.failed, "\(rawValue) could not be started: \(result.terminationStatus)")
      }
    } catch let error as SubprocessError {
      throw HypervisorError(.failed, "\(rawValue) could not be started: \(error)")
    }
  }

  /// What went wrong, or nil.
  private func failure(_ arguments: [String]) async throws -> String? {
    let result: ExecutionResult<Void, DiscardedOutput, StringOutput<UTF8>>
    do {
      result = try await Subprocess.run(
        .name(rawValue), arguments: Arguments(arguments), environment: .inherit.updating(["LC_ALL": "C"]),
        output: .discarded, error: .string(limit: 64 << 10))
    } catch let error as SubprocessError where error.code == .executableNotFound {
      return "the program is not installed; install qemu-system-x86 and qemu-utils"
    }
    if result.terminationStatus.isSuccess { return nil }
    let said = result.standardError.suffix(2000)
    return "\(result.terminationStatus): \(said)"
  }
}
