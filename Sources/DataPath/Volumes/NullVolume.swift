public import Blocks

/// Takes every write and keeps nothing; reads as zeros. For measuring everything but the disk.
public struct NullVolume: BlockWriter {
  public let size: UInt64
  public let alignment = 1

  /// - Parameter size: bytes.
  public init(size: UInt64) { self.size = size }

  public func read(into bytes: inout MutableRawSpan, at offset: UInt64) throws(BlockError) {
    try check("read", offset, bytes.byteCount, of: "null")
    bytes.withUnsafeMutableBytes { _ = $0.initializeMemory(as: UInt8.self, repeating: 0) }
  }

  public func write(_ bytes: RawSpan, at offset: UInt64) throws(BlockError) {
    try check("write", offset, bytes.byteCount, of: "null")
  }

  public func zero(_ range: Range<UInt64>) throws(BlockError) { try check("zero", range, of: "null") }

  public func flush() throws(BlockError) {}
}
