import Blocks
import Foundation
import Replication
import Synchronization
import Testing
import Volumes
import Wire

@testable import Gateway

@Suite(.timeLimit(.minutes(1))) final class StoreTests {
  private let folder: DurableFolder

  init() throws { folder = try DurableFolder(creating: NSTemporaryDirectory() + "godwit-store-" + UUID().uuidString) }

  deinit { try? FileManager.default.removeItem(atPath: folder.path) }

  private func record(_ leaf: UInt64, _ kind: LeafKind, run: UInt32 = 1, digest: UInt64 = 0) -> LeafRecord {
    LeafRecord(
      disk: 0, leaf: leaf, run: run, kind: kind,
      digest: kind == .data ? LeafDigest(a: digest, b: 1, c: 2, d: 3) : .none)
  }

  @Test func `a leaf map says after a restart what it said before`() throws {
    let size = 100 * Leaf.size + 1
    let map = try LeafMap(folder: folder, size: size, isBlank: true)
    #expect(map.count == 101 && map.held().isEmpty && map.unknown().population == 101)
    try map.claim([
      record(3, .data, digest: 7), record(4, .data, digest: 8), record(100, .zero), record(10, .free, run: 50)
    ])
    try map.markUnknown([4, 20])
    try map.seal([(3..<4, .data)])
    let again = try LeafMap(folder: folder, size: size, isBlank: true)
    #expect(try again.states(0..<101) == map.states(0..<101))
    #expect(
      try again.states(3..<4) == [LeafState(kind: .data, digest: record(3, .data, digest: 7).digest, sealed: true)])
    #expect(try again.states(4..<5) == [LeafState(kind: .unknown)])
    #expect(again.held().population == 2)
    #expect(again.unknown().population == 101 - 2 - 49)
  }

  @Test func `the root follows every change, and is that of a picture of the same leaves`() throws {
    let count = 3 * LeafRoot.chunk + 5
    let map = try LeafMap(folder: folder, size: UInt64(count) * Leaf.size, isBlank: true)
    var picture = LeafPicture(counts: [count])
    var roots: Set<String> = []
    func check(_ label: String) throws {
      let (root, counts) = try map.summary()
      #expect(root == picture.root(disk: 0), "\(label)")
      #expect(roots.insert(root).inserted, "\(label) changed nothing")
      #expect(counts[.data] == picture.count(of: .data, disk: 0), "\(label)")
      // What a gateway that starts now would say.
      #expect(
        try LeafMap(folder: folder, size: UInt64(count) * Leaf.size, isBlank: true).summary().root == root, "\(label)")
    }
    try check("nothing known")
    let steps: [[LeafRecord]] = [
      [record(0, .free, run: UInt32(count))],
      [record(5, .data, digest: 1), record(UInt64(count - 1), .data, digest: 2)],
      [record(5, .data, digest: 3)],
      [record(1000, .zero, run: 100)],
      [record(0, .zero, run: UInt32(LeafRoot.chunk))]
    ]
    for (number, records) in steps.enumerated() {
      try map.claim(records)
      for record in records { picture.add(record) }
      try check("step \(number)")
    }
    try map.markUnknown([7, 2000])
    for leaf in [7, 2000] { picture.add(record(UInt64(leaf), .unknown)) }
    try check("unknown leaves")
    try map.writeDigest(record(7, .data, digest: 9).digest, of: 7)
    try map.seal([(7..<8, .data)])
    picture.add(record(7, .data, digest: 9))
    try check("sealed with another digest")
    try map.version(as: "v")
    let kept = try LeafMap.picture(
      folder: folder, version: "v", size: UInt64(count) * Leaf.size, disk: 0, counts: [count])
    #expect(kept?.root(disk: 0) == picture.root(disk: 0))
    try map.unseal(0..<count)
    #expect(try map.summary().root == picture.root(disk: 0), "what was read back does not count in it")
    try map.forgetAll()
    let forgotten = try map.summary().root
    #expect(map.unknown().population == count && roots.contains(forgotten))
  }

  @Test func `a map of another size, or damaged, knows nothing`() throws {
    try LeafMap(folder: folder, size: 10 * Leaf.size, isBlank: true).claim([record(0, .zero, run: 10)])
    #expect(try LeafMap(folder: folder, size: 11 * Leaf.size, isBlank: true).held().isEmpty)
    try LeafMap(folder: folder, size: 11 * Leaf.size, isBlank: true).claim([record(0, .zero, run: 10)])
    try DurableFile(folder.file("map")).write([UInt8(0xEE)].span.bytes, at: 2)
    #expect(try LeafMap(folder: folder, size: 11 * Leaf.size, isBlank: true).held().isEmpty)
  }

  @Test func `where a map is new, damaged or forgotten its volume is to be read, unless it is blank`() throws {
    let size = 10 * Leaf.size
    func fresh(_ name: String, isBlank: Bool) throws -> LeafMap {
      try LeafMap(folder: folder.folder(name), size: size, isBlank: isBlank)
    }
    #expect(try !fresh("blank", isBlank: true).isUnread && !fresh("blank", isBlank: false).isUnread)
    let lost = try fresh("lost", isBlank: false)
    let origin = try #require(try lost.unreadOrigin())
    #expect(try Hex.decode(origin)?.count == 32 && fresh("lost", isBlank: true).unreadOrigin() == origin)
    try lost.noteRead()
    #expect(try !fresh("lost", isBlank: false).isUnread)
    try lost.forgetAll()
    #expect(try lost.isUnread && lost.unreadOrigin() != origin)
    try DurableFile(folder.folder("blank").file("map")).write([UInt8(0xEE)].span.bytes, at: 2)
    #expect(try fresh("blank", isBlank: true).isUnread)
  }

  @Test func `a volume is read once, goes on where it was stopped, and what cannot be read stays unknown`() throws {
    let count = 300
    let path = folder.file("volume")
    let file = try RawFile.create(path: path, size: UInt64(count) * Leaf.size)
    for leaf in 0..<UInt64(count) where leaf % 3 != 0 {
      try file.write([UInt8](repeating: UInt8(leaf % 251 + 1), count: 100).span.bytes, at: leaf * Leaf.size + 5)
    }
    let grant = SessionGrant.Disk(volume: "v", location: path, size: UInt64(count) * Leaf.size)
    let volumeFolder = try folder.folder("v")
    let volume = CountedVolume(try RawFile(path: path), unreadable: 64 * Leaf.size)
    let disk = try ReplicaDisk(grant, folder: volumeFolder, isBlank: false, open: { _ in volume })
    func read(stopped: Bool) throws -> String? {
      let outcome = Mutex<String??>(nil)
      let reading = VolumeReading(disks: [disk], workers: 1) { failure in outcome.withLock { $0 = failure } }
      if stopped { volume.onRead.withLock { $0 = { reading.stop() } } }
      reading.work()
      return try #require(outcome.withLock { $0 })
    }
    #expect(try read(stopped: true) != nil)
    #expect(disk.map.isUnread && disk.map.unknown().population == count - 64, "the first piece is known")
    volume.onRead.withLock { $0 = {} }
    #expect(try read(stopped: false) == nil)
    #expect(!disk.map.isUnread && disk.map.unknown().population == 64)
    #expect(volume.reads.withLock { $0 } == [0, 64, 128, 192, 256].map { $0 * Leaf.size })
    for leaf in Array(0..<64) + Array(128..<count) {
      let state = try disk.map.states(leaf..<leaf + 1)[0]
      let content = try disk.content(of: leaf, buffer: AlignedBuffer(count: Int(Leaf.size)))
      #expect(state.kind == (leaf % 3 == 0 ? .zero : .data) && !state.sealed)
      #expect(state.kind == content.kind && state.digest == content.digest)
    }
  }

  @Test func `a manifest cut anywhere keeps exactly its whole parts`() throws {
    let chain = ManifestChain(session: "s", previous: "")
    let parts = (1...3).map { count in LeafRecord.encode((0..<count).map { record(UInt64($0), .data, digest: 5) }) }
    let log = try ManifestLog(path: folder.file("whole"), chain: chain)
    var ends: [Int] = [0]
    for part in parts {
      try log.append(part)
      ends.append(try #require(try folder.read("whole")).count)
    }
    let bytes = try #require(try folder.read("whole"))
    for length in 0...bytes.count {
      try folder.replace("cut", with: Array(bytes.prefix(length)))
      let cut = try ManifestLog(path: folder.file("cut"), chain: chain)
      let whole = ends.lastIndex { $0 <= length } ?? 0
      #expect(cut.count == UInt64(whole))
      var expected = chain
      for part in parts.prefix(whole) { expected.append(part: part) }
      #expect(cut.chain == expected)
    }
    // It goes on after the cut as if the torn part had never been.
    try folder.replace("cut", with: Array(bytes.dropLast()))
    let cut = try ManifestLog(path: folder.file("cut"), chain: chain)
    try cut.append(parts[2])
    #expect(cut.chain == log.chain)
    #expect(try folder.read("cut") == bytes)
  }

  @Test func `the last record of a leaf counts`() throws {
    let log = try ManifestLog(path: folder.file("m"), chain: ManifestChain(session: "s", previous: ""))
    try log.append(LeafRecord.encode([record(0, .zero, run: 4), record(2, .data, digest: 1)]))
    try log.append(LeafRecord.encode([record(2, .data, digest: 2)]))
    let last = try log.lastRecords(counts: [5])
    #expect(last.record(disk: 0, leaf: 0)?.kind == .zero)
    #expect(last.record(disk: 0, leaf: 2) == record(2, .data, digest: 2))
    #expect(last.record(disk: 0, leaf: 4) == nil)
  }

  @Test func `two gateways never share a folder`() throws {
    let file = try DurableFile(folder.file("lock"), flags: O_RDWR | O_CREAT)
    let first = file.lockExclusively()
    let other = try DurableFile(folder.file("lock"), flags: O_RDWR)
    let second = other.lockExclusively()
    #expect(first && !second)
  }
}

/// Notes where it was read; reads from one place on, once, fail.
private final class CountedVolume: BlockWriter {
  private let file: RawFile
  private let unreadable: UInt64
  let reads = Mutex<[UInt64]>([])
  let onRead = Mutex<@Sendable () -> Void>({})

  init(_ file: RawFile, unreadable: UInt64) { (self.file, self.unreadable) = (file, unreadable) }

  var size: UInt64 { file.size }
  var alignment: Int { file.alignment }

  func read(into bytes: inout MutableRawSpan, at offset: UInt64) throws(BlockError) {
    if bytes.byteCount > Leaf.size {
      reads.withLock { $0.append(offset) }
      onRead.withLock { $0 }()
      if offset == unreadable {
        throw BlockError(.unreadable, call: "pread", device: "v", offset: offset, reason: "a test says so")
      }
    }
    try file.read(into: &bytes, at: offset)
  }

  func write(_ bytes: RawSpan, at offset: UInt64) throws(BlockError) { try file.write(bytes, at: offset) }
  func zero(_ range: Range<UInt64>) throws(BlockError) { try file.zero(range) }
  func flush() throws(BlockError) { try file.flush() }
}
