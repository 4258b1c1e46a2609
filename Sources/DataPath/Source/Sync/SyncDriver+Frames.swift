import Blocks
import Frames
import NIOCore
import Replication
import Synchronization
import Transport
import Wire

extension SyncDriver {
  /// Reads, hashes, compares and sends one frame.
  func carry(_ frame: SyncMachine.Frame, from instant: CapturedInstant?) async throws -> SyncMachine.Event? {
    do {
      switch frame.origin {
      case .disk: return try await carryFromDisk(frame)
      case .memory: return try await carryFromMemory(frame, instant)
      }
    } catch let error as TransportError {
      return try await reaction(to: error, frame: frame)
    }
  }

  private func carryFromDisk(_ frame: SyncMachine.Frame) async throws -> SyncMachine.Event {
    try await meter.measure(.read) { try await pace.beforeRead(UInt64(frame.leaves.count) * Leaf.size) }
    let reader = LeafReader(reader: source.disks[Int(frame.disk)].reader, disk: frame.disk)
    let (body, records) = try await buffers.withBuffer { buffer -> (ByteBuffer?, [LeafRecord]) in
      try await meter.measure(.read) { try await onPool { try reader.load(frame.leaves, into: buffer) } }
      var records = try await meter.measure(.cpu) { try await onPool { reader.records(of: frame.leaves, in: buffer) } }
      let equal = try await claims.equal(
        records, comparable: frame.comparable, disk: frame.disk, epoch: frame.epoch, gateway: gateway)
      for index in records.indices where equal.contains(records[index].leaf) { records[index].equal = true }
      let extents = frame.extents.filter { !equal.contains($0.range.lowerBound / Leaf.size) }
      if extents.isEmpty { return (nil, records) }
      let leaves = frame.leaves
      return (
        try await encode(extents) { LeafReader.bytes(of: $0.range, leaves: leaves, in: buffer) }, records
      )
    }
    if let body { try await send(body, frame) }
    meter.carried(frame.byteCount)
    return .carried(frame.sequence, records)
  }

  private func carryFromMemory(_ frame: SyncMachine.Frame, _ capture: CapturedInstant?) async throws
    -> SyncMachine.Event
  {
    guard let capture else {
      throw SyncFailure(code: "internal", message: "frame \(frame.sequence.rawValue) wants an instant that is not held")
    }
    let body = try await encode(frame.extents) { capture.bytes(of: $0) }
    try await send(body, frame)
    return .carried(frame.sequence, [])
  }

  private func encode(
    _ extents: [Extent], bytes: @escaping @Sendable (Extent) -> UnsafeRawBufferPointer?
  ) async throws -> ByteBuffer {
    let choice = compression.next()
    return try await onPool { [compression, meter] in
      let start = ContinuousClock.now
      let (body, payload) = try FrameBody.encode(extents, compression: choice) { extent in
        guard let found = bytes(extent) else {
          throw SyncFailure(
            code: "internal", message: "the bytes of \(extent.range) on disk \(extent.disk) are not held")
        }
        return found
      }
      meter.add(.now - start, to: .cpu)
      if choice != .none {
        compression.compressed(raw: payload, encoded: body.readableBytes, in: .now - start)
      }
      return body
    }
  }

  private func send(_ body: ByteBuffer, _ frame: SyncMachine.Frame) async throws {
    claims.willSend(frame.leaves, disk: frame.disk)
    while true {
      try await meter.measure(.link) { try await pace.beforeSend(body.readableBytes) }
      compression.sendBegan()
      do {
        try await meter.measure(.link) {
          try await gateway.put(
            frame: body, sequence: frame.sequence, epoch: frame.epoch, timeout: settings.frameTimeout)
        }
        compression.sendEnded(bytes: body.readableBytes)
        state.withLock { state in
          state.wireBytes += UInt64(body.readableBytes)
          state.sentBytes += frame.byteCount
          state.troubleSince = nil
        }
        return
      } catch TransportError.refused(let problem, let retryAfter) where problem.code == "busy" {
        // It was not taken; the very same bytes may come again.
        compression.sendEnded(bytes: nil)
        try await meter.measure(.target) { try await Task.sleep(for: .seconds(min(retryAfter ?? 1, 30))) }
      } catch {
        compression.sendEnded(bytes: nil)
        throw error
      }
    }
  }

  private func reaction(to error: TransportError, frame: SyncMachine.Frame) async throws -> SyncMachine.Event {
    switch error.problemCode {
    case "epoch_closed", "sealed": return .epochClosed(frame.epoch)
    case "stale_sequence": return .lost(frame.sequence)
    default: break
    }
    guard error.isTransient else { throw SyncFailure(error) }
    try await waitOut(error)
    return .lost(frame.sequence)
  }

  /// Waits before something is tried again.
  /// - Throws: `SyncFailure` where nothing came through for longer than `settings.patience`, unless the final seal was
  ///   requested.
  func waitOut(_ error: TransportError) async throws {
    let (wait, lasting, isCommitted) = state.withLock { state in
      let since = state.troubleSince ?? .now
      state.troubleSince = since
      let lasting = ContinuousClock.now - since
      return (Backoff.pause(after: lasting), lasting, state.isCommitted)
    }
    if lasting > settings.patience, !isCommitted { throw SyncFailure(error) }
    try await Task.sleep(for: wait)
  }

  func troublesAreOver() {
    state.withLock { $0.troubleSince = nil }
  }
}
