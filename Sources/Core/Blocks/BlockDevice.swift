/// Something that can be read at byte offsets: a disk, a file, an export.
///
/// Calls block the calling thread; callers own the threads (an event loop hands them to a thread pool). One instance
/// may be used from several threads at once.
public protocol BlockReader: Sendable {
  /// Size in bytes; constant for the life of the instance.
  var size: UInt64 { get }

  /// What `read`, `write` and `zero` need their offsets and lengths to be multiples of, in bytes (1 if anything goes).
  /// The last request may be shorter where the size itself is not a multiple.
  var alignment: Int { get }

  /// Fills `bytes` with what stands at `offset`. Either all of it or an error: never a short read.
  ///
  /// May be repeated. Errors: `.outOfRange` before anything is read, `.misaligned`, `.unreadable` with the offset of
  /// the first byte that could not be had, `.vanished` when the device is gone.
  func read(into bytes: inout MutableRawSpan, at offset: UInt64) throws(BlockError)
}

/// Something whose bytes can also be changed.
///
/// **Durability.** A `write` or `zero` that returned is visible to every later `read`, but survives a loss of power only
/// once a `flush` that began after it has returned.
public protocol BlockWriter: BlockReader {
  /// Writes all of `bytes` at `offset`. May be repeated with the same bytes. After an error the range holds the old
  /// bytes, the new ones, or any mixture.
  func write(_ bytes: RawSpan, at offset: UInt64) throws(BlockError)

  /// Makes `range` (byte offsets) read as zeros, giving the space back where the store can.
  func zero(_ range: Range<UInt64>) throws(BlockError)

  /// Returns once everything written before the call is durable. After an error nothing may be assumed durable that
  /// was written since the last `flush` that returned.
  func flush() throws(BlockError)
}
