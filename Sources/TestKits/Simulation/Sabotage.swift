/// One rule broken on purpose: the simulation must find each of them, or it proves nothing.
public enum Sabotage: String, CaseIterable, Sendable {
  /// Pending marks are cleared when a frame is acknowledged, not when it is durable.
  case settlesWhenAcknowledged
  /// The live map is cleared before the pending map is marked.
  case clearsBeforeMarking
  /// The gateway does not look at sequences.
  case acceptsStaleSequences
  /// A restarted gateway serves the epoch it served before.
  case acknowledgementsOutliveTheGateway
  /// A session that was asked for late opens over a later one.
  case opensOlderSessions
  /// An epoch is opened while writes of the one before still run.
  case opensWithoutDraining
  /// A leaf written in part is claimed.
  case claimsPartialLeaves
  /// Leaves are claimed, and flushes answered, without flushing the volumes.
  case claimsBeforeFlush
  /// Leaves become unknown in the map only after they are written.
  case marksUnknownAfterWriting
  /// A seal that was asked for before more was sent is taken for one of what is stored now.
  case sealsWhateverIsStored
  /// A seal does not read the volumes.
  case sealsWithoutReadBack
  /// Changed blocks of leaves that the gateway does not hold are not widened.
  case doesNotWiden
  /// After the thaw the disk is read, not the captured memory.
  case readsDiskAfterThaw
  /// The deadline thaws after the seal of a final sync was requested.
  case thawsAfterSealRequest
  /// A cancelled final sync ends although its seal was requested.
  case endsFrozen
  /// The agent does not act on its session's retirement.
  case ignoresRetirement
  /// A session is called retired before that is durable.
  case retiresWithoutStoring
  /// A session that is not the last is called retired though it was sealed.
  case forgetsReceipts
  /// Rounds are made without end while the source writes more than an instant holds.
  case neverGivesUp
  /// A target that reads back something else is sent the same again without end.
  case trustsTheTarget
  /// A sealed replica takes writes.
  case writesAfterSeal
  /// Bytes that were read before the frame had its sequence are sent.
  case sendsEarlierReads
  /// Writes are marked when they are issued, not when they complete.
  case marksWritesWhenIssued
  /// The tracker does not say that it missed writes.
  case hidesTrackingLoss
  /// The freeze does not wait for writes in flight.
  case freezesWithoutWaiting
  /// The watchdog's thaw is not reported.
  case hidesWatchdog
}
