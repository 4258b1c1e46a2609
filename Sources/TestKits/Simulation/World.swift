import Replication

/// A source with its tracker and agent, a gateway with its store and volumes, and the network between them. Everything
/// that takes time is a task; the seed decides which task runs next, so that every order is possible.
final class World {
  enum Owner: Equatable {
    case source, network
    case agent(Int)
    case gateway(Int)
  }

  struct Scheduled {
    var owner: Owner
    /// How often it is passed over before it runs.
    var holds: Int
    var run: () throws -> Void
  }

  var trace: ((String) -> Void)?
  let seed: UInt64
  let sabotage: Sabotage?
  let grid = Grid()
  var random: SplitMix
  var report = Report()
  var queue: [Scheduled] = []
  var source: Source
  var gateway: Gateway
  var agent: Agent?
  var lives = 0

  /// The sessions to run, in order.
  var plan: [(mode: SyncMachine.Mode, final: Bool)]
  var planned = 0
  var hasPoint = false
  var session = ""
  /// The place of that session in the order of all, and of every session that was ever begun.
  var ordinal: UInt64 = 0
  var ordinals: [String: UInt64] = [:]
  /// The highest that the gateway has opened.
  var newestOpened: UInt64 = 0
  var isOver = false
  /// The source as it was when it was frozen last in each session.
  var instants: [String: Image] = [:]
  /// Sessions that the control plane has decided, or begun to; and what the gateway said.
  var concluding: Set<String> = []
  var conclusions: [String: ReplicaMachine.Reply] = [:]
  /// Nothing of this session's agent reaches the gateway any more.
  var isCutOff = false
  /// The session whose final seal was requested; survives the agent.
  var sealNote: String?
  /// Faults and new writes come only before this step.
  let calmFrom: Int
  /// How many times rarer than usual faults are, and how many steps lie between writes.
  let rarity: Int
  let writeEvery: Int
  /// More is written all the time than an instant holds.
  let isBusy: Bool
  let corrupts: Bool
  /// The second disk is written although it stands still for its final seal.
  let isLoose: Bool
  var hasCorrupted = false

  struct Image {
    var cells: [UInt16]
    var used: [Bool]
    /// The disk that cannot be frozen, as it was after each write since.
    var loose: [[UInt16]]
  }

  init(seed: UInt64, sabotage: Sabotage?) {
    (self.seed, self.sabotage) = (seed, sabotage)
    random = SplitMix(seed: seed)
    calmFrom = 150 + random.below(750)
    rarity = [1, 2, 5][random.below(3)]
    isBusy = random.oneIn(5)
    writeEvery = isBusy ? 1 + random.below(4) : 4 + random.below(60)
    corrupts = random.oneIn(3)
    isLoose = random.oneIn(2)
    plan = [(.full, false)]
    for _ in 0..<random.below(3) { plan.append((random.oneIn(4) ? .compare : .delta, false)) }
    plan.append((.delta, true))
    source = Source(grid: grid, random: &random)
    gateway = Gateway(grid: grid)
  }

  var isFaulty: Bool { report.steps < calmFrom }

  /// True in one of `n` cases while faults are allowed.
  func fault(oneIn n: Int) -> Bool { isFaulty && random.oneIn(n * rarity) }

  func tell(_ line: @autoclosure () -> String) {
    if let trace { trace("\(report.steps) " + line().replacing("Replication.", with: "")) }
  }

  func violation(_ rule: String) -> Violation { Violation(seed: seed, step: report.steps, rule: rule) }

  func schedule(_ owner: Owner, holds: Int = 0, _ run: @escaping () throws -> Void) {
    queue.append(Scheduled(owner: owner, holds: holds, run: run))
  }

  /// Runs the plan to its end.
  func run() throws -> Report {
    defer { queue = [] }
    gateway.machine = gateway.store.machine(grid)
    beginSession()
    while !isOver {
      report.steps += 1
      if report.steps > calmFrom + 4000 { throw violation("a sync did not end though faults had stopped") }
      if isFaulty { try injectFaults() }
      try runSomething()
    }
    return report
  }

  private func runSomething() throws {
    guard !queue.isEmpty else {
      if agent?.outstanding.isEmpty == false {
        try timeOut()
      } else {
        throw violation("nothing is left to happen, and the sync has not ended")
      }
      return
    }
    let index = random.below(queue.count)
    if queue[index].holds > 0 {
      queue[index].holds -= 1
      return
    }
    queue.swapAt(index, queue.count - 1)
    let task = queue.removeLast()
    switch task.owner {
    case .agent(let life) where agent?.life != life: break
    case .gateway(let life) where gateway.life != life: break
    default: try task.run()
    }
  }

  // MARK: Faults

  private func injectFaults() throws {
    if random.oneIn(writeEvery) { issueWrite() }
    if isLoose, random.oneIn(3) { writeWhileHeld() }
    if source.isFrozen, random.oneIn(25) {
      switch random.below(3) {
      case 0: watchdog()
      case 1: try deadline()
      default: try crashAgent()
      }
    }
    guard random.oneIn(12 * rarity) else { return }
    switch random.below(11) {
    case 0, 1: try timeOut()
    case 2: if random.oneIn(4) { try crashAgent() }
    case 3: if random.oneIn(4) { try crashGateway() }
    case 4: if random.oneIn(6) { missWrites() }
    case 5: if random.oneIn(sealNote == nil ? 15 : 3) { try cancel() }
    case 6: if random.oneIn(15) { supersede() }
    case 7: if random.oneIn(sealNote == nil ? 20 : 4) { conclude() }
    default: break
    }
  }

  /// A request is given up by the agent, whether it was answered or not.
  func timeOut() throws {
    guard let agent, let id = agent.outstanding.keys.sorted().randomElement(using: &random) else { return }
    report.hit(.requestTimedOut)
    try timedOut(agent, id)
  }

  private func crashGateway() throws {
    guard gateway.isUp else { return }
    report.hit(.gatewayCrashed)
    gateway.isUp = false
    gateway.life += 1
    gateway.requests = [:]
    if random.oneIn(2) {
      report.hit(.gatewayLostPower)
      losePower()
    }
    let lastEpoch = gateway.machine.stored.epoch
    schedule(.network, holds: random.below(3)) { [unowned self] in
      gateway.isUp = true
      gateway.machine = gateway.store.machine(grid)
      if sabotage == .acknowledgementsOutliveTheGateway, let session = gateway.store.stored.session {
        // Opens by itself, and is taken for the life before.
        gateway.alias = lastEpoch
        try gatewayFeed(.open(0, session: session, ordinal: gateway.store.stored.ordinal, fresh: false))
      }
      try checkClaims()
    }
  }

  /// The control path starts the sync over, perhaps several times; the agent learns it when it is refused. The openings
  /// come in any order, some only when a later session is sealing.
  private func supersede() {
    guard agent?.isFinal == false, !source.isFrozen else { return }
    report.hit(.sessionSuperseded)
    for _ in 0...random.below(3) {
      nameSession()
      let (name, ordinal) = (session, ordinal)
      schedule(.network, holds: random.oneIn(2) ? random.below(400) : 0) { [unowned self] in
        guard gateway.isUp else { return }
        try gatewayReceive(Message(id: -1, life: -1, session: name, ordinal: ordinal, body: .open(fresh: true)))
      }
    }
  }

  private func nameSession() {
    ordinal += 1
    session = "s\(ordinal)"
    ordinals[session] = ordinal
  }

  private func cancel() throws {
    guard let agent, !agent.isEnding else { return }
    report.hit(.cancelled)
    if sabotage == .endsFrozen, sealNote != nil { return try sessionEnded(.ended(reason: "cancelled")) }
    try feed(agent, .cancel(reason: "cancelled"))
  }

  private func deadline() throws {
    guard let agent, source.isFrozen else { return }
    report.hit(.deadlinePassed)
    if sabotage == .thawsAfterSealRequest, sealNote != nil {
      try thawSource(agent)
    }
    try feed(agent, .deadline)
  }

  private func watchdog() {
    guard let agent, source.isFrozen, sealNote == nil else { return }
    report.hit(.watchdogThawed)
    source.isFrozen = false
    agent.watchdogFired = true
    if sabotage == .hidesWatchdog { agent.watchdogFired = false }
    if random.oneIn(2), sabotage != .hidesWatchdog {
      schedule(.agent(agent.life)) { [unowned self] in try feed(agent, .thawed(inTime: false)) }
    }
  }

  // MARK: Sessions

  func beginSession() {
    report.sessions += 1
    nameSession()
    isCutOff = false
    beginAgent()
  }

  private func beginAgent() {
    lives += 1
    let resumes = sealNote != nil
    let step = plan[planned]
    let mode: SyncMachine.Mode = hasPoint || resumes ? step.mode : .full
    var settings = SyncMachine.Settings()
    settings.leaf = UInt64(grid.leaf)
    settings.frameLeaves = 1 + random.below(2)
    settings.framesInFlight = 1 + random.below(3)
    settings.flushLeaves = 1 + random.below(3)
    settings.instantBytes = UInt64(3 + random.below(isBusy ? 2 : 20))
    settings.instantLeaves = 2 + random.below(4)
    settings.trackingLosses = 4
    let stalledRounds = 1 + random.below(3)
    settings.stalledRounds = sabotage == .neverGivesUp ? .max : stalledRounds
    settings.heldTakes = .max
    let mismatchRounds = 2 + random.below(4)
    settings.mismatchRounds = sabotage == .trustsTheTarget ? .max : mismatchRounds
    let machine = SyncMachine(
      mode: mode, final: step.final, resumesFinal: resumes,
      disks: (0..<2).map { SyncMachine.Disk(size: UInt64(grid.sizes[$0]), block: UInt64(grid.blocks[$0])) },
      settings: settings)
    let new = Agent(life: lives, session: session, ordinal: ordinal, isFinal: step.final, machine: machine)
    // What comes between a take and its answer is dirty as well: the machine may count differently then.
    (new.instantBytes, new.unfitRounds) = (Int(settings.instantBytes), stalledRounds + 2)
    new.mismatchRounds = mismatchRounds
    agent = new
    schedule(.agent(new.life)) { [unowned self] in try feed(new, .start) }
    tellAgent()
  }

  func sessionEnded(_ outcome: SyncMachine.Outcome) throws {
    agent = nil
    if source.isFrozen && !source.isOff {
      throw violation("a sync ended and left the source frozen")
    }
    switch outcome {
    case .sealed:
      if plan[planned].final {
        try checkEnd()
        isOver = true
        return
      }
      hasPoint = true
      planned += 1
    case .ended: break
    case .notConverging: report.hit(.neverQuiet)
    case .targetUnreliable: report.hit(.targetUnreliable)
    }
    beginSession()
  }

  private func crashAgent() throws {
    guard agent != nil, !source.isOff else { return }
    report.hit(.agentCrashed)
    try checkNothingLost()
    agent = nil
    if sealNote != nil {
      report.hit(.agentCrashedAfterSealRequest)
      if random.oneIn(3) { conclude() }
    }
    if random.oneIn(3) {
      report.hit(.agentCrashedWithoutMaps)
      source.loseTracker()
    }
    schedule(.network, holds: random.below(3)) { [unowned self] in
      // The watchdog thaws what a dead agent froze, except after the final seal was requested.
      if sealNote == nil { source.thaw() }
      beginAgent()
    }
  }
}
