internal import Blocks

extension BlockReader {
  /// Refuses requests that leave the device or do not fit its alignment.
  func check(_ call: String, _ offset: UInt64, _ count: Int, of device: String) throws(BlockError) {
    let (end, overflow) = offset.addingReportingOverflow(UInt64(count))
    if overflow || end > size {
      throw BlockError(
        .outOfRange, call: call, device: device, offset: offset, reason: "\(count) bytes leave a device of \(size)")
    }
    let step = UInt64(alignment)
    if offset % step != 0 || (UInt64(count) % step != 0 && end != size) {
      throw BlockError(
        .misaligned, call: call, device: device, offset: offset,
        reason: "\(count) bytes at \(offset) are not multiples of \(step)")
    }
  }

  /// Refuses a range that leaves the device or does not fit its alignment.
  func check(_ call: String, _ range: Range<UInt64>, of device: String) throws(BlockError) {
    try check(call, range.lowerBound, Int(clamping: range.upperBound - range.lowerBound), of: device)
  }
}
