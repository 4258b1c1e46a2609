import Replication

/// The control plane where it matters to the source: it may have the gateway decide a session at any time, and tells the
/// agent over a way of its own.
extension World {
  /// Asks until it is answered: sealed, or retired for good.
  func conclude() {
    let (session, ordinal) = (session, ordinal)
    guard concluding.insert(session).inserted else { return }
    report.hit(.sessionConcluded)
    // By then a later session may be open.
    schedule(.network, holds: random.oneIn(3) ? random.below(300) : 0) { [unowned self] in
      askForConclusion(session, ordinal)
    }
  }

  private func askForConclusion(_ session: String, _ ordinal: UInt64) {
    guard conclusions[session] == nil else { return }
    transmit { [unowned self] in
      guard gateway.isUp else { return }
      try gatewayReceive(Message(id: -2, life: -1, session: session, ordinal: ordinal, body: .conclude))
    }
    schedule(.network, holds: 40) { [unowned self] in askForConclusion(session, ordinal) }
  }

  /// The gateway's answer has arrived.
  func concluded(_ session: String, _ reply: ReplicaMachine.Reply) throws {
    guard reply == .sealed || reply == .retired else { return }
    if let known = conclusions[session], known != reply {
      throw violation("session \(session) was concluded as \(known), and as \(reply) later")
    }
    if reply == .retired, gateway.store.receipts.contains(session) {
      throw violation("session \(session) was called retired and is sealed")
    }
    conclusions[session] = reply
    if reply == .sealed { report.hit(.concludedSealed) }
    tellAgent()
  }

  /// Over the agent's own poll, as soon as it asks; each of its lives is told.
  func tellAgent() {
    schedule(.network, holds: random.below(30)) { [unowned self] in
      guard let agent, !agent.isEnding, let conclusion = conclusions[agent.session] else { return }
      if sealNote != nil { report.hit(.agentToldWhileFrozen) }
      if sabotage == .ignoresRetirement { return }
      try feed(agent, conclusion == .sealed ? .alreadySealed : .retired(reason: "retired"))
    }
  }

  /// What the gateway says where the machine knows only that the session is not the last: the receipt tells.
  func withReceipt(_ reply: ReplicaMachine.Reply, _ session: String) -> ReplicaMachine.Reply {
    guard gateway.store.receipts.contains(session) else { return reply }
    switch reply {
    case .retired: return sabotage == .forgetsReceipts ? reply : .sealed
    case .refused(.superseded):
      return sabotage == .forgetsReceipts ? reply : .alreadySealed(epoch: gateway.machine.stored.epoch, parts: 0)
    default: return reply
    }
  }

  /// Whether it can never be sealed any more, whatever fails from here on.
  func isRetired(_ session: String) -> Bool {
    let stored = gateway.store.stored
    return stored.session != session && stored.ordinal >= ordinals[session, default: 0]
      && !gateway.store.receipts.contains(session)
  }
}
