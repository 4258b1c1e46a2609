/// Where the agent lives on a source. The repair of a clone removes all of it.
public struct AgentPlaces: Sendable {
  public var program = "/usr/local/sbin/godwit-agent"
  public var state = "/var/lib/godwit-agent"
  public var unit = "/etc/systemd/system/godwit-agent.service"
  public var configuration = "/etc/godwit-agent"
  /// Survives the agent, not the machine, and is never on a filesystem that freezes.
  public var volatile = "/run/godwit-agent"

  /// Pins of the tracking, where a BPF filesystem is mounted.
  public var pins = "/sys/fs/bpf/godwit"

  public init() {}

  var identity: String { state + "/identity.json" }
  /// Names the session whose final seal was requested: from then on nothing thaws any more.
  public var committed: String { volatile + "/final-seal" }
  public var hooks: String { configuration + "/hooks.d" }
  /// There while post hooks are owed for pre hooks that ran.
  public var owedHooks: String { volatile + "/post-hooks-owed" }

  /// What pending marks mean, see `SyncMemories`; beside the note of the tracking, whose marks they are.
  public var memory: String { volatile + "/memory.json" }

  func trackingKeeper(owner: String) -> TrackingKeeper {
    TrackingKeeper(
      pins: pins, ownMount: volatile + "/bpf", note: volatile + "/tracking.json", owner: owner, memory: memory)
  }
}
