import ServiceKit

extension LiveFeed {
  /// What is known of a topic, and what its readers were told of it. Pure: time and reading are its owner's.
  struct State: Sendable {
    /// Deltas kept for readers that come back.
    static let longestHistory = 64
    /// Names this life of the feed: what another life counted means nothing here.
    let generation: String
    private(set) var sequence = 0
    private(set) var values: [String: LiveValue] = [:]
    private var history: [LiveMessage] = []

    init(generation: String = Secret.text(bytes: 6)) { self.generation = generation }

    var isEmpty: Bool { sequence == 0 }

    /// Takes in what was read; the delta to tell, or nil where nothing changed.
    mutating func take(_ new: [String: LiveValue]) throws -> LiveMessage? {
      var delta = new.filter { values[$0.key] != $0.value }
      for gone in values.keys where new[gone] == nil { delta[gone] = LiveValue.none }
      guard !delta.isEmpty || isEmpty else { return nil }
      (values, sequence) = (new, sequence + 1)
      let message = try LiveMessage("delta", delta, generation: generation, sequence: sequence)
      history.append(message)
      if history.count > Self.longestHistory { history.removeFirst() }
      return message
    }

    /// What a reader is told first: what it missed since `lastEventID`, or everything where that is not known any more.
    func greeting(_ lastEventID: String?) throws -> [LiveMessage] {
      guard !isEmpty else { return [] }
      if let lastEventID, lastEventID.hasPrefix(generation + "-"),
        let seen = Int(lastEventID.dropFirst(generation.count + 1)), seen <= sequence,
        seen >= sequence - history.count
      {
        return history.filter { $0.sequence > seen }
      }
      return [try LiveMessage("snapshot", values, generation: generation, sequence: sequence)]
    }
  }
}
