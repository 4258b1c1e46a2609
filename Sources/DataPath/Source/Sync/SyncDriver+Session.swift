import Blocks
import Replication
import Synchronization
import Transport
import Wire

extension SyncDriver {
  /// Repeats a request until it is answered, or refused for good.
  private func persist<Answer: Sendable>(_ request: () async throws -> Answer) async throws -> Answer {
    while true {
      do {
        let answer = try await request()
        troublesAreOver()
        return answer
      } catch let error as TransportError where error.isTransient {
        try await waitOut(error)
      }
    }
  }

  func open(fresh: Bool) async throws -> SyncMachine.Event {
    let answer = try await persist { try await gateway.open(fresh: fresh) }
    if let receipt = answer.receipt {
      state.withLock { $0.receipt = receipt }
      return .alreadySealed
    }
    try resumeChain(answer, fresh: fresh)
    let epoch = Epoch(rawValue: answer.epoch)
    claims.begin(epoch)
    var held: [Bitmap] = []
    for (index, disk) in source.disks.enumerated() {
      let bytes = try await persist { try await gateway.held(disk: UInt16(index)) }
      held.append(Bitmap(count: Int(Leaf.count(bytes: disk.reader.size)), bytes: bytes))
    }
    return .opened(.init(epoch: epoch, parts: answer.parts, held: held))
  }

  /// Brings our chain to where the gateway's is: it may have stored the last part without our hearing of it.
  private func resumeChain(_ answer: OpenAnswer, fresh: Bool) throws {
    try state.withLock { state in
      if fresh || state.chain == nil {
        state.chain = ManifestChain(session: session, previous: answer.previous)
        state.lastPart = nil
      }
      guard var chain = state.chain else { return }
      if let last = state.lastPart, last.number == chain.parts, answer.parts == chain.parts + 1 {
        chain.append(part: last.bytes)
        state.chain = chain
      }
      guard answer.parts == chain.parts, answer.chain == chain.hex else {
        throw SyncFailure(
          code: "manifest_diverged",
          message: "the gateway holds \(answer.parts) manifest parts with chain \(answer.chain), this agent "
            + "\(chain.parts) with \(chain.hex); start the sync anew")
      }
    }
  }

  func flush(_ flush: SyncMachine.Flush) async throws -> SyncMachine.Event {
    let part = LeafRecord.encode(flush.records)
    state.withLock { $0.lastPart = (flush.part, part) }
    do {
      let answer = try await persist {
        try await gateway.flush(epoch: flush.epoch, through: flush.through, part: flush.part, records: part)
      }
      try state.withLock { state in
        // A reopening may have found that this part was stored.
        if state.chain?.parts == flush.part { state.chain?.append(part: part) }
        guard state.chain?.hex == answer.chain else {
          throw SyncFailure(
            code: "manifest_diverged", message: "the gateway's chain after part \(flush.part) is not ours; start anew")
        }
      }
      return .flushed(flush.epoch, part: flush.part)
    } catch let error as TransportError where error.problemCode == "epoch_closed" {
      return .epochClosed(flush.epoch)
    }
  }

  func seal(_ epoch: Epoch, final: Bool) async throws -> SyncMachine.Event {
    if final, !(try await onPool { self.source.commit() }) { return .thawed(inTime: false) }
    guard let chain = state.withLock({ $0.chain }) else {
      throw SyncFailure(code: "internal", message: "a seal was asked for before the session was open")
    }
    let request = SealRequest(
      epoch: epoch.rawValue, chain: chain.hex, signature: try chain.sign(with: key), consistency: source.consistency)
    var wait = Duration.milliseconds(50)
    while true {
      do {
        let answer = try await persist { try await gateway.seal(request) }
        switch answer.state {
        case .sealed:
          state.withLock { $0.receipt = answer.receipt }
          return .sealed
        case .mismatched:
          return .mismatched(
            answer.mismatches.compactMap { pair in
              pair.count == 2 ? LeafAddress(disk: UInt16(truncatingIfNeeded: pair[0]), leaf: pair[1]) : nil
            })
        case .reading: break
        }
      } catch let error as TransportError where error.problemCode == "epoch_closed" {
        return .epochClosed(epoch)
      }
      try await Task.sleep(for: wait)
      wait = min(wait * 2, .seconds(1))
    }
  }
}
