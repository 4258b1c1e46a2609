import FoundationEssentials
import Synchronization
import Wire

/// What pending marks mean nothing without: which replica they are of, and what proves the leaves that no sealed session
/// speaks of.
struct SyncMemory: Codable, Hashable, Sendable {
  var replica: ReplicaMemory
  /// Sessions since the last sealed walk of everything in use that ended without a seal, oldest first.
  var carried: [AgentStatement.Carried] = []
  /// What the session that runs has settled; joins `carried` where it ends without a seal, also by the agent's death.
  var running: AgentStatement.Carried?

  /// The session that ran begins anew, has ended, or another one runs.
  fileprivate mutating func carry() {
    if let running, running.parts > 0 { carried.append(running) }
    running = nil
  }
}

/// What this agent remembers, by migration: as long-lived as its marks, so in a file that the next process reads, and the
/// machine's next start removes.
///
/// Noted before anything is built upon it: a session's part before what it settles is settled in the marks, a chain
/// before its seal is requested. A file that is there is true of the marks that are there; where it cannot be written it
/// is removed.
final class SyncMemories: Sendable {
  private let path: String?
  /// Held while the file is written, so that a later state is never overwritten by an earlier one.
  private let memories: Mutex<[String: SyncMemory]>

  /// - Parameter path: nil where marks end with this process.
  init(path: String?) {
    self.path = path
    var known = path.map { Self.read($0) } ?? [:]
    for migration in known.keys { known[migration]?.carry() }
    memories = Mutex(known)
  }

  /// What the process before noted; empty where that cannot be read.
  static func read(_ path: String) -> [String: SyncMemory] {
    guard let bytes = (try? PrivateFile.read(path)).flatMap({ $0 }) else { return [:] }
    return (try? JSONDecoder().decode([String: SyncMemory].self, from: Data(bytes))) ?? [:]
  }

  subscript(migration: String) -> SyncMemory? { memories.withLock { $0[migration] } }

  /// Notes how the sync of `command` stands. Blocks.
  /// - Parameter state: the replica, and the chain over what was settled; nil where the replica is not that of the marks.
  func note(_ command: SyncCommand, _ state: () -> (replica: ReplicaMemory, chain: ManifestChain?)?) throws {
    try memories.withLock { memories in
      guard let (replica, chain) = state() else { return }
      var memory = memories[command.migration] ?? SyncMemory(replica: replica)
      memory.replica = replica
      let parts = chain?.parts ?? 0
      if let before = memory.running, before.session != command.session || before.parts > parts { memory.carry() }
      memory.running = chain.map { .init(session: command.session, parts: parts, chain: $0.hex) }
      if memories[command.migration] == memory { return }
      memories[command.migration] = memory
      try write(memories)
    }
  }

  /// Notes how a sync ended. Where that cannot be written the next process compares.
  func ended(_ command: SyncCommand, sealed: Bool, mode: SyncCommand.Mode) {
    memories.withLock { memories in
      guard var memory = memories[command.migration] else { return }
      if !sealed {
        memory.carry()
      } else {
        memory.running = nil
        if mode != .delta { memory.carried = [] }
      }
      memories[command.migration] = memory
      try? write(memories)
    }
  }

  private func write(_ memories: [String: SyncMemory]) throws {
    guard let path else { return }
    do { try PrivateFile.write(Array(JSONEncoder().encode(memories)), to: path) } catch {
      // Marks of which nothing is remembered are not gone on with: that is right, and only costs a comparison.
      try PrivateFile.remove(path)
    }
  }
}
