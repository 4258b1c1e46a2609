/// One leaf in a gateway's leaf map.
public struct LeafState: Hashable, Sendable {
  public var kind: LeafKind
  /// SHA-256 of the leaf for `.data`, else `.none`.
  public var digest: LeafDigest
  /// Whether these bytes were read back by a seal and not written since.
  public var sealed: Bool

  public init(kind: LeafKind, digest: LeafDigest = .none, sealed: Bool = false) {
    (self.kind, self.digest, self.sealed) = (kind, digest, sealed)
  }

  /// What a seal makes of a leaf.
  public enum Verdict: Hashable, Sendable {
    /// It is what it should be; sealed as this kind and digest.
    case agrees(LeafKind, LeafDigest)
    /// It holds something else, or nobody said what it should hold: the agent has to send it again.
    case mismatch
  }

  /// Whether a seal has to read this leaf's bytes.
  /// - Parameter record: the last record of the leaf in the session's manifest.
  public func needsReadBack(record: LeafRecord?) -> Bool {
    !sealed && (expectation(record: record) != nil) && kind != .free
  }

  /// Judges a leaf. What it should hold is said by the manifest's last record, else by the earlier claim.
  /// - Parameters:
  ///   - record: the last record of the leaf in the session's manifest.
  ///   - readBack: kind (`.zero` or `.data`) and digest of the bytes on the volume; nil where not read.
  public func verdict(record: LeafRecord?, readBack: (kind: LeafKind, digest: LeafDigest)?) -> Verdict {
    if kind == .free { return record == nil || record?.kind == .free ? .agrees(.free, .none) : .mismatch }
    guard let expected = expectation(record: record) else { return .mismatch }
    let found = sealed ? (kind, digest) : readBack
    guard let found, found == expected else { return .mismatch }
    return .agrees(found.0, found.1)
  }

  /// What the bytes should be; nil where nobody said so.
  private func expectation(record: LeafRecord?) -> (kind: LeafKind, digest: LeafDigest)? {
    let said = record.map { (kind: $0.kind, digest: $0.digest) } ?? (kind: kind, digest: digest)
    return said.kind == .data || said.kind == .zero ? said : nil
  }
}
