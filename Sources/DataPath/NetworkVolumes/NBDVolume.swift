public import Blocks
import CNBD
import Synchronization

/// A volume behind an NBD server: a storage daemon, qcow2, Ceph RBD, iSCSI, whatever serves one.
///
/// Holds several connections where the server says that a flush on one covers all (`NBD_FLAG_CAN_MULTI_CONN`), else one.
/// A connection that broke stays broken: what it is asked answers `.vanished`, a flush `.notDurable`, and the volume must
/// be opened anew. So does one whose server did not answer in time.
public final class NBDVolume: BlockWriter {
  /// Most connections to one export.
  public static let maximumConnections = 4
  /// How long a request may take: shorter than agents wait for theirs, so that they hear why.
  public static let patience = Duration.seconds(50)

  public let size: UInt64
  public let alignment: Int
  /// The address, as given.
  public let uri: String

  private let connections: [NBDConnection]
  private let turn = Atomic<Int>(0)
  private let canZero: Bool
  private let maximumRequest: Int

  /// Connects.
  ///
  /// - Parameter uri: `nbd+unix:///EXPORT?socket=PATH` or `nbd://HOST[:PORT]/EXPORT`.
  /// - Throws: `.cannotOpen` for an address of another kind, where nobody listens, where the export is missing, read-only
  ///   or cannot flush, or does not answer within `patience`; and while a write that was given up here may still be
  ///   carried out.
  public convenience init(uri: String, patience: Duration = NBDVolume.patience) throws(BlockError) {
    try self.init(uri: uri, connections: Self.maximumConnections, patience: patience)
  }

  /// - Parameter connections: most connections to use, at least 1.
  public init(uri: String, connections wanted: Int, patience: Duration = NBDVolume.patience) throws(BlockError) {
    try LateWrites.shared.refuse(uri)
    let first = try NBDConnection(uri: uri, patience: patience)
    self.uri = uri
    size = try first.size()
    alignment = first.blockSize(minimum: true) ?? 1
    maximumRequest = min(first.blockSize(minimum: false) ?? 32 << 20, 32 << 20)
    canZero = first.canZero
    guard !first.isReadOnly else { throw first.refusal("the export is read-only") }
    guard first.canFlush else { throw first.refusal("the server cannot flush, so nothing would ever be durable") }
    var all = [first]
    while first.canMultiConnect, all.count < wanted { all.append(try NBDConnection(uri: uri, patience: patience)) }
    connections = all
  }

  public func read(into bytes: inout MutableRawSpan, at offset: UInt64) throws(BlockError) {
    try check("nbd_pread", offset, UInt64(bytes.byteCount))
    try bytes.withUnsafeMutableBytes { buffer throws(BlockError) in
      for part in pieces(of: buffer.count) {
        let piece = UnsafeMutableRawBufferPointer(rebasing: buffer[part])
        try withConnection { connection throws(BlockError) in
          try connection.read(into: piece, at: offset + UInt64(part.lowerBound))
        }
      }
    }
  }

  public func write(_ bytes: RawSpan, at offset: UInt64) throws(BlockError) {
    try check("nbd_pwrite", offset, UInt64(bytes.byteCount))
    try bytes.withUnsafeBytes { buffer throws(BlockError) in
      for part in pieces(of: buffer.count) {
        let piece = UnsafeRawBufferPointer(rebasing: buffer[part])
        try withConnection { connection throws(BlockError) in
          try connection.write(piece, at: offset + UInt64(part.lowerBound))
        }
      }
    }
  }

  public func zero(_ range: Range<UInt64>) throws(BlockError) {
    let length = range.upperBound - range.lowerBound
    try check("nbd_zero", range.lowerBound, length)
    guard canZero else { return try writeZeros(range) }
    let step: UInt64 = 1 << 30
    var offset = range.lowerBound
    while offset < range.upperBound {
      let count = min(step, range.upperBound - offset)
      try withConnection { connection throws(BlockError) in try connection.zero(count: count, at: offset) }
      offset += count
    }
  }

  public func flush() throws(BlockError) {
    try withConnection { connection throws(BlockError) in try connection.flush() }
  }

  private func writeZeros(_ range: Range<UInt64>) throws(BlockError) {
    let zeros = AlignedBuffer(count: 1 << 20)
    var offset = range.lowerBound
    while offset < range.upperBound {
      let count = Int(min(UInt64(zeros.count), range.upperBound - offset))
      try write(UnsafeRawBufferPointer(rebasing: zeros.unsafeBytes[..<count]).bytes, at: offset)
      offset += UInt64(count)
    }
  }

  /// A request cut into what the server takes at once.
  private func pieces(of count: Int) -> [Range<Int>] {
    stride(from: 0, to: count, by: maximumRequest).map { $0..<min($0 + maximumRequest, count) }
  }

  /// Runs `body` on a connection nobody uses, or waits for one.
  private func withConnection(_ body: (NBDConnection) throws(BlockError) -> Void) throws(BlockError) {
    let start = turn.add(1, ordering: .relaxed).newValue & .max
    for step in connections.indices {
      if let done = try connections[(start + step) % connections.count].ifIdle(body) { return done }
    }
    try connections[start % connections.count].whenIdle(body)
  }

  private func check(_ call: String, _ offset: UInt64, _ count: UInt64) throws(BlockError) {
    let (end, overflow) = offset.addingReportingOverflow(count)
    if overflow || end > size {
      throw BlockError(
        .outOfRange, call: call, device: uri, offset: offset, reason: "\(count) bytes leave a volume of \(size)")
    }
    let step = UInt64(alignment)
    if !offset.isMultiple(of: step) || (!count.isMultiple(of: step) && end != size) {
      throw BlockError(
        .misaligned, call: call, device: uri, offset: offset,
        reason: "\(count) bytes at \(offset) are not multiples of \(step)")
    }
  }
}
