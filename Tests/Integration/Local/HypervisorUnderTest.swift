import Foundation
import Glibc
import Local
import Providers
import Synchronization
import Testing

@testable import Hypervisor

/// The real daemon on a state folder of its own, with real storage daemons and QEMUs.
final class HypervisorUnderTest: Sendable {
  static let token = "0123456789abcdef0123456789abcdef"

  let path: String
  private let extra: [String]
  private let daemon = Mutex<pid_t?>(nil)
  private let address = Mutex<String>("127.0.0.1:0")

  /// Runs `body` against a daemon, then checks that deleting everything leaves nothing, and cleans up whatever happens.
  static func with(
    extra: [String] = [], name: String = "", _ body: (HypervisorUnderTest) async throws -> Void
  ) async throws {
    let hypervisor = try HypervisorUnderTest(extra: extra, name: name)
    defer { hypervisor.cleanUp() }
    try await hypervisor.start()
    try await body(hypervisor)
    try await hypervisor.deleteEverything()
    #expect(hypervisor.leftovers() == [])
  }

  private init(extra: [String], name: String) throws {
    self.extra = extra
    path = "/var/tmp/godwit-hypervisor-\(UInt32.random(in: 0 ... .max))\(name)"
    try FileManager.default.createDirectory(
      atPath: path, withIntermediateDirectories: false, attributes: [.posixPermissions: 0o700])
    try write(Self.token + "\n", "token")
    chmod("\(path)/token", 0o600)
  }

  var state: String { "\(path)/state" }
  var endpoint: String { "http://" + address.withLock { $0 } }
  var provider: Provider {
    get throws { try .local(endpoint: endpoint, token: Self.token) }
  }

  func write(_ text: String, _ name: String) throws {
    try text.write(toFile: "\(path)/\(name)", atomically: false, encoding: .utf8)
  }

  /// Asks until it is so, for at most 60 s.
  static func until(_ what: String, _ condition: () async throws -> Bool) async throws {
    let limit = ContinuousClock.now + .seconds(60)
    while try await !condition() {
      try #require(ContinuousClock.now < limit, "\(what) did not come")
      try await Task.sleep(for: .milliseconds(50))
    }
  }

  // MARK: The daemon

  /// Starts it, the second time on the port it had: nothing it left running may hold that.
  func start() async throws {
    try? FileManager.default.removeItem(atPath: "\(state)/address")
    let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent().deletingLastPathComponent()
    let arguments =
      [
        root.appending(path: ".build/debug/godwit-hypervisor").path, "--state", state, "--listen",
        address.withLock { $0 }, "--token-file", "\(path)/token"
      ] + extra
    let pid = try spawn(arguments, log: "\(path)/log")
    daemon.withLock { $0 = pid }
    for _ in 0..<600 {
      if let text = try? String(contentsOfFile: "\(state)/address", encoding: .utf8) {
        address.withLock { $0 = text.trimmingCharacters(in: .newlines) }
        return
      }
      try #require(HostProcess(pid: pid) != nil, "the daemon ended: \(log)")
      try await Task.sleep(for: .milliseconds(20))
    }
    Issue.record("the daemon did not say where it listens: \(log)")
  }

  /// kill -9
  func kill() { end(SIGKILL) }
  func terminate() { end(SIGTERM) }

  private func end(_ signal: CInt) {
    guard let pid = daemon.withLock({ $0.take() }) else { return }
    _ = Glibc.kill(pid, signal)
    var status: CInt = 0
    waitpid(pid, &status, 0)
  }

  var log: String { (try? String(contentsOfFile: "\(path)/log", encoding: .utf8)) ?? "" }

  private func spawn(_ arguments: [String], log: String) throws -> pid_t {
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
    posix_spawn_file_actions_addopen(&actions, 1, log, O_WRONLY | O_CREAT | O_APPEND, 0o600)
    posix_spawn_file_actions_adddup2(&actions, 1, 2)
    var words: [UnsafeMutablePointer<CChar>?] = arguments.map { strdup($0) } + [nil]
    defer { words.forEach { free($0) } }
    var pid = pid_t()
    try #require(posix_spawn(&pid, arguments[0], &actions, nil, &words, environ) == 0, "build godwit-hypervisor first")
    return pid
  }

  // MARK: Leaks

  private func deleteEverything() async throws {
    let provider = try provider
    for machine in try await provider.compute.listMachines(tags: [:]) {
      try await provider.compute.deleteMachine(machine.id)
    }
    for _ in 0..<20 {
      let rest = try await provider.storage.list(tags: [:])
      if rest.isEmpty { return }
      for case .volume(let volume) in rest {
        try await provider.storage.detachVolume(volume.id)
        try await provider.storage.deleteVolume(volume.id)
      }
      for case .snapshot(let snapshot) in rest { try? await provider.storage.deleteSnapshot(snapshot.id) }
    }
    Issue.record("not everything could be deleted")
  }

  /// Files and processes that should not be there once everything was deleted.
  func leftovers() -> [String] {
    var found: [String] = []
    for folder in ["volumes", "snapshots", "machines", "layers", "run"] {
      found +=
        (try? FileManager.default.contentsOfDirectory(atPath: "\(state)/\(folder)"))?.map { "\(folder)/\($0)" } ?? []
    }
    return found + processes().map { "process \($0.pid)" }
  }

  /// Storage daemons and QEMUs of this state folder.
  func processes() -> [HostProcess] {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
    return names.compactMap { pid_t($0) }.filter { pid in
      guard let bytes = FileManager.default.contents(atPath: "/proc/\(pid)/cmdline") else { return false }
      let words = String(decoding: bytes, as: UTF8.self).split(separator: "\0")
      return words.first?.contains("qemu") == true && words.contains { $0.contains("\(state)/layers/") }
    }.compactMap { HostProcess(pid: $0) }
  }

  private func cleanUp() {
    kill()
    processes().forEach { $0.kill() }
    if let run = try? StateFolder(path: state).runPath { try? FileManager.default.removeItem(atPath: run) }
    try? FileManager.default.removeItem(atPath: path)
  }
}
