public import NIOCore

/// A frame that passed every check: its extents lie on the disks, do not overlap, and the payload is complete.
public struct Frame: Hashable, Sendable {
  /// In the order of the table.
  public let extents: [FrameExtent]
  /// The bytes of the data extents, one after another, decompressed.
  public let payload: ByteBuffer

  init(extents: [FrameExtent], payload: ByteBuffer) {
    (self.extents, self.payload) = (extents, payload)
  }

  /// Calls `body` for each extent in order, with its bytes if it is a data extent and none if it is zeros.
  public func forEachExtent<E>(_ body: (FrameExtent, RawSpan) throws(E) -> Void) throws(E) {
    let bytes = payload.readableBytesSpan
    var start = 0
    for extent in extents {
      let count = extent.kind == .data ? extent.range.count : 0
      try body(extent, bytes.extracting(start..<start + count))
      start += count
    }
  }
}
