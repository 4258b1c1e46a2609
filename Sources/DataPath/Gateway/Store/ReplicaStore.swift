import Crypto
import FoundationEssentials
import Replication
import Wire

/// The folder of one replica: its record, the manifest of the session, the receipts of the sealed ones.
///
/// Every change is one durable step: the record is replaced last and decides. Calls block; one thread at a time.
final class ReplicaStore {
  private(set) var record: ReplicaRecord
  private(set) var log: ManifestLog
  private let folder: DurableFolder
  private let migrations: DurableFolder
  private let tenant: String

  /// - Parameters:
  ///   - folder: this replica's.
  ///   - migrations: where the last sealed chain of each migration is kept, for all replicas.
  init(folder: DurableFolder, migrations: DurableFolder, tenant: String, migration: String) throws {
    (self.folder, self.migrations, self.tenant) = (folder, migrations, tenant)
    let stored = try folder.read("record.json").map {
      try JSONDecoder().decode(ReplicaRecord.self, from: Data($0))
    }
    record = stored ?? ReplicaRecord(migration: migration)
    let chain = ManifestChain(session: record.session ?? "", previous: record.previous)
    log = try ManifestLog(path: folder.file(record.manifest), chain: chain)
    // A crash may have come between the record and the chain of its migration.
    if record.sealed { try rememberChain() }
  }

  var stored: ReplicaMachine.Stored { record.stored(parts: log.count) }

  /// An opening: session, ordinal and epoch, and a new manifest where the old one is dropped.
  func storeOpening(_ stored: ReplicaMachine.Stored, migration: String, dropManifest: Bool) throws {
    var next = record
    (next.session, next.ordinal, next.epoch) = (stored.session, stored.ordinal, stored.epoch.rawValue)
    (next.sealed, next.migration) = (stored.sealed, migration)
    guard dropManifest else {
      try log.keep(parts: stored.parts)
      return try replace(next)
    }
    next.manifest = "manifest-\(stored.epoch.rawValue)"
    next.previous = try migrations.read(Self.name(tenant, migration)).map { String(decoding: $0, as: UTF8.self) } ?? ""
    // A receipt that never counted must not be found once its session is not the last any more.
    if let last = record.session, last != next.session, !record.sealed {
      try folder.folder("receipts").removeDurably(Self.name(last))
    }
    let old = record.manifest
    // First kept, then dropped: after a crash between it stands in both places, which is the same.
    let isKept = try ManifestArchive(folder: folder).keep(record, parts: log.count)
    if next.manifest != old { folder.remove(next.manifest) }
    let chain = ManifestChain(session: next.session ?? "", previous: next.previous)
    let fresh = try ManifestLog(path: folder.file(next.manifest), chain: chain)
    try replace(next)
    log = fresh
    if next.manifest != old && !isKept { folder.remove(old) }
  }

  /// What leaf maps say of the replica is not what was sealed or settled here: its past gets a name that no agent knows,
  /// so that whoever remembers it compares. A session that is open goes on as one of that past, and one that is sealed
  /// keeps its receipt. May be repeated.
  /// - Parameter epoch: higher than any that was opened in a state that is lost.
  func loseOrigin(_ origin: String, migration: String, epoch: UInt64) throws {
    for migration in Set([migration, record.migration]) {
      try migrations.replace(Self.name(tenant, migration), with: Array(origin.utf8))
    }
    guard record.previous != origin, !record.sealed else { return }
    var next = record
    (next.previous, next.epoch) = (origin, max(record.epoch, epoch))
    try replace(next)
    log = try ManifestLog(
      path: folder.file(next.manifest), chain: ManifestChain(session: next.session ?? "", previous: origin))
  }

  func storePart(_ part: [UInt8]) throws { try log.append(part) }

  /// The seal: receipt first, then the record, which makes it count.
  func storeSeal(_ receipt: SealReceipt) throws {
    try folder.folder("receipts").replace(Self.name(receipt.session), with: Array(JSONEncoder().encode(receipt)))
    var next = record
    next.sealed = true
    try replace(next)
    try rememberChain()
  }

  /// The receipt of a session whose seal took place.
  func countingReceipt(of session: String) throws -> SealReceipt? {
    record.session == session && !record.sealed ? nil : try receipt(of: session)
  }

  /// The receipt as it is stored; it counts only once the record says so.
  func receipt(of session: String) throws -> SealReceipt? {
    guard let bytes = try folder.folder("receipts").read(Self.name(session)) else { return nil }
    return try JSONDecoder().decode(SealReceipt.self, from: Data(bytes))
  }

  private func replace(_ next: ReplicaRecord) throws {
    try folder.replace("record.json", with: Array(JSONEncoder().encode(next)))
    record = next
  }

  private func rememberChain() throws {
    let name = Self.name(tenant, record.migration)
    // A later seal of the migration, over other disks, is not taken back.
    let remembered = try migrations.read(name).map { String(decoding: $0, as: UTF8.self) } ?? ""
    if remembered == record.previous { try migrations.replace(name, with: Array(log.chain.hex.utf8)) }
  }

  /// A file name for an identifier of a peer, which never becomes part of a path itself.
  static func name(_ identifiers: String...) -> String {
    var hash = SHA256()
    for identifier in identifiers {
      hash.update(data: Array(identifier.utf8))
      hash.update(data: [0])
    }
    return Hex.encode(Array(hash.finalize()))
  }
}
