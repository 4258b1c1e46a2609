import Replication
import Testing

@Suite struct LeafStateTests {
  let digest = LeafDigest(a: 1, b: 2, c: 3, d: 4)
  let other = LeafDigest(a: 9, b: 2, c: 3, d: 4)

  func record(_ kind: LeafKind, _ digest: LeafDigest = .none) -> LeafRecord {
    LeafRecord(disk: 0, leaf: 0, kind: kind, digest: digest)
  }

  @Test func `what nobody vouched for is a mismatch`() {
    let state = LeafState(kind: .unknown)
    #expect(!state.needsReadBack(record: nil))
    #expect(state.verdict(record: nil, readBack: nil) == .mismatch)
    #expect(state.verdict(record: record(.free), readBack: nil) == .mismatch)
  }

  @Test func `an unknown leaf agrees where its bytes are what the manifest says`() {
    let state = LeafState(kind: .unknown)
    #expect(state.needsReadBack(record: record(.data, digest)))
    #expect(state.verdict(record: record(.data, digest), readBack: (.data, digest)) == .agrees(.data, digest))
    #expect(state.verdict(record: record(.data, digest), readBack: (.data, other)) == .mismatch)
    #expect(state.verdict(record: record(.zero), readBack: (.zero, .none)) == .agrees(.zero, .none))
    #expect(state.verdict(record: record(.data, digest), readBack: nil) == .mismatch)
  }

  @Test func `a claim is read back, against the manifest where that speaks of it`() {
    let state = LeafState(kind: .data, digest: digest)
    #expect(state.needsReadBack(record: nil))
    #expect(state.verdict(record: nil, readBack: (.data, digest)) == .agrees(.data, digest))
    #expect(state.verdict(record: nil, readBack: (.data, other)) == .mismatch)
    #expect(state.verdict(record: record(.data, other), readBack: (.data, digest)) == .mismatch)
  }

  @Test func `a sealed leaf is not read again, but must be what the manifest says`() {
    let state = LeafState(kind: .data, digest: digest, sealed: true)
    #expect(!state.needsReadBack(record: record(.data, digest)))
    #expect(state.verdict(record: record(.data, digest), readBack: nil) == .agrees(.data, digest))
    #expect(state.verdict(record: record(.data, other), readBack: nil) == .mismatch)
  }

  @Test func `a free leaf stays free and is not read`() {
    let state = LeafState(kind: .free)
    #expect(!state.needsReadBack(record: nil))
    #expect(state.verdict(record: nil, readBack: nil) == .agrees(.free, .none))
    #expect(state.verdict(record: record(.data, digest), readBack: nil) == .mismatch)
  }
}
