import Logging
import NIOPosix
import Synchronization
import Wire

extension Replica {
  /// Where what the volumes hold is not known they are read before a session opens: this begins it, or says how far it
  /// is. Nil where everything is known. After the end this replica is loaded anew, with what was found.
  ///
  /// - Throws: `Problem` where it could not be done, once; asking again begins anew.
  func readUnread() throws(Problem) -> Problem? {
    let unread = disks.filter(\.map.isUnread)
    let (reading, isNew) = try state.withLock { state throws(Problem) -> (VolumeReading?, Bool) in
      if let failure = state.readingFailure {
        // Its handles may be dead: the next opening loads it anew.
        (state.reading, state.readingFailure, state.isBroken) = (nil, nil, true)
        throw .volumeRefused(disks[0].grant.volume, "it could not be read anew: \(failure)")
      }
      guard state.reading == nil, !unread.isEmpty else { return (state.reading, false) }
      // The replica keeps it: neither would ever let the volumes go.
      let reading = VolumeReading(disks: unread, workers: threads) { [weak self] in self?.readingEnded($0) }
      state.reading = reading
      return (reading, true)
    }
    guard let reading else { return nil }
    if isNew {
      logger.warning(
        "what the volumes hold is not known; they are read", metadata: ["volume": "\(disks[0].grant.volume)"])
      for _ in 0..<threads { onPool { _ in reading.work() } }
    }
    return .readingVolume("\(disks[0].grant.volume), \(reading.progress) of \(reading.total) leaves")
  }

  private func readingEnded(_ failure: String?) {
    if let failure { logger.error("volumes could not be read anew", metadata: ["error": "\(failure)"]) }
    state.withLock { state in
      state.readingFailure = failure
      // The machine knows the maps as they were.
      if failure == nil { state.isBroken = true }
    }
  }
}
