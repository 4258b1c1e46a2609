/// The program that marks written blocks, in its two forms. It is hung on the *completion* of requests: a write that is
/// still in flight when its block is taken and read is marked afterwards; marked at its issue it would be lost.
struct MarkProgram {
  /// Words of the counter map.
  enum Counter: Int, CaseIterable {
    /// Requests of the disk.
    case events
    /// Sectors, as below.
    case written, discarded
    /// Write zeroes, secure erase: the kernel counts them as written.
    case other
    /// Requests that name no sectors of the disk: passthrough.
    case bad
    case read
    /// Requests without data.
    case flushes
    /// Reads of the self-test.
    case signatures
    /// Not the program's: the two maps together name everything that is not settled (see `ChangeTracker.establish`).
    case established
    /// Requests that the negative control passed over.
    case dropped
  }

  /// What a request does, as the program holds it: the letters of `rwbs`.
  private enum Verb: Int32 {
    case read = 0x52
    case write = 0x57
    case discard = 0x44
    case flush = 0x46
    case other = 0x4e
  }

  /// The disk: major << 20 | minor.
  let device: UInt64
  let layout: DirtyMapLayout
  /// The sectors that the reads of the self-test ask for.
  let signature: (sector: UInt64, count: UInt64)
  /// Descriptors.
  let map: Int32
  let counters: Int32
  /// The negative control: pass over one request in so many, as if the kernel had not shown it.
  var dropsOneIn: Int32?

  // Registers of the common part: r6 the context, r7 sector, r8 sectors, r9 verb.

  /// For `BPF_PROG_TYPE_TRACEPOINT`: the context is the tracepoint's record.
  func forTracepoint(_ format: TracepointFormat) -> [BPFAssembler.Instruction] {
    var code = BPFAssembler()
    let out = code.label()
    let verbKnown = code.label()
    code.compute(.move, .r6, .r1)
    code.load(.u32, .r1, from: .r6, format.device)
    code.jump(to: out, .notEqual, .r1, Int32(truncatingIfNeeded: device))
    code.load(.u64, .r7, from: .r6, format.sector)
    code.load(.u32, .r8, from: .r6, format.sectors)
    code.load(.u8, .r9, from: .r6, format.flags)
    // "FW": a flush before the write that follows it in the record.
    code.jump(to: verbKnown, .notEqual, .r9, Verb.flush.rawValue)
    code.load(.u8, .r9, from: .r6, format.flags + 1)
    code.place(verbKnown)
    appendBody(to: &code, out: out)
    return code.assembled()
  }

  /// For `BPF_TRACE_RAW_TP`: the context is the kernel's (request, status, bytes).
  func forRequest(_ layout: RequestLayout) -> [BPFAssembler.Instruction] {
    var code = BPFAssembler()
    let out = code.label()
    code.load(.u64, .r6, from: .r1, 0)
    code.load(.u64, .r8, from: .r1, 16)
    // The third argument has 32 bits; what is above them is anything.
    code.compute(.shiftLeft, .r8, 32)
    code.compute(.shiftRight, .r8, 32 + 9)
    code.compute(.move, .r2, .r6)
    for offset in layout.pathToDisk { code.load(.u64, .r2, from: .r2, offset) }
    code.jump(to: out, .equal, .r2, 0)
    code.load(.u32, .r3, from: .r2, layout.major)
    code.jump(to: out, .notEqual, .r3, Int32(device >> 20))
    code.load(.u32, .r3, from: .r2, layout.firstMinor)
    code.jump(to: out, .notEqual, .r3, Int32(device & 0xfffff))
    code.load(.u64, .r7, from: .r6, layout.sector)
    code.load(.u32, .r9, from: .r6, layout.flags)
    code.compute(.and, .r9, 0xff)
    appendVerb(to: &code)
    appendBody(to: &code, out: out)
    return code.assembled()
  }

  /// Turns the kernel's operation in r9 into a verb. Passthrough is a read where it only fetches (32, 34: SMART and the
  /// like); else it is `other`, and caught by its sector.
  private func appendVerb(to code: inout BPFAssembler) {
    let known = code.label()
    for (operation, verb): (Int32, Verb) in [
      (0, .read), (1, .write), (3, .discard), (32, .read), (34, .read)
    ] {
      let next = code.label()
      code.jump(to: next, .notEqual, .r9, operation)
      code.compute(.move, .r9, verb.rawValue)
      code.jump(to: known)
      code.place(next)
    }
    code.compute(.move, .r9, Verb.other.rawValue)
    code.place(known)
  }

  /// For `BPF_PROG_TYPE_TRACEPOINT` on block:block_bio_queue: marks discards when they are asked for and counts nothing.
  /// Several of them may complete as one request that names the range of the first.
  /// - Parameter devices: the disk and its partitions: a request is still its partition's then, with the disk's sector.
  func forQueuedDiscards(_ format: TracepointFormat, devices: [UInt64]) -> [BPFAssembler.Instruction] {
    var code = BPFAssembler()
    let out = code.label()
    let ours = code.label()
    code.compute(.move, .r6, .r1)
    code.load(.u8, .r9, from: .r6, format.flags)
    code.jump(to: out, .notEqual, .r9, Verb.discard.rawValue)
    code.load(.u32, .r1, from: .r6, format.device)
    for device in devices { code.jump(to: ours, .equal, .r1, Int32(truncatingIfNeeded: device)) }
    code.jump(to: out)
    code.place(ours)
    code.load(.u64, .r7, from: .r6, format.sector)
    code.load(.u32, .r8, from: .r6, format.sectors)
    code.jump(to: out, .equal, .r8, 0)
    code.loadConstant(.r2, layout.sectors)
    code.jump(to: out, .greaterOrEqual, .r7, .r2)
    code.compute(.move, .r1, .r7)
    code.compute(.add, .r1, .r8)
    code.jump(to: out, .greater, .r1, .r2)
    appendMarking(to: &code, out: out)
    return code.assembled()
  }

  private func appendBody(to code: inout BPFAssembler, out: BPFAssembler.Label) {
    appendCounting(to: &code, out: out)
    appendMarking(to: &code, out: out)
  }

  /// Marks the sectors r7, r8 long, and ends.
  private func appendMarking(to code: inout BPFAssembler, out: BPFAssembler.Label) {
    appendLevelChoice(to: &code)
    for _ in 0..<DirtyMapLayout.stores {
      code.jump(to: out, .greater, .r7, .r8)
      code.compute(.move, .r9, .r7)
      code.compute(.and, .r9, Int32(DirtyMapLayout.page - 1))
      code.compute(.move, .r1, .r7)
      code.compute(.shiftRight, .r1, 12)
      code.store(.u32, .r1, to: .frame, -4)
      appendLookup(to: &code, map, out: out)
      code.compute(.add, .r0, .r9)
      code.store(.u8, value: 1, to: .r0, 0)
      code.compute(.add, .r7, 1)
    }
    code.place(out)
    code.compute(.move, .r0, 0)
    code.exit()
  }

  /// r0 = the entry of `map` whose index stands at the top of the stack.
  private func appendLookup(to code: inout BPFAssembler, _ map: Int32, out: BPFAssembler.Label) {
    code.compute(.move, .r2, .frame)
    code.compute(.add, .r2, -4)
    code.loadMap(.r1, map)
    code.call(BPFAssembler.mapLookup)
    code.jump(to: out, .equal, .r0, 0)
  }

  /// Counts the request, and leaves unless it changes blocks. r3 = the counters.
  private func appendCounting(to code: inout BPFAssembler, out: BPFAssembler.Label) {
    code.store(.u32, value: 0, to: .frame, -4)
    appendLookup(to: &code, counters, out: out)
    if let dropsOneIn { appendDropping(dropsOneIn, to: &code, out: out) }
    code.compute(.move, .r3, .r0)
    count(.events, in: &code)

    let hasData = code.label()
    code.jump(to: hasData, .notEqual, .r8, 0)
    count(.flushes, in: &code)
    code.jump(to: out)
    code.place(hasData)

    let changes = code.label()
    code.jump(to: changes, .notEqual, .r9, Verb.read.rawValue)
    code.addAtomically(.r8, to: .r3, Counter.read.rawValue * 8)
    code.jump(to: out, .notEqual, .r8, Int32(signature.count))
    code.loadConstant(.r2, signature.sector)
    code.jump(to: out, .notEqual, .r7, .r2)
    count(.signatures, in: &code)
    code.jump(to: out)
    code.place(changes)

    let bad = code.label()
    let counted = code.label()
    code.loadConstant(.r2, layout.sectors)
    code.jump(to: bad, .greaterOrEqual, .r7, .r2)
    code.compute(.move, .r1, .r7)
    code.compute(.add, .r1, .r8)
    code.jump(to: bad, .greater, .r1, .r2)
    for (verb, counter): (Verb, Counter) in [(.write, .written), (.discard, .discarded)] {
      let next = code.label()
      code.jump(to: next, .notEqual, .r9, verb.rawValue)
      code.addAtomically(.r8, to: .r3, counter.rawValue * 8)
      code.jump(to: counted)
      code.place(next)
    }
    code.addAtomically(.r8, to: .r3, Counter.other.rawValue * 8)
    code.jump(to: counted)
    code.place(bad)
    count(.bad, in: &code)
    code.jump(to: out)
    code.place(counted)
  }

  /// Keeps r0.
  private func appendDropping(_ rate: Int32, to code: inout BPFAssembler, out: BPFAssembler.Label) {
    let stays = code.label()
    code.compute(.move, .r6, .r0)
    code.call(BPFAssembler.random)
    code.compute(.modulo, .r0, rate)
    code.jump(to: stays, .notEqual, .r0, 0)
    code.compute(.move, .r3, .r6)
    count(.dropped, in: &code)
    code.jump(to: out)
    code.place(stays)
    code.compute(.move, .r0, .r6)
  }

  private func count(_ counter: Counter, in code: inout BPFAssembler) {
    code.compute(.move, .r1, 1)
    code.addAtomically(.r1, to: .r3, counter.rawValue * 8)
  }

  /// r7...r8 = the units of the finest level on which the request takes few enough stores.
  private func appendLevelChoice(to code: inout BPFAssembler) {
    code.compute(.add, .r8, .r7)
    code.compute(.subtract, .r8, 1)
    code.compute(.shiftRight, .r7, Int32(layout.shift))
    code.compute(.shiftRight, .r8, Int32(layout.shift))
    let chosen = code.label()
    for (level, base) in layout.bases.enumerated() {
      let coarser = code.label()
      if level < layout.bases.count - 1 {
        code.compute(.move, .r1, .r8)
        code.compute(.subtract, .r1, .r7)
        code.jump(to: coarser, .greaterOrEqual, .r1, Int32(DirtyMapLayout.stores))
      }
      code.loadConstant(.r2, base)
      code.compute(.add, .r7, .r2)
      code.compute(.add, .r8, .r2)
      code.jump(to: chosen)
      code.place(coarser)
      if level < layout.bases.count - 1 {
        code.compute(.shiftRight, .r7, Int32(DirtyMapLayout.step))
        code.compute(.shiftRight, .r8, Int32(DirtyMapLayout.step))
      }
    }
    code.place(chosen)
  }
}
