internal import CLinuxBlock
internal import SystemPackage
internal import Volumes

/// What this kernel says about itself, read once and only as needed.
struct KernelInterfaces {
  let requests: RequestLayout?
  let tracepoint: TracepointFormat?

  init() {
    requests = SystemFile.bytes("/sys/kernel/btf/vmlinux").flatMap(BTFTypes.init).flatMap(RequestLayout.init)
    tracepoint = Self.readFormat()
  }

  /// From tracefs wherever it is mounted, or else through a mount of our own that nobody sees.
  private static func readFormat() -> TracepointFormat? {
    func read(_ event: String, in directory: Int32?) -> TracepointFormat? {
      let format = directory.map { SystemFile.text(event + "/format", in: $0) } ?? SystemFile.text(event + "/format")
      let id = directory.map { SystemFile.text(event + "/id", in: $0) } ?? SystemFile.text(event + "/id")
      guard let format, let id else { return nil }
      return TracepointFormat(format: format, id: id)
    }
    let event = "events/block/block_rq_complete"
    for root in ["/sys/kernel/tracing", "/sys/kernel/debug/tracing"] {
      if let format = read("\(root)/\(event)", in: nil) { return format }
    }
    let mounted = lb_detached_mount("tracefs")
    if mounted < 0 { return nil }
    let directory = OwnedDescriptor(owning: mounted)
    return read(event, in: directory.rawValue)
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
      guard let tracepoint else { throw TrackingRefusal("no tracefs with events/block/block_rq_complete") }
      // BPF_PROG_TYPE_TRACEPOINT
      return try load(program.forTracepoint(tracepoint), type: 5, attachTo: 0)
    }
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
  private let link: OwnedDescriptor

  init(program: Int32, rung: TrackingRung, kernel: KernelInterfaces) throws(TrackingRefusal) {
    switch rung {
    case .typed:
      let opened = lb_bpf_raw_tracepoint_open(program)
      if opened < 0 { throw TrackingRefusal("BPF_RAW_TRACEPOINT_OPEN: \(Errno(rawValue: -opened))") }
      link = OwnedDescriptor(owning: opened)
    case .perf:
      let opened = lb_perf_tracepoint(kernel.tracepoint?.id ?? 0)
      if opened < 0 { throw TrackingRefusal("perf_event_open: \(Errno(rawValue: -opened))") }
      let event = OwnedDescriptor(owning: opened)
      let attached = lb_perf_attach(event.rawValue, program)
      if attached < 0 { throw TrackingRefusal("PERF_EVENT_IOC_SET_BPF: \(Errno(rawValue: -attached))") }
      link = event
    }
  }
}
