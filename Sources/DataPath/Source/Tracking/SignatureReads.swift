internal import Blocks
internal import Volumes

/// Reads of an unusual length that only the self-test makes, past the page cache.
struct SignatureReads {
  static let repetitions = 3

  let sector: UInt64
  let sectors: UInt64

  /// - Parameter size: bytes of the disk.
  init(size: UInt64) {
    // Seven pages at the thirteenth, or one page of a disk without as many.
    (sector, sectors) = size >= 20 * 4096 ? (13 * 8, 7 * 8) : (0, min(8, size / 512))
  }

  func run(on disk: String) throws(TrackingRefusal) {
    do throws(BlockError) {
      let device = try BlockDevice(path: "/dev/\(disk)", readOnly: true)
      let buffer = AlignedBuffer(count: Int(sectors) * 512)
      for _ in 0..<Self.repetitions {
        var bytes = unsafe MutableRawSpan(_unsafeBytes: buffer.unsafeMutableBytes)
        try device.read(into: &bytes, at: sector * 512)
      }
    } catch {
      throw TrackingRefusal("the self-test cannot read the disk: \(error)")
    }
  }
}
