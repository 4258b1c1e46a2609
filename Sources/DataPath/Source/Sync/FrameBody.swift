import Blocks
import Frames
import NIOCore
import Replication
import Volumes

/// Turns extents and their bytes into the body of a frame: neighbours joined, zeros told apart.
enum FrameBody {
  /// - Parameters:
  ///   - extents: ascending, each inside one leaf.
  ///   - bytes: the bytes of an extent.
  /// - Returns: the body, and the bytes of payload before compression.
  static func encode(
    _ extents: [Extent], compression: FrameEncoder.Compression, bytes: (Extent) throws -> UnsafeRawBufferPointer
  ) throws -> (body: ByteBuffer, payload: Int) {
    var table: [FrameExtent] = []
    var pieces: [UnsafeRawBufferPointer] = []
    var payload = 0
    for extent in extents {
      let content = try bytes(extent)
      let kind: FrameExtent.Kind = isZero(content.bytes) ? .zero : .data
      if kind == .data {
        pieces.append(content)
        payload += content.count
      }
      if let last = table.last, last.kind == kind, last.disk == extent.disk,
        last.range.upperBound == extent.range.lowerBound
      {
        table[table.count - 1].range = last.range.lowerBound..<extent.range.upperBound
      } else {
        table.append(FrameExtent(disk: extent.disk, kind: kind, range: extent.range))
      }
    }
    var encoder = try FrameEncoder(table, compression: payload > 0 ? compression : .none)
    for piece in pieces { try encoder.append(piece.bytes) }
    return (try encoder.finish(), payload)
  }
}
