import Crypto
import FoundationEssentials

/// One link of the audit: an event, and a hash over it and everything before it.
public struct AuditRecord: Codable, Hashable, Sendable {
  /// 1, 2, 3, ...
  public var seq: Int64
  /// The `AuditEvent`, as JSON with sorted keys.
  public var body: String
  /// SHA-256 (hexadecimal) of `godwit-audit-1`, `seq`, the hash before, and `body`, a newline between each.
  public var hash: String
  public init(seq: Int64, body: String, hash: String) { (self.seq, self.body, self.hash) = (seq, body, hash) }

  /// What stands before the first record.
  public static let genesis = String(repeating: "0", count: 64)

  /// The record that follows the one with `previous` as its hash.
  public init(seq: Int64, body: String, after previous: String) {
    self.init(seq: seq, body: body, hash: Self.hash(seq: seq, body: body, after: previous))
  }

  static func hash(seq: Int64, body: String, after previous: String) -> String {
    Hex.encode(Array(SHA256.hash(data: Array("godwit-audit-1\n\(seq)\n\(previous)\n\(body)".utf8))))
  }
}

/// The newest record, signed by the operations service: an anchor, by which a cut tail is noticed.
public struct AuditHead: Codable, Hashable, Sendable {
  static let type = "godwit-audit-head+jwt"
  public var seq: Int64
  public var hash: String
  /// Seconds since 1970.
  public var at: Int
  public init(seq: Int64, hash: String, at: Int) { (self.seq, self.hash, self.at) = (seq, hash, at) }

  public func signed(with key: AgentKey) throws -> String {
    try CompactJWS.sign(self, header: .init(typ: Self.type), with: key)
  }

  /// - Parameter publicKey: 32 bytes.
  /// - Throws: `AuditBreak.forgedHead`.
  public init(_ token: String, publicKey: [UInt8]) throws {
    do { self = try CompactJWS.verify(token, publicKey: publicKey, as: AuditHead.self, typ: Self.type) } catch {
      throw AuditBreak.forgedHead("\(error)")
    }
  }
}

/// How an audit is not what it was.
public enum AuditBreak: Error, Hashable, Sendable, CustomStringConvertible {
  /// The record is not what its hash was made of, or does not follow the one before.
  case altered(seq: Int64)
  case missing(seq: Int64, found: Int64)
  /// A head was signed over a record that is not there any more.
  case cut(last: Int64, signed: Int64)
  /// Records follow the newest signed head.
  case unsigned(last: Int64, signed: Int64)
  /// The record has another hash than the head that was signed over it.
  case replaced(seq: Int64)
  case forgedHead(String)

  public var description: String {
    switch self {
    case .altered(let seq): "Record \(seq) was changed, or is not the one that followed record \(seq - 1)."
    case .missing(let seq, let found): "Record \(seq) is missing; record \(found) stands in its place."
    case .cut(let last, let signed):
      "The audit ends at record \(last), but record \(signed) was signed: its end was cut."
    case .unsigned(let last, let signed): "The records \(signed + 1) to \(last) follow the newest signed one, unsigned."
    case .replaced(let seq): "Record \(seq) is not the one that was signed: the audit was rewritten."
    case .forgedHead(let why): "A head is not signed by the operations service: \(why)."
    }
  }
}

/// Follows an audit record by record, and compares it with signed heads. Pure.
public struct AuditChain: Sendable {
  /// The last record that was good.
  public private(set) var seq: Int64 = 0
  public private(set) var hash = AuditRecord.genesis

  public init() {}

  /// The next record.
  public mutating func follow(_ record: AuditRecord, anchors: [AuditHead] = []) throws(AuditBreak) {
    guard record.seq == seq + 1 else { throw .missing(seq: seq + 1, found: record.seq) }
    guard record.hash == AuditRecord.hash(seq: record.seq, body: record.body, after: hash) else {
      throw .altered(seq: record.seq)
    }
    if let anchor = anchors.first(where: { $0.seq == record.seq }), anchor.hash != record.hash {
      throw .replaced(seq: record.seq)
    }
    (seq, hash) = (record.seq, record.hash)
  }

  /// After the last record.
  /// - Parameters:
  ///   - newest: the head kept beside the records.
  ///   - anchors: further heads, as logs keep them.
  public func end(newest: AuditHead?, anchors: [AuditHead] = []) throws(AuditBreak) {
    for anchor in anchors + (newest.map { [$0] } ?? []) where anchor.seq > seq {
      throw .cut(last: seq, signed: anchor.seq)
    }
    let signed = newest?.seq ?? 0
    guard signed == seq else { throw .unsigned(last: seq, signed: signed) }
    if let newest, newest.hash != hash { throw .replaced(seq: seq) }
  }
}
