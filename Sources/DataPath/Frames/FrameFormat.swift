/// The numbers of a frame (api/wire.md, "Frame"). All integers are little-endian.
public enum FrameFormat {
  /// `GWF1`, read as a little-endian integer.
  static let magic: UInt32 = 0x3146_5747
  /// Bit 0 of the flags: the payload is one zstd frame.
  static let compressed: UInt32 = 1
  /// Bytes of the fixed header, and of one line of the table of extents.
  static let headerSize = 16
  static let extentSize = 16

  /// Most extents in a frame.
  public static let maximumExtents = 1024
  /// Most bytes of payload before compression, and in one data extent.
  public static let maximumPayload = 4 << 20
  /// Most bytes that one zero extent covers.
  public static let maximumZero = 1 << 30
  /// Most bytes that the zero extents of one frame cover together.
  public static let maximumZeroTotal = 4 << 30
  /// Most bytes of an encoded frame.
  public static let maximumBody = (4 << 20) + (64 << 10)
  /// What offsets and lengths are multiples of, except at a disk's end.
  public static let granule = 4096
}
