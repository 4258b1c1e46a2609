internal import CLinuxBlock
internal import Glibc
internal import SystemPackage
internal import Volumes

/// A folder of a BPF filesystem in which the parts of one disk's tracking are pinned: what is pinned goes on without a
/// process, until the machine ends or the pin is removed.
struct PinFolder: Sendable {
  enum Part: String, CaseIterable { case marks, pending, counters, program, link, discards }

  let path: String

  /// Makes the folder, which must not be there.
  init(making path: String) throws(Errno) {
    self.path = path
    if mkdir(path, 0o700) != 0 { throw Errno(rawValue: errno) }
  }

  init(existing path: String) { self.path = path }

  func pin(_ descriptor: borrowing OwnedDescriptor, _ part: Part) throws(Errno) {
    let result = lb_bpf_pin(descriptor.rawValue, "\(path)/\(part.rawValue)")
    if result < 0 { throw Errno(rawValue: -result) }
  }

  func get(_ part: Part) throws(Errno) -> OwnedDescriptor {
    let result = lb_bpf_get("\(path)/\(part.rawValue)")
    if result < 0 { throw Errno(rawValue: -result) }
    return OwnedDescriptor(owning: result)
  }

  /// Whether all parts that tracking needs are pinned.
  var isComplete: Bool {
    Part.allCases.allSatisfy { $0 == .discards || access("\(path)/\($0.rawValue)", F_OK) == 0 }
  }

  /// Removes the pins and the folder.
  func remove() {
    // The link first: from then on nothing is marked, so nobody can take the rest for whole.
    for part in Part.allCases.reversed() { unlink("\(path)/\(part.rawValue)") }
    rmdir(path)
  }
}
