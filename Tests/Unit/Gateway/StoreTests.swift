import Foundation
import Replication
import Testing
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
    let map = try LeafMap(folder: folder, size: size)
    #expect(map.count == 101 && map.held().isEmpty && map.unknown().population == 101)
    try map.claim([
      record(3, .data, digest: 7), record(4, .data, digest: 8), record(100, .zero), record(10, .free, run: 50)
    ])
    try map.markUnknown([4, 20])
    var agreed = [LeafKind?](repeating: nil, count: 101)
    agreed[3] = .data
    try map.seal(agreed)
    let again = try LeafMap(folder: folder, size: size)
    #expect(try again.states(0..<101) == map.states(0..<101))
    #expect(
      try again.states(3..<4) == [LeafState(kind: .data, digest: record(3, .data, digest: 7).digest, sealed: true)])
    #expect(try again.states(4..<5) == [LeafState(kind: .unknown)])
    #expect(again.held().population == 2)
    #expect(again.unknown().population == 101 - 2 - 49)
  }

  @Test func `a map of another size, or damaged, knows nothing`() throws {
    try LeafMap(folder: folder, size: 10 * Leaf.size).claim([record(0, .zero, run: 10)])
    #expect(try LeafMap(folder: folder, size: 11 * Leaf.size).held().isEmpty)
    try LeafMap(folder: folder, size: 11 * Leaf.size).claim([record(0, .zero, run: 10)])
    try DurableFile(folder.file("map")).write([UInt8(0xEE)].span.bytes, at: 2)
    #expect(try LeafMap(folder: folder, size: 11 * Leaf.size).held().isEmpty)
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
