/// A whole migration in a tiny world that loses, doubles, delays and reorders messages, and whose agent, gateway and
/// power fail at any moment; every rule of replication is checked on the way.
public enum Simulation {
  /// Runs one migration: a full sync, perhaps some more, and the final one of a switch.
  /// - Parameters:
  ///   - seed: decides everything; the same seed runs the same way.
  ///   - sabotage: a rule to break.
  ///   - trace: is told every event and action, for the replay of a seed.
  /// - Throws: `Violation` where a rule did not hold.
  public static func run(seed: UInt64, sabotage: Sabotage? = nil, trace: ((String) -> Void)? = nil) throws
    -> Report
  {
    let world = World(seed: seed, sabotage: sabotage)
    world.trace = trace
    return try world.run()
  }
}
