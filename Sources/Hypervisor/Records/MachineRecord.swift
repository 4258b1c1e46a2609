import Machines

/// What is remembered of a machine.
struct MachineRecord: Codable, Sendable {
  var id: String
  var wish: MachineWish
  var tags: [String: String]
  /// What it should be: `running` is recorded only after QEMU was seen to run, `stopped` and `deleting` before it is ended.
  var state: MachineState
  var reason: String?
  var forwards: [PortForward]

  var machine: Machine {
    Machine(id: id, wish: wish, state: state, forwards: forwards, tags: tags, reason: reason)
  }
}
