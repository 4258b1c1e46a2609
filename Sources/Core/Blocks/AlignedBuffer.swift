/// Page-aligned bytes for direct I/O, zeroed at birth, freed with the last reference.
///
/// `@unchecked Sendable`: the memory has no lock of its own. Whoever holds the buffer hands it on as a whole; two
/// threads never fill one at the same time. A pool upholds that by giving each buffer to one user.
public final class AlignedBuffer: @unchecked Sendable {
  /// What direct I/O wants on every disk we know, in bytes.
  public static let alignment = 4096

  private let memory: UnsafeMutableRawBufferPointer

  /// Size in bytes.
  public var count: Int { memory.count }

  /// - Parameter count: size in bytes; need not be a multiple of the alignment.
  public init(count: Int) {
    memory = .allocate(byteCount: count, alignment: Self.alignment)
    memory.initializeMemory(as: UInt8.self, repeating: 0)
  }

  deinit { memory.deallocate() }

  /// The bytes, for calls that want a pointer. Valid while the buffer lives.
  public var unsafeBytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(memory) }
  public var unsafeMutableBytes: UnsafeMutableRawBufferPointer { memory }
}
