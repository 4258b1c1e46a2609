internal import CLinuxBlock
internal import Glibc
internal import SystemPackage
internal import Volumes

/// A BPF array map, mapped into our memory.
///
/// `@unchecked Sendable`: words that the kernel changes are only touched by the atomic calls here; bytes that only we
/// change are guarded by the lock of the tracker that owns the map.
final class SharedMap: @unchecked Sendable {
  let descriptor: OwnedDescriptor
  private let memory: UnsafeMutableRawBufferPointer

  /// Makes a map of `entries` values of `valueSize` bytes, all zero.
  init(name: String, valueSize: Int, entries: UInt64) throws(Errno) {
    let made = lb_bpf_array(UInt32(valueSize), UInt32(entries), name)
    if made < 0 { throw Errno(rawValue: -made) }
    descriptor = OwnedDescriptor(owning: made)
    let page = 4096
    let length = (valueSize * Int(entries) + page - 1) / page * page
    guard let mapped = mmap(nil, length, PROT_READ | PROT_WRITE, MAP_SHARED, made, 0), mapped != MAP_FAILED else {
      throw Errno(rawValue: errno)
    }
    memory = UnsafeMutableRawBufferPointer(start: mapped, count: length)
  }

  deinit { munmap(memory.baseAddress, memory.count) }

  private var words: UnsafeMutablePointer<UInt64> { memory.baseAddress!.assumingMemoryBound(to: UInt64.self) }

  /// How many 64-bit words the map has.
  var wordCount: Int { memory.count / 8 }

  func load(word index: Int) -> UInt64 { lb_load(words + index) }

  /// Sets a word to zero if it still is `expected`. False if the kernel changed it meanwhile.
  func clear(word index: Int, expected: UInt64) -> Bool { lb_clear_if(words + index, expected) != 0 }

  subscript(byte index: UInt64) -> UInt8 {
    get { memory[Int(index)] }
    set { memory[Int(index)] = newValue }
  }
}
