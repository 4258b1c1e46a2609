internal import CLinuxBlock
internal import Glibc
internal import SystemPackage
internal import Volumes

/// What this kernel says about itself, read once and only as needed.
struct KernelInterfaces {
  let requests: RequestLayout?
  /// block:block_rq_complete and block:block_bio_queue.
  let completion: TracepointFormat?
  let queueing: TracepointFormat?

  init() {
    requests = SystemFile.bytes("/sys/kernel/btf/vmlinux").flatMap(BTFTypes.init).flatMap(RequestLayout.init)
    (completion, queueing) = Self.readFormats()
  }

  /// From tracefs wherever it is mounted, or else through a mount of our own that nobody sees.
  private static func readFormats() -> (TracepointFormat?, TracepointFormat?) {
    func read(_ event: String, in directory: Int32, _ root: String = "") -> TracepointFormat? {
      let folder = "\(root)events/block/\(event)"
      guard let format = SystemFile.text(folder + "/format", in: directory),
        let id = SystemFile.text(folder + "/id", in: directory)
      else { return nil }
      return TracepointFormat(format: format, id: id)
    }
    for root in ["/sys/kernel/tracing/", "/sys/kernel/debug/tracing/"] {
      if let format = read("block_rq_complete", in: AT_FDCWD, root) {
        return (format, read("block_bio_queue", in: AT_FDCWD, root))
      }
    }
    let mounted = lb_detached_mount("tracefs")
    if mounted < 0 { return (nil, nil) }
    let directory = OwnedDescriptor(owning: mounted)
    return (read("block_rq_complete", in: directory.rawValue), read("block_bio_queue", in: directory.rawValue))
  }

  /// Loads the form of the program that `rung` wants.
  func load(_ program: MarkProgram, _ rung: TrackingRung) throws(TrackingRefusal) -> OwnedDescriptor {
    _ = lb_raise_memlock()
    switch rung {
    case .typed:
      guard let requests else { throw TrackingRefusal("no BTF of block requests in /sys/kernel/btf/vmlinux") }
      // BPF_PROG_TYPE_TRACING
      return try load(program.forRequest(requests), type: 26, attachTo: requests.tracepoint)
    case .perf:
      guard let completion else { throw TrackingRefusal("no tracefs with events/block/block_rq_complete") }
      return try load(program.forTracepoint(completion), type: Self.tracepointProgram, attachTo: 0)
    case .blktrace: throw TrackingRefusal("blktrace needs no program")
    }
  }

  /// BPF_PROG_TYPE_TRACEPOINT
  private static let tracepointProgram: UInt32 = 5

  /// Loads and hangs the program that marks discards when they are queued; nil where this kernel offers no way.
  /// - Parameter pins: where it is pinned, if it can be.
  func markQueuedDiscards(_ program: MarkProgram, devices: [UInt64], pins: PinFolder?) -> Attachment? {
    guard let queueing else { return nil }
    let code = program.forQueuedDiscards(queueing, devices: devices)
    guard let loaded = try? load(code, type: Self.tracepointProgram, attachTo: 0) else { return nil }
    do throws(TrackingRefusal) {
      let attachment = try Attachment(program: loaded.rawValue, tracepoint: queueing.id)
      if let pins, attachment.isLink { try? pins.pin(attachment.link, .discards) }
      return attachment
    } catch { return nil }
  }

  private func load(
    _ code: [BPFAssembler.Instruction], type: UInt32, attachTo: UInt32
  ) throws(TrackingRefusal) -> OwnedDescriptor {
    var log = [CChar](repeating: 0, count: 64 << 10)
    let loaded = lb_bpf_load(type, code, UInt32(code.count), attachTo, &log, UInt32(log.count))
    if loaded >= 0 { return OwnedDescriptor(owning: loaded) }
    let words = String(decoding: log.prefix { $0 != 0 }.suffix(300).map { UInt8(bitPattern: $0) }, as: UTF8.self)
    throw TrackingRefusal("the kernel refused the program: \(Errno(rawValue: -loaded)) \(words)")
  }
}

/// A program hung on its tracepoint, until it is let go.
struct Attachment: ~Copyable, Sendable {
  /// Where the kernel knows links (5.7, for perf events 5.15), this is one and can be pinned.
  let link: OwnedDescriptor
  let isLink: Bool

  /// On the tracepoint that the program was loaded for.
  init(typed program: Int32) throws(TrackingRefusal) {
    let opened = lb_bpf_raw_tracepoint_open(program)
    if opened < 0 { throw TrackingRefusal("BPF_RAW_TRACEPOINT_OPEN: \(Errno(rawValue: -opened))") }
    link = OwnedDescriptor(owning: opened)
    isLink = true
  }

  /// On the perf event of a tracepoint.
  init(program: Int32, tracepoint: UInt64) throws(TrackingRefusal) {
    let opened = lb_perf_tracepoint(tracepoint)
    if opened < 0 { throw TrackingRefusal("perf_event_open: \(Errno(rawValue: -opened))") }
    let event = OwnedDescriptor(owning: opened)
    let linked = lb_perf_link(event.rawValue, program)
    if linked >= 0 {
      link = OwnedDescriptor(owning: linked)
      isLink = true
      return
    }
    let attached = lb_perf_attach(event.rawValue, program)
    if attached < 0 { throw TrackingRefusal("PERF_EVENT_IOC_SET_BPF: \(Errno(rawValue: -attached))") }
    link = event
    isLink = false
  }

  /// One that an earlier process pinned.
  init(adopting link: consuming OwnedDescriptor) {
    self.link = link
    isLink = true
  }
}
