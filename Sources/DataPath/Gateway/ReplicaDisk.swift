import Blocks
import Crypto
import Replication
import Volumes
import Wire

/// One disk of a replica, open: its volume and what is known of its leaves.
struct ReplicaDisk: Sendable {
  let grant: SessionGrant.Disk
  let volume: any BlockWriter
  let map: LeafMap

  /// Known leaves looked at when a volume is opened.
  private static let samples = 16

  /// Opens volume and map, and looks at some leaves: where the volume does not hold what the map says, it is another
  /// volume, or an older state of it, and the whole map is forgotten.
  ///
  /// - Parameter isBlank: nothing was ever written to the volume, so that a new map knows all there is to know.
  /// - Throws: `Problem` where the volume cannot be used.
  init(_ grant: SessionGrant.Disk, folder: DurableFolder, isBlank: Bool, open: VolumeOpener) throws {
    self.grant = grant
    do { volume = try open(grant) } catch { throw Problem.volumeRefused(grant.volume, "\(error)") }
    guard volume.size >= grant.size else {
      throw Problem.volumeRefused(grant.volume, "it has \(volume.size) bytes, the disk \(grant.size)")
    }
    guard volume.size == grant.size || grant.size.isMultiple(of: UInt64(volume.alignment)) else {
      throw Problem.volumeRefused(grant.volume, "the disk's end is no multiple of its \(volume.alignment) byte sectors")
    }
    map = try LeafMap(folder: folder, size: grant.size, isBlank: isBlank)
    if try !holdsWhatTheMapSays() { try map.forgetAll() }
  }

  private func holdsWhatTheMapSays() throws -> Bool {
    let held = map.held()
    let step = max(1, map.count / Self.samples)
    var start = 0
    while let leaf = held.next(from: start) {
      let state = try map.states(leaf..<leaf + 1)[0]
      let content = try content(of: leaf, buffer: AlignedBuffer(count: Int(Leaf.size)))
      if content.kind != state.kind || content.digest != state.digest { return false }
      start = leaf + step
    }
    return true
  }

  /// Reads one leaf from the volume.
  func content(of leaf: Int, buffer: AlignedBuffer) throws(BlockError) -> (kind: LeafKind, digest: LeafDigest) {
    let range = Leaf.range(UInt64(leaf), bytes: grant.size)
    let bytes = UnsafeMutableRawBufferPointer(rebasing: buffer.unsafeMutableBytes[..<range.count])
    var span = bytes.mutableBytes
    try volume.read(into: &span, at: range.lowerBound)
    return Self.content(UnsafeRawBufferPointer(bytes))
  }

  /// Kind and digest of a leaf's bytes.
  static func content(_ bytes: UnsafeRawBufferPointer) -> (kind: LeafKind, digest: LeafDigest) {
    if isZero(bytes.bytes) { return (.zero, .none) }
    var hash = SHA256()
    hash.update(bufferPointer: bytes)
    return (.data, hash.finalize().withUnsafeBytes { LeafDigest(bytes: $0.bytes) } ?? .none)
  }
}
