public import Replication

extension LeafDigest {
  /// - Parameter bytes: the 32 bytes of a SHA-256; nil is returned for any other length.
  public init?(bytes: RawSpan) {
    guard bytes.byteCount == Self.size else { return nil }
    // Not generic: maps have a digest for every leaf, and a generic one costs 5 us each from another module. The loads
    // lie within the 32 bytes, and any eight bytes are a number.
    self.init(
      a: UInt64(littleEndian: bytes.unsafeLoadUnaligned(fromByteOffset: 0, as: UInt64.self)),
      b: UInt64(littleEndian: bytes.unsafeLoadUnaligned(fromByteOffset: 8, as: UInt64.self)),
      c: UInt64(littleEndian: bytes.unsafeLoadUnaligned(fromByteOffset: 16, as: UInt64.self)),
      d: UInt64(littleEndian: bytes.unsafeLoadUnaligned(fromByteOffset: 24, as: UInt64.self)))
  }

  public init?(bytes: [UInt8]) { self.init(bytes: bytes.span.bytes) }

  /// The 32 bytes of the SHA-256.
  public var bytes: [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(Self.size)
    for word in [a, b, c, d] { bytes.append(littleEndian: word) }
    return bytes
  }
}

extension LeafRecord {
  /// Bytes of a record on the wire.
  public static let encodedSize = 48

  /// Why a manifest part was refused.
  public enum CodingFailure: Error, Hashable, Sendable, CustomStringConvertible {
    case length(Int)
    case kind(UInt8, record: Int)
    case run(UInt32, record: Int)
    case flags(UInt8, record: Int)

    public var description: String {
      switch self {
      case .length(let length): "a manifest part of \(length) bytes is not a whole number of 48-byte records"
      case .kind(let kind, let record): "record \(record) of the manifest part has the unknown kind \(kind)"
      case .run(let run, let record): "record \(record) of the manifest part has an impossible run of \(run)"
      case .flags(let flags, let record): "record \(record) of the manifest part has unknown flags \(flags)"
      }
    }
  }

  /// Appends the 48 bytes of this record to a manifest part.
  public func encode(into part: inout [UInt8]) {
    part.append(littleEndian: disk)
    part.append(kind.rawValue)
    part.append(equal ? 1 : 0)
    part.append(littleEndian: run)
    part.append(littleEndian: leaf)
    for word in [digest.a, digest.b, digest.c, digest.d] {
      part.append(littleEndian: word)
    }
  }

  /// The body of a flush.
  public static func encode(_ records: some Collection<LeafRecord>) -> [UInt8] {
    var part: [UInt8] = []
    part.reserveCapacity(records.count * encodedSize)
    for record in records { record.encode(into: &part) }
    return part
  }

  /// The records of a manifest part. Disk and leaf indices are not checked against any disk.
  public static func decode(part: [UInt8]) throws(CodingFailure) -> [LeafRecord] {
    guard part.count.isMultiple(of: encodedSize) else { throw .length(part.count) }
    var records: [LeafRecord] = []
    records.reserveCapacity(part.count / encodedSize)
    for index in 0..<part.count / encodedSize {
      let at = index * encodedSize
      guard let kind = LeafKind(rawValue: part[at + 2]) else { throw .kind(part[at + 2], record: index) }
      guard part[at + 3] <= 1 else { throw .flags(part[at + 3], record: index) }
      let run: UInt32 = part.littleEndian(at: at + 4)
      guard run >= 1, kind != .data || run == 1 else { throw .run(run, record: index) }
      let digest = LeafDigest(
        a: part.littleEndian(at: at + 16), b: part.littleEndian(at: at + 24), c: part.littleEndian(at: at + 32),
        d: part.littleEndian(at: at + 40))
      records.append(
        LeafRecord(
          disk: part.littleEndian(at: at), leaf: part.littleEndian(at: at + 8), run: run, kind: kind,
          equal: part[at + 3] == 1, digest: kind == .data ? digest : .none))
    }
    return records
  }
}

extension [UInt8] {
  mutating func append(littleEndian value: some FixedWidthInteger) {
    for shift in stride(from: 0, to: value.bitWidth, by: 8) { append(UInt8(truncatingIfNeeded: value >> shift)) }
  }

  /// The integer whose lowest byte stands at `index`.
  func littleEndian<Value: FixedWidthInteger>(at index: Int) -> Value {
    var value: Value = 0
    for byte in 0..<Value.bitWidth / 8 { value |= Value(truncatingIfNeeded: self[index + byte]) << (8 * byte) }
    return value
  }
}
