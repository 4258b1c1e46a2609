internal import Blocks
internal import DiskFormats

/// `disk` as the readers of on-disk formats want it.
func reading(_ disk: any BlockReader) -> DiskRead {
  { offset, count in
    // Whole pages around them, as direct reads want.
    let start = offset / 4096 * 4096
    guard count > 0, start < disk.size else { return [] }
    let end = min((offset + UInt64(count) + 4095) / 4096 * 4096, disk.size)
    var bytes = [UInt8](repeating: 0, count: Int(end - start))
    do throws(BlockError) {
      var span = bytes.mutableSpan
      var raw = span.mutableBytes
      try disk.read(into: &raw, at: start)
    } catch {
      return []
    }
    return Array(bytes.dropFirst(Int(offset - start)).prefix(count))
  }
}
