public import Blocks

/// Reads no faster than a rate that may change meanwhile. Callers wait; bytes are not touched.
public final class ThrottledReader: BlockReader {
  private let base: any BlockReader
  private let rate: RateLimit

  /// - Parameter rate: may be shared by several readers and writers, which then share its bytes.
  public init(_ base: any BlockReader, rate: RateLimit) { (self.base, self.rate) = (base, rate) }

  public var size: UInt64 { base.size }
  public var alignment: Int { base.alignment }

  public func read(into bytes: inout MutableRawSpan, at offset: UInt64) throws(BlockError) {
    rate.wait(for: bytes.byteCount)
    try base.read(into: &bytes, at: offset)
  }
}

/// Reads and writes no faster than a rate that may change meanwhile. Zeroing and flushing cost nothing.
public final class ThrottledWriter: BlockWriter {
  private let base: any BlockWriter
  private let rate: RateLimit

  /// - Parameter rate: may be shared by several readers and writers, which then share its bytes.
  public init(_ base: any BlockWriter, rate: RateLimit) { (self.base, self.rate) = (base, rate) }

  public var size: UInt64 { base.size }
  public var alignment: Int { base.alignment }

  public func read(into bytes: inout MutableRawSpan, at offset: UInt64) throws(BlockError) {
    rate.wait(for: bytes.byteCount)
    try base.read(into: &bytes, at: offset)
  }

  public func write(_ bytes: RawSpan, at offset: UInt64) throws(BlockError) {
    rate.wait(for: bytes.byteCount)
    try base.write(bytes, at: offset)
  }

  public func zero(_ range: Range<UInt64>) throws(BlockError) { try base.zero(range) }
  public func flush() throws(BlockError) { try base.flush() }
}
