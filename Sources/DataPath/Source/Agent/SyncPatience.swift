/// How long a sync bears with a gateway that it does not reach.
public struct SyncPatience: Sendable {
  /// Without a sign of life from the other end, before a connection is given up.
  public var silence: Duration = .seconds(60)
  /// Without anything coming through, before the sync ends.
  public var outage: Duration = .seconds(1800)
  public init() {}

  /// For one frame: four of them still come through side by side on a tenth of a megabit a second, and a connection that
  /// is dead is noticed long before.
  var frame: Duration { silence * 10 }
}
