import FoundationEssentials
import Replication
import Wire

/// The manifests of a replica's earlier sessions: their files stay where they were written, and a list names them. What
/// proves a point is put together from them. Calls block.
struct ManifestArchive {
  struct Entry: Codable, Hashable {
    /// The file that holds it.
    var manifest: String
    var session: String
    var previous: String
    var sealed: Bool
  }

  private static let list = "history.json"
  private let folder: DurableFolder

  /// - Parameter folder: the replica's.
  init(folder: DurableFolder) { self.folder = folder }

  private func entries() throws -> [Entry] {
    guard let bytes = try folder.read(Self.list) else { return [] }
    return try JSONDecoder().decode([Entry].self, from: Data(bytes))
  }

  /// Durably lists the manifest that a replica is about to leave behind. False where it says nothing.
  func keep(_ record: ReplicaRecord, parts: UInt64) throws -> Bool {
    guard let session = record.session, record.sealed || parts > 0 else { return false }
    var entries = try entries()
    guard !entries.contains(where: { $0.manifest == record.manifest }) else { return true }
    entries.append(
      Entry(manifest: record.manifest, session: session, previous: record.previous, sealed: record.sealed))
    try folder.replace(Self.list, with: Array(JSONEncoder().encode(entries)))
    return true
  }

  /// The manifests that together speak of every leaf as it stood when `session` was sealed.
  ///
  /// - Parameter counts: leaves of each disk.
  /// - Throws: `Problem` where the session was not sealed here, or too little was kept.
  func history(of session: String, counts: [Int]) throws -> ManifestHistory {
    guard let bytes = try folder.read("record.json") else { throw Problem.noSuchSeal(session) }
    let record = try JSONDecoder().decode(ReplicaRecord.self, from: Data(bytes))
    var entries = try entries()
    if let current = record.session, !entries.contains(where: { $0.manifest == record.manifest }) {
      entries.append(
        Entry(manifest: record.manifest, session: current, previous: record.previous, sealed: record.sealed))
    }
    guard let last = entries.lastIndex(where: { $0.session == session && $0.sealed }) else {
      throw Problem.noSuchSeal(session)
    }
    var missing = counts.map { count in
      var all = Bitmap(count: count)
      all.insert(0..<count)
      return all
    }
    var manifests: [ManifestHistory.Manifest] = []
    for entry in entries[...last].reversed() {
      let manifest = try manifest(entry)
      manifests.append(manifest)
      for part in manifest.parts { Self.remove(part, from: &missing) }
      if missing.allSatisfy(\.isEmpty) { return ManifestHistory(manifests: manifests.reversed()) }
    }
    throw Problem.historyIncomplete(session)
  }

  private func manifest(_ entry: Entry) throws -> ManifestHistory.Manifest {
    let parts = try ManifestLog.parts(path: folder.file(entry.manifest))
    var signature = ""
    if entry.sealed {
      guard let bytes = try folder.folder("receipts").read(ReplicaStore.name(entry.session)) else {
        throw Problem.historyIncomplete(entry.session)
      }
      signature = try JSONDecoder().decode(SealReceipt.self, from: Data(bytes)).agentSignature
    }
    return .init(session: entry.session, previous: entry.previous, signature: signature, parts: parts)
  }

  private static func remove(_ part: [UInt8], from missing: inout [Bitmap]) {
    guard let records = try? LeafRecord.decode(part: part) else { return }
    for record in records where missing.indices.contains(Int(record.disk)) {
      let disk = Int(record.disk)
      let end = min(record.leaf + UInt64(record.run), UInt64(missing[disk].count))
      if record.leaf < end { missing[disk].remove(Int(record.leaf)..<Int(end)) }
    }
  }
}

extension Problem {
  static func noSuchSeal(_ session: String) -> Problem {
    Problem(
      code: "no_such_seal", status: 404, detail: "session \(session) was not sealed by this gateway on these volumes",
      remedy: "ask the gateway that sealed it")
  }

  static func historyIncomplete(_ session: String) -> Problem {
    Problem(
      code: "history_incomplete", status: 409,
      detail: "the manifests kept do not speak of every leaf at the seal of session \(session)",
      remedy: "run a sync in mode compare; its point can be proven again")
  }
}
