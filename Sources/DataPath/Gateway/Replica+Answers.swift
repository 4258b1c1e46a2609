import Replication
import Synchronization
import Wire

/// What is said of a replica from its store. Calls block.
extension Replica {
  /// The chain over the parts stored, in hex.
  var chain: String { store.withLock { $0.log.chain.hex } }

  func openAnswer(epoch: Epoch) throws -> OpenAnswer {
    try store.withLock { store in
      let record = store.record
      let receipt = record.sealed ? try record.session.flatMap { try store.receipt(of: $0) } : nil
      return OpenAnswer(
        epoch: epoch.rawValue, previous: record.previous, parts: store.log.count, chain: store.log.chain.hex,
        receipt: receipt)
    }
  }

  /// For a session that is not the last any more: the receipt, where its seal took place before.
  func pastAnswer(session: String) throws -> OpenAnswer? {
    try store.withLock { store in
      guard let receipt = try store.countingReceipt(of: session) else { return nil }
      return OpenAnswer(
        epoch: store.record.epoch, previous: store.record.previous, parts: 0, chain: receipt.chain, receipt: receipt)
    }
  }

  /// What is known for certain of a session.
  func conclusion(of grant: SessionGrant) throws -> ConcludeAnswer {
    try store.withLock { store in
      let last = store.record.ordinal
      if let receipt = try store.countingReceipt(of: grant.session) {
        return ConcludeAnswer(state: .sealed, receipt: receipt, last: last)
      }
      let isOver = store.record.session != grant.session && grant.ordinal <= store.record.ordinal
      return ConcludeAnswer(state: isOver ? .retired : .undecided, last: last)
    }
  }

  /// Refuses a part that is stored already with other bytes.
  func refuseOtherBytes(session: String, part: UInt64, _ bytes: [UInt8]) throws {
    try store.withLock { store in
      guard store.record.session == session, part < store.log.count else { return }
      guard try store.log.part(part) == bytes else {
        throw Problem.badRequest("out_of_order", "part \(part) is stored with other records")
      }
    }
  }

  /// Checks that a seal names the chain over what is stored, and is signed by the agent.
  func check(_ request: SealRequest, session: String, publicKey: [UInt8]) throws {
    try store.withLock { store in
      guard store.record.session == session else { throw Problem.epochClosed }
      guard store.log.chain.hex == request.chain else {
        throw Problem.badRequest("out_of_order", "the chain is not that of the parts stored")
      }
      guard store.log.chain.isSigned(request.signature, by: publicKey) else {
        throw Problem.proofRefused("the seal's signature was not made by the agent's key")
      }
    }
  }
}
