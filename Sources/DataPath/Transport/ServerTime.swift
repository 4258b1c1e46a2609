import Synchronization

/// The time as a server tells it, by which it judges proofs: the source's own clock may be wrong, or be set at any moment.
final class ServerTime: Sendable {
  /// Seconds by which an own clock may differ: what is further away would not fit its certificates either.
  static let most = 86_400
  /// Seconds within which a proof is not refused for its time.
  private static let tolerance = 30

  private let own: @Sendable () -> Int
  private let offset = Mutex(0)

  /// - Parameter own: this machine's clock, in seconds since 1970.
  init(own: @escaping @Sendable () -> Int) { self.own = own }

  /// Seconds since 1970.
  var now: Int { own() + offset.withLock { $0 } }

  /// Takes over the time of an answer that refused a proof.
  /// - Parameter date: seconds since 1970; nil where the server did not say.
  /// - Returns: whether another proof would bear another time.
  func correct(by date: Int?) -> Bool {
    guard let date else { return false }
    let difference = date - own()
    return offset.withLock { offset in
      guard abs(difference) <= Self.most, abs(difference - offset) > Self.tolerance else { return false }
      offset = difference
      return true
    }
  }
}
