internal import CLinuxBlock
internal import SystemPackage
internal import Volumes

/// Marks that a BPF program sets: a byte for each block, and four coarser levels.
final class BPFMarks: MarkSource {
  let rung: TrackingRung
  private let layout: DirtyMapLayout
  private let map: KernelMap
  private let counters: MappedWords
  private let program: OwnedDescriptor
  private let attachment: Attachment
  /// Marks discards early; a rung may be without.
  private let discards: Attachment?
  private let missedAtStart: UInt64

  /// How much of the map is mapped at a time: what is mapped counts as the agent's memory.
  private static let window = 1 << 20

  private static func bytes(_ layout: DirtyMapLayout) -> Int { Int(layout.pages * DirtyMapLayout.page) }

  /// Makes the maps, loads the program and hangs it.
  ///
  /// - Parameters:
  ///   - devices: the disk, and its partitions.
  ///   - pins: where everything is pinned, so that it goes on without this process. Nothing is pinned where it cannot be.
  ///   - dropsOneIn: the negative control (see `MarkProgram.dropsOneIn`).
  init(
    rung: TrackingRung, devices: [UInt64], layout: DirtyMapLayout, probe: SignatureReads, kernel: KernelInterfaces,
    pins: PinFolder?, dropsOneIn: Int32? = nil
  ) throws(TrackingRefusal) {
    (self.rung, self.layout) = (rung, layout)
    let counterMap: KernelMap
    do throws(Errno) {
      map = try KernelMap(name: "godwit_marks", bytes: Self.bytes(layout))
      counterMap = try KernelMap(name: "godwit_counters", bytes: KernelMap.page)
      counters = try MappedWords(counterMap)
    } catch {
      throw TrackingRefusal("BPF map: \(error)")
    }
    let code = MarkProgram(
      device: devices[0], layout: layout, signature: (probe.sector, probe.sectors), map: map.descriptor.rawValue,
      counters: counterMap.descriptor.rawValue, dropsOneIn: dropsOneIn)
    program = try kernel.load(code, rung)
    switch rung {
    case .typed: attachment = try Attachment(typed: program.rawValue)
    case .perf: attachment = try Attachment(program: program.rawValue, tracepoint: kernel.completion?.id ?? 0)
    case .blktrace: throw TrackingRefusal("blktrace is no BPF program")
    }
    discards = kernel.markQueuedDiscards(code, devices: devices, pins: pins)
    missedAtStart = Self.misses(program)
    if let pins, attachment.isLink {
      // Whoever finds that a part is missing begins anew.
      try? pins.pin(map.descriptor, .marks)
      try? pins.pin(counterMap.descriptor, .counters)
      try? pins.pin(program, .program)
      try? pins.pin(attachment.link, .link)
    }
  }

  /// Goes on with what an earlier process pinned.
  init(
    adopting pins: PinFolder, rung: TrackingRung, layout: DirtyMapLayout, missedAtStart: UInt64
  ) throws(TrackingRefusal) {
    (self.rung, self.layout, self.missedAtStart) = (rung, layout, missedAtStart)
    do throws(Errno) {
      map = try KernelMap(adopting: pins.get(.marks), bytes: Self.bytes(layout))
      counters = try MappedWords(KernelMap(adopting: pins.get(.counters), bytes: KernelMap.page))
      program = try pins.get(.program)
      attachment = Attachment(adopting: try pins.get(.link))
    } catch {
      throw TrackingRefusal("what was pinned cannot be taken over: \(error)")
    }
    if let link = try? pins.get(.discards) { discards = Attachment(adopting: link) } else { discards = nil }
  }

  private static func misses(_ program: borrowing OwnedDescriptor) -> UInt64 {
    UInt64(clamping: lb_bpf_recursion_misses(program.rawValue))
  }

  /// Recursion misses that the kernel had counted for the program when tracking began.
  var missesAtStart: UInt64 { missedAtStart }

  private func counter(_ which: MarkProgram.Counter) -> UInt64 { counters.load(which.rawValue) }

  func seen() -> SeenSectors {
    SeenSectors(written: counter(.written) + counter(.other), discarded: counter(.discarded))
  }

  var bad: UInt64 { counter(.bad) }
  var signatures: UInt64 { counter(.signatures) }
  var dropped: UInt64 { counter(.dropped) }
  var missed: UInt64 {
    let now = Self.misses(program)
    return now - min(missedAtStart, now)
  }

  var isEstablished: Bool {
    get { counter(.established) != 0 }
    set { counters[MarkProgram.Counter.established.rawValue] = newValue ? 1 : 0 }
  }

  func drain(_ body: (Range<UInt64>) -> Void) throws(Errno) {
    for start in stride(from: 0, to: map.byteCount, by: Self.window) {
      let words = try MappedWords(map, bytes: start..<min(start + Self.window, map.byteCount))
      var index = words.nextNonzero(from: 0)
      while index < words.count {
        var word = words.load(index)
        while word != 0 {
          for byte in 0..<UInt64(8) where word.littleEndian >> (8 * byte) & 0xff != 0 {
            body(layout.blocks(of: UInt64(start + index * 8) + byte))
          }
          if words.clear(index, expected: word) { break }
          // More was marked meanwhile: the old marks stand in it, too.
          word = words.load(index)
        }
        index = words.nextNonzero(from: index + 1)
      }
    }
  }
}
