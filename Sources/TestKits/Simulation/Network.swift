import Replication

/// A request on its way; repeated as it is until it is answered.
struct Message {
  var id: Int
  var life: Int
  var session: String
  var ordinal: UInt64
  var body: Agent.Body
}

/// Messages may be lost, doubled, late, and in any order.
extension World {
  func send(_ agent: Agent, _ body: Agent.Body) {
    agent.nextMessage += 1
    agent.outstanding[agent.nextMessage] = body
    deliver(message(agent, agent.nextMessage, body))
  }

  private func message(_ agent: Agent, _ id: Int, _ body: Agent.Body) -> Message {
    Message(id: id, life: agent.life, session: agent.session, ordinal: agent.ordinal, body: body)
  }

  private func deliver(_ message: Message) {
    if isCutOff { return }
    transmit(isOften: message.body.isSeal) { [unowned self] in
      if gateway.isUp { try gatewayReceive(message) }
    }
  }

  /// - Parameter isOften: whether it is doubled more often than others.
  func transmit(isOften: Bool = false, _ arrive: @escaping () throws -> Void) {
    if fault(oneIn: 15) { return report.hit(.messageDropped) }
    var holds = 0
    if fault(oneIn: 12) {
      holds = 5 + random.below(40)
      report.hit(.messageDelayed)
    }
    schedule(.network, holds: holds, arrive)
    if fault(oneIn: isOften ? 3 : 15) {
      report.hit(.messageDuplicated)
      schedule(.network, holds: random.below(isOften ? 90 : 30), arrive)
    }
  }

  /// The agent waits no longer: a frame is lost, everything else is asked again.
  func timedOut(_ agent: Agent, _ id: Int) throws {
    guard let body = agent.outstanding[id] else { return }
    if case .frame(let frame, _, _) = body {
      agent.outstanding[id] = nil
      try lose(agent, frame.sequence)
    } else {
      deliver(message(agent, id, body))
    }
  }

  func reply(to message: Message, _ reply: ReplicaMachine.Reply, held: [Bitmap]) {
    transmit { [unowned self] in
      guard !isCutOff, let agent, agent.life == message.life, let body = agent.outstanding[message.id] else { return }
      try receive(agent, message.id, body, reply, held)
    }
  }

  private func receive(
    _ agent: Agent, _ id: Int, _ body: Agent.Body, _ reply: ReplicaMachine.Reply, _ held: [Bitmap]
  ) throws {
    if case .refused(.failed) = reply, !body.isFrame {
      return schedule(.agent(agent.life), holds: 3) { [unowned self] in
        if agent.outstanding[id] != nil {
          deliver(message(agent, id, body))
        }
      }
    }
    agent.outstanding[id] = nil
    switch (body, reply) {
    case (_, .refused(.superseded)):
      guard agent.ordinal < ordinal || concluding.contains(agent.session) else {
        throw violation("the newest session was superseded by an older one")
      }
      if sabotage == .ignoresRetirement, sealNote != nil { return send(agent, body) }
      try feed(agent, .retired(reason: "superseded"))
    case (.open, .opened(let epoch, let parts)):
      var held = held
      if sabotage == .doesNotWiden { for disk in held.indices { held[disk].insert(0..<held[disk].count) } }
      try feed(agent, .opened(SyncMachine.Opened(epoch: epoch, parts: parts, held: held)))
    case (.open, .alreadySealed): try feed(agent, .alreadySealed)
    case (.frame(let frame, _, _), .acknowledged): try carried(agent, frame.sequence)
    case (.frame(let frame, _, _), .refused(let refusal)):
      if refusal == .epochClosed || refusal == .sealed {
        report.hit(.oldEpochRefused)
        try feed(agent, .epochClosed(frame.epoch))
      }
      try lose(agent, frame.sequence)
    case (.flush(let flush), .flushed): try feed(agent, .flushed(flush.epoch, part: flush.part))
    case (.flush(let flush), .refused(.epochClosed)), (.flush(let flush), .refused(.sealed)):
      try feed(agent, .epochClosed(flush.epoch))
    case (.seal, .sealed): try feed(agent, .sealed)
    case (.seal, .mismatched(let leaves)): try feed(agent, .mismatched(leaves))
    case (.seal(let epoch, _), .refused(.epochClosed)): try feed(agent, .epochClosed(epoch))
    default: throw violation("\(body) was answered with \(reply)")
    }
  }
}

extension Agent.Body {
  var isSeal: Bool { if case .seal = self { true } else { false } }
  var isFrame: Bool { if case .frame = self { true } else { false } }
}
