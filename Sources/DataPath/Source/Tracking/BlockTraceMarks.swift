internal import CLinuxBlock
internal import Glibc
internal import Synchronization
internal import SystemPackage
internal import Volumes

/// Marks from the records of the kernel's block tracer, read continuously by a thread of its own.
///
/// Each processor writes a file of its own, and it must be read from that same processor: read from elsewhere, records
/// get lost without a word. So whoever reads moves from processor to processor.
final class BlockTraceMarks: MarkSource {
  let rung = TrackingRung.blktrace
  private let reader: Reader
  private let thread: pthread_t

  /// - Parameter takesOver: ends another tracer of the disk, which a process that died may have left.
  init(disk: String, layout: DirtyMapLayout, probe: SignatureReads, takesOver: Bool) throws(TrackingRefusal) {
    reader = try Reader(disk: disk, layout: layout, probe: probe, takesOver: takesOver)
    var thread = pthread_t()
    // The thread gives back what is retained here.
    let argument = Unmanaged.passRetained(reader).toOpaque()
    let failure = pthread_create(
      &thread, nil,
      { argument in
        Unmanaged<Reader>.fromOpaque(argument!).takeRetainedValue().run()
        return nil
      }, argument)
    if failure != 0 {
      Unmanaged<Reader>.fromOpaque(argument).release()
      throw TrackingRefusal("pthread_create: \(Errno(rawValue: failure))")
    }
    self.thread = thread
  }

  deinit {
    reader.stop()
    pthread_join(thread, nil)
  }

  func seen() -> SeenSectors { reader.current { SeenSectors(written: $0.written, discarded: $0.discarded) } }
  var bad: UInt64 { reader.current(\.bad) }
  var signatures: UInt64 { reader.current(\.signatures) }
  var missed: UInt64 { reader.current(\.missed) }

  var isEstablished: Bool {
    get { reader.current(\.isEstablished) }
    set { reader.setEstablished(newValue) }
  }

  func drain(_ body: (Range<UInt64>) -> Void) throws(Errno) {
    var marked = reader.takeMarks()
    let block = marked.blockSize
    for range in marked.removeRanges(count: .max, limit: .max / 2) {
      body(range.lowerBound / block..<(range.upperBound + block - 1) / block)
    }
  }
}

/// Holds the tracer, and reads its files.
private final class Reader: Sendable {
  struct State {
    var dirty: DirtyDisk
    var written: UInt64 = 0
    var discarded: UInt64 = 0
    var bad: UInt64 = 0
    var signatures: UInt64 = 0
    /// Records that the kernel could not keep, and files that cannot be understood.
    var missed: UInt64 = 0
    var isEstablished = false
    var records: [BlockTraceRecords]
    var buffer = [UInt8](repeating: 0, count: 64 << 10)
    var isStopped = false
  }

  private static let bufferSize: UInt32 = 64 << 10
  private static let buffers: UInt32 = 8

  private let device: OwnedDescriptor
  private let debugfs: OwnedDescriptor
  private let folder: String
  private let files: [Int32]
  private let probe: SignatureReads
  private let sectors: UInt64
  /// Guards the marks, and that one thread at a time reads the files.
  private let state: Mutex<State>

  init(disk: String, layout: DirtyMapLayout, probe: SignatureReads, takesOver: Bool) throws(TrackingRefusal) {
    let opened = Glibc.open("/dev/\(disk)", O_RDONLY | O_NONBLOCK | O_CLOEXEC)
    if opened < 0 { throw TrackingRefusal("/dev/\(disk): \(Errno(rawValue: errno))") }
    device = OwnedDescriptor(owning: opened)
    var root = Glibc.open("/sys/kernel/debug", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    if root < 0 || faccessat(root, "block", F_OK, 0) != 0 {
      if root >= 0 { close(root) }
      root = lb_detached_mount("debugfs")
      if root < 0 { throw TrackingRefusal("debugfs cannot be mounted: \(Errno(rawValue: -root))") }
    }
    debugfs = OwnedDescriptor(owning: root)
    var name = [CChar](repeating: 0, count: Int(LB_BLKTRACE_NAME))
    let started = lb_blktrace_start(opened, Self.bufferSize, Self.buffers, takesOver ? 1 : 0, &name)
    if started < 0 { throw TrackingRefusal("BLKTRACESETUP: \(Errno(rawValue: -started))") }
    folder = "block/" + String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    do throws(TrackingRefusal) {
      files = try Self.openFiles(folder, in: root)
    } catch {
      lb_blktrace_stop(opened)
      throw error
    }
    (self.probe, sectors) = (probe, layout.sectors)
    let dirty = DirtyDisk(size: layout.size, blockSize: layout.blockSize)
    state = Mutex(State(dirty: dirty, records: files.map { _ in BlockTraceRecords() }))
  }

  deinit {
    lb_blktrace_stop(device.rawValue)
    for file in files { close(file) }
  }

  /// One file for each processor, by number.
  private static func openFiles(_ folder: String, in directory: Int32) throws(TrackingRefusal) -> [Int32] {
    var files: [Int32] = []
    for cpu in 0..<max(1, Int(sysconf(Int32(_SC_NPROCESSORS_CONF)))) {
      let file = openat(directory, "\(folder)/trace\(cpu)", O_RDONLY | O_NONBLOCK | O_CLOEXEC)
      if file < 0 {
        let error = Errno(rawValue: errno)
        for file in files { close(file) }
        throw TrackingRefusal("debugfs/\(folder)/trace\(cpu): \(error)")
      }
      files.append(file)
    }
    return files
  }

  func stop() { state.withLock { $0.isStopped = true } }

  /// Reads until it is stopped: often while there is something to read.
  func run() {
    while true {
      let (isStopped, isBusy) = state.withLock { state in (state.isStopped, read(&state)) }
      if isStopped { return }
      usleep(isBusy ? 20_000 : 100_000)
    }
  }

  /// What is known after everything that is there was read.
  func current<Value: Sendable>(_ body: (State) -> Value) -> Value {
    state.withLock { state in
      read(&state)
      return body(state)
    }
  }

  func setEstablished(_ value: Bool) { state.withLock { $0.isEstablished = value } }

  func takeMarks() -> DirtyDisk {
    state.withLock { state in
      read(&state)
      defer { state.dirty = DirtyDisk(size: state.dirty.size, blockSize: state.dirty.blockSize) }
      return state.dirty
    }
  }

  /// Reads every file empty, each from its processor. True if there was anything.
  @discardableResult
  private func read(_ state: inout State) -> Bool {
    var isBusy = false
    for cpu in files.indices {
      // One that is switched off writes nothing, and may be read from anywhere.
      _ = lb_run_on(Int32(cpu))
      while true {
        let got = state.buffer.withUnsafeMutableBytes { Glibc.read(files[cpu], $0.baseAddress, $0.count) }
        if got <= 0 { break }
        isBusy = true
        parse(got, cpu, &state)
      }
    }
    _ = lb_run_on(-1)
    let dropped = SystemFile.text("\(folder)/dropped", in: debugfs.rawValue).flatMap { UInt64($0) } ?? 1
    state.missed = dropped + UInt64(state.records.count(where: \.isBroken))
    return isBusy
  }

  private func parse(_ count: Int, _ cpu: Int, _ state: inout State) {
    var events: [BlockTraceRecords.Event] = []
    state.buffer.withUnsafeBytes {
      state.records[cpu].feed(UnsafeRawBufferPointer(rebasing: $0[..<count])) { events.append($0) }
    }
    for event in events { note(event, &state) }
  }

  private func note(_ event: BlockTraceRecords.Event, _ state: inout State) {
    let isInside = event.sector < sectors && event.sectors <= sectors - event.sector
    switch event.kind {
    case .read:
      if event.sector == probe.sector, event.sectors == probe.sectors { state.signatures += 1 }
      return
    case .passthroughWrite: state.bad += 1
    case .write, .discard, .queuedDiscard:
      if event.sectors == 0 { return }
      if !isInside { state.bad += event.kind == .queuedDiscard ? 0 : 1 }
    }
    guard isInside, event.sectors > 0 else { return }
    if event.kind == .write { state.written += event.sectors }
    if event.kind == .discard { state.discarded += event.sectors }
    state.dirty.insert(bytes: event.sector * 512..<(event.sector + event.sectors) * 512)
  }
}
