/// Frames: leaf locks, the order of sequences, unknown before written.
extension ReplicaMachine {
  /// Whether a frame may begin to write now.
  private var admits: Bool {
    switch step {
    case nil: jobs.first?.isExclusive != true
    case .flushing: true
    default: false
    }
  }

  /// Begins or refuses the waiting frames that can be.
  mutating func admitFrames() {
    guard admits else { return }
    var still: [Frame] = []
    for frame in waiting {
      if let refusal = refusal(of: frame) {
        actions.append(.reply(frame.request, .refused(refusal)))
      } else if frame.touches.contains(where: { locked.contains($0.address) }) {
        still.append(frame)
      } else {
        begin(frame)
      }
    }
    waiting = still
  }

  /// Why this session and epoch cannot be served; nil where they can.
  func refusal(session: String, epoch: Epoch) -> Refusal? {
    guard session == stored.session else { return .epochClosed }
    if stored.sealed { return .sealed }
    return epochIsOpen && epoch == stored.epoch ? nil : .epochClosed
  }

  private func refusal(of frame: Frame) -> Refusal? {
    if let refusal = refusal(session: frame.session, epoch: frame.epoch) { return refusal }
    if frame.sequence <= through { return .stale }
    let isStale = frame.touches.contains { touch in
      touched[touch.address].map { $0.sequence > frame.sequence } ?? false
    }
    return isStale ? .stale : nil
  }

  private mutating func begin(_ frame: Frame) {
    var toMark: [LeafAddress] = []
    for touch in frame.touches {
      locked.insert(touch.address)
      let isFirst = touched[touch.address].map { $0.sequence == frame.sequence } ?? true
      touched[touch.address] = Touched(sequence: frame.sequence, whole: touch.whole && isFirst, running: true)
      if !unknown[Int(touch.address.disk)][Int(touch.address.leaf)] { toMark.append(touch.address) }
    }
    running[frame.request] = Running(frame: frame, toMark: toMark)
    actions.append(toMark.isEmpty ? .write(frame.request) : .markUnknown(frame.request, toMark))
  }

  mutating func unknownMarked(_ request: Request) {
    if let frame = running[request] {
      setUnknown(frame.toMark)
      actions.append(.write(request))
    } else if case .markingMismatches(let mismatches) = step, jobs.first?.request == request {
      setUnknown(mismatches)
      endJob(.mismatched(mismatches))
    }
  }

  private mutating func setUnknown(_ leaves: [LeafAddress]) {
    for address in leaves {
      unknown[Int(address.disk)][Int(address.leaf)] = true
      held[Int(address.disk)][Int(address.leaf)] = false
    }
  }

  mutating func frameEnded(_ request: Request, failure: Refusal?) {
    guard let frame = running.removeValue(forKey: request)?.frame else { return }
    for touch in frame.touches {
      locked.remove(touch.address)
      touched[touch.address]?.running = false
      if failure != nil { touched[touch.address]?.whole = false }
    }
    let isCurrent = refusal(session: frame.session, epoch: frame.epoch) == nil
    actions.append(
      .reply(request, failure.map { .refused($0) } ?? (isCurrent ? .acknowledged : .refused(.epochClosed))))
  }
}
