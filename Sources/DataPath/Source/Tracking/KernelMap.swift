internal import CLinuxBlock
internal import Glibc
internal import SystemPackage
internal import Volumes

/// A BPF array map of whole pages. It is the kernel's memory until a part of it is mapped into ours.
final class KernelMap: Sendable {
  static let page = 4096

  let descriptor: OwnedDescriptor
  let byteCount: Int

  /// Makes a map of at least `bytes` bytes, all zero.
  init(name: String, bytes: Int) throws(Errno) {
    let pages = (bytes + Self.page - 1) / Self.page
    let made = lb_bpf_array(UInt32(Self.page), UInt32(pages), name)
    if made < 0 { throw Errno(rawValue: -made) }
    descriptor = OwnedDescriptor(owning: made)
    byteCount = pages * Self.page
  }

  /// Takes over a map that an earlier process made with the same size.
  /// - Throws: `.invalidArgument` where it is another kind of map, or another size.
  init(adopting descriptor: consuming OwnedDescriptor, bytes: Int) throws(Errno) {
    let pages = (bytes + Self.page - 1) / Self.page
    guard lb_bpf_is_array(descriptor.rawValue, UInt32(Self.page), UInt32(pages)) == 1 else {
      throw .invalidArgument
    }
    self.descriptor = descriptor
    byteCount = pages * Self.page
  }
}

/// Memory of whole words, mapped for as long as this lives.
///
/// A mapped part of a BPF map counts as this process's memory at once, touched or not.
///
/// `@unchecked Sendable`: words that the kernel changes are only touched by the atomic calls here; words that only we
/// change are guarded by the lock of the tracker that owns them.
final class MappedWords: @unchecked Sendable {
  let count: Int
  private let words: UnsafeMutablePointer<UInt64>

  /// All of `map`, or the part of it that lies in `bytes` (whole pages).
  convenience init(_ map: KernelMap, bytes: Range<Int>? = nil) throws(Errno) {
    let bytes = bytes ?? 0..<map.byteCount
    try self.init(descriptor: map.descriptor.rawValue, flags: MAP_SHARED, bytes)
  }

  /// Zeros of our own.
  convenience init(bytes: Int) throws(Errno) {
    try self.init(descriptor: -1, flags: MAP_PRIVATE | MAP_ANONYMOUS, 0..<max(KernelMap.page, bytes))
  }

  private init(descriptor: Int32, flags: Int32, _ bytes: Range<Int>) throws(Errno) {
    let mapped = mmap(nil, bytes.count, PROT_READ | PROT_WRITE, flags, descriptor, bytes.lowerBound)
    guard let mapped, mapped != MAP_FAILED else { throw Errno(rawValue: errno) }
    count = bytes.count / 8
    words = mapped.bindMemory(to: UInt64.self, capacity: count)
  }

  deinit { munmap(words, count * 8) }

  func load(_ index: Int) -> UInt64 { lb_load(words + index) }

  /// Sets a word to zero if it still is `expected`. False if the kernel changed it meanwhile.
  func clear(_ index: Int, expected: UInt64) -> Bool { lb_clear_if(words + index, expected) != 0 }

  /// The first word at or after `index` that is not zero; `count` where there is none.
  func nextNonzero(from index: Int) -> Int { Int(lb_next_nonzero(words, index, count)) }

  subscript(index: Int) -> UInt64 {
    get { words[index] }
    set { words[index] = newValue }
  }
}
