public import Foundation
import Providers
import ServiceKit
import Synchronization

/// A cloud made of files, for tests of everything that talks to one: volumes are sparse raw files, snapshots are copies,
/// machines exist only as records with a scripted console. It has its own state folder and its own log, so it can judge
/// what a killed caller really did; faults are injected by `Faults`.
///
/// A snapshot is a copy of the file: an instant only while nobody writes, except where the filesystem clones files.
public final class FakeCloud: Sendable {
  struct State: Codable {
    var volumes: [String: Stored<Volume>] = [:]
    var snapshots: [String: Stored<Snapshot>] = [:]
    var machines: [String: Stored<Machine>] = [:]
    var scripts = ConsoleScripts()
    var nextPort = 40_000
  }

  /// One lock over records and files: calls happen one after another, as the log says.
  let state: Mutex<State>
  let faults: FaultInjector
  let log: FakeCloudLog
  let folder: String
  let now: @Sendable () -> Double

  /// - Parameters:
  ///   - folder: its state; made when missing, taken up again otherwise.
  ///   - now: seconds since 1970.
  public init(folder: String, now: @escaping @Sendable () -> Double = { Date().timeIntervalSince1970 }) throws {
    for sub in ["volumes", "snapshots"] { try PrivateFile.makeFolder("\(folder)/\(sub)") }
    try PrivateFile.makeFolder(folder)
    (self.folder, self.now) = (folder, now)
    let saved = try PrivateFile.read(folder + "/state.json")
    state = Mutex(try saved.map { try JSONDecoder().decode(State.self, from: Data($0)) } ?? State())
    log = try FakeCloudLog(file: folder + "/log.jsonl")
    faults = FaultInjector()
  }

  /// Runs one verb: prunes what is gone by now, applies it, saves, and writes the effect to the log before anyone can
  /// learn of it.
  func verb<Value>(_ name: String, _ id: String, _ body: (inout State, _ effect: inout String?) throws -> Value) throws
    -> Value
  {
    try state.withLock { state in
      prune(&state)
      var effect: String?
      do {
        let value = try body(&state, &effect)
        if effect != nil { try save(state) }
        try log.append(verb: name, id: id, effect: effect, error: nil)
        return value
      } catch let error as ProviderError {
        try log.append(verb: name, id: id, effect: nil, error: error.description)
        throw error
      }
    }
  }

  private func save(_ state: State) throws {
    try PrivateFile.write(Array(JSONEncoder().encode(state)), to: folder + "/state.json")
  }

  /// Forgets what was deleted once its time is over, files included.
  private func prune(_ state: inout State) {
    let time = now()
    for (id, record) in state.volumes where record.isGone(at: time) {
      state.volumes[id] = nil
      try? FileManager.default.removeItem(atPath: volumePath(id))
    }
    for (id, record) in state.snapshots where record.isGone(at: time) {
      state.snapshots[id] = nil
      try? FileManager.default.removeItem(atPath: snapshotPath(id))
    }
    for (id, record) in state.machines where record.isGone(at: time) { state.machines[id] = nil }
  }

  func volumePath(_ id: String) -> String { "\(folder)/volumes/\(id).raw" }
  func snapshotPath(_ id: String) -> String { "\(folder)/snapshots/\(id).raw" }

  /// Ids become file names here, so nothing but the promised letters passes.
  static func check(_ id: ResourceID) throws {
    let letters = id.rawValue.utf8
    let allowed = letters.allSatisfy { (0x30...0x39).contains($0) || (0x61...0x7A).contains($0) || $0 == 0x2D }
    guard allowed, (1...63).contains(letters.count) else {
      throw ProviderError(.invalid, "'\(id)' is no id: use a-z, 0-9 and -, at most 63")
    }
  }
}

/// A record with the moments at which it becomes visible, becomes ready, and disappears, in seconds since 1970.
struct Stored<Value: Codable & Sendable>: Codable, Sendable {
  var value: Value
  var visibleAt: Double
  var readyAt: Double
  var goneAt: Double?
  /// Where it is attached; when a machine was started.
  var location: String?
  var startedAt: Double?
  /// Of a snapshot: it ends as failed.
  var hasFailed: Bool?

  func isGone(at time: Double) -> Bool { goneAt.map { $0 <= time } ?? false }
}
