import Foundation
import Glibc
import ServiceKit
import Synchronization

/// One line of the cloud's log.
public struct FakeCloudEntry: Codable, Hashable, Sendable {
  public var sequence: Int
  /// `createVolume`, `deleteMachine`, ...
  public var verb: String
  public var id: String
  /// What changed in the cloud: `created volume`; nil where nothing did.
  public var effect: String?
  public var error: String?
}

/// The append-only log of every request and its effect; each line is durable before the answer goes out.
final class FakeCloudLog: Sendable {
  private struct State {
    var file: CInt
    var sequence: Int
  }
  private let state: Mutex<State>
  private let path: String

  init(file path: String) throws {
    self.path = path
    let descriptor = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else { throw ConfigurationError("Cannot open \(path).", remedy: "Check its rights.") }
    state = Mutex(State(file: descriptor, sequence: 0))
    let last = try entries().last?.sequence ?? 0
    state.withLock { $0.sequence = last }
  }

  deinit { state.withLock { _ = close($0.file) } }

  func append(verb: String, id: String, effect: String?, error: String?) throws {
    try state.withLock { state in
      state.sequence += 1
      let entry = FakeCloudEntry(sequence: state.sequence, verb: verb, id: id, effect: effect, error: error)
      let line = try Array(JSONEncoder().encode(entry)) + [0x0A]
      let count = line.withUnsafeBytes { write(state.file, $0.baseAddress, $0.count) }
      guard count == line.count, effect == nil || fsync(state.file) == 0 else {
        throw ConfigurationError("Cannot write \(path).", remedy: "Free space on its disk.")
      }
    }
  }

  /// All of it; a last line cut off by a crash is left out.
  func entries() throws -> [FakeCloudEntry] {
    let bytes = try PrivateFile.read(path) ?? []
    return bytes.split(separator: 0x0A).compactMap { try? JSONDecoder().decode(FakeCloudEntry.self, from: Data($0)) }
  }
}
