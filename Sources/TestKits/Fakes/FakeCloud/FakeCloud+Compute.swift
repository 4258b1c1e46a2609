import Foundation
import Machines
import Providers

extension FakeCloud {
  func createMachine(_ id: ResourceID, _ wish: MachineWish, tags: Tags) throws -> Machine {
    try verb("createMachine", id.rawValue) { state, effect in
      try Self.check(id)
      if let known = state.machines[id.rawValue] {
        guard known.value.wish == wish, known.value.tags == tags, known.goneAt == nil else {
          throw ProviderError(.conflict, "machine \(id) exists otherwise")
        }
        return shown(known, state)
      }
      guard !wish.volumes.isEmpty, wish.cpus > 0, wish.memory > 0 else {
        throw ProviderError(.invalid, "machine \(id): volumes, cpus and memory must not be empty")
      }
      for volume in wish.volumes { try usable(ResourceID(rawValue: volume), for: id, state) }
      let forwards = wish.network == .none ? [] : wish.forwardedPorts
      let machine = Machine(
        id: id, wish: wish, state: .creating,
        forwards: forwards.enumerated().map { index, port in
          .init(guestPort: port, address: "127.0.0.1:\(state.nextPort + index)")
        }, tags: tags)
      state.nextPort += forwards.count
      var record = stored(machine)
      record.startedAt = record.readyAt
      state.machines[id.rawValue] = record
      effect = "created machine"
      return shown(record, state)
    }
  }

  func machine(_ id: ResourceID) throws -> Machine? {
    try verb("machine", id.rawValue) { state, _ in
      state.machines[id.rawValue].flatMap { $0.visibleAt <= now() ? shown($0, state) : nil }
    }
  }

  func deleteMachine(_ id: ResourceID) throws {
    try verb("deleteMachine", id.rawValue) { state, effect in
      guard let known = state.machines[id.rawValue], known.goneAt == nil else { return }
      state.machines[id.rawValue]?.goneAt = now() + faults.settings.deleteDelay
      effect = "deleted machine"
    }
  }

  func stopMachine(_ id: ResourceID) throws {
    try verb("stopMachine", id.rawValue) { state, effect in
      let known = try present(id, state)
      guard known.startedAt != nil else { return }
      state.machines[id.rawValue]?.startedAt = nil
      effect = "stopped machine"
    }
  }

  func startMachine(_ id: ResourceID) throws {
    try verb("startMachine", id.rawValue) { state, effect in
      let known = try present(id, state)
      guard shown(known, state).state == .stopped else { return }
      for volume in known.value.wish.volumes { try usable(ResourceID(rawValue: volume), for: id, state) }
      state.machines[id.rawValue]?.startedAt = now()
      effect = "started machine"
    }
  }

  func console(_ id: ResourceID, limit: Int) throws -> [UInt8] {
    try verb("console", id.rawValue) { state, _ in
      let known = try present(id, state)
      let text = known.readyAt <= now() ? state.scripts.text(for: known.value.wish.role) : ""
      return Array(text.utf8.suffix(max(0, limit)))
    }
  }

  func screenshot(_ id: ResourceID) throws -> [UInt8] {
    try verb("screenshot", id.rawValue) { state, _ in
      let known = try present(id, state)
      guard shown(known, state).state == .running else {
        throw ProviderError(.unavailable, "machine \(id) does not run, so it has no screen")
      }
      return Self.picture
    }
  }

  func listMachines(tags: Tags) throws -> [Machine] {
    try verb("listMachines", "") { state, _ in
      state.machines.values.filter { $0.visibleAt <= now() && $0.value.tags.carry(tags) }.map { shown($0, state) }
    }
  }

  /// What consoles of machines started from now on show.
  func setScripts(_ scripts: ConsoleScripts) throws {
    try verb("setScripts", "") { state, effect in
      state.scripts = scripts
      effect = "console scripts set"
    }
  }

  func runningMachine(on volume: ResourceID, _ state: State) -> ResourceID? {
    state.machines.values.first {
      $0.goneAt == nil && $0.value.wish.volumes.contains(volume.rawValue) && shown($0, state).state != .stopped
    }?.value.id
  }

  private func present(_ id: ResourceID, _ state: State) throws -> Stored<Machine> {
    guard let known = state.machines[id.rawValue], known.goneAt == nil else {
      throw ProviderError(.notFound, "there is no machine \(id)")
    }
    return known
  }

  private func usable(_ volume: ResourceID, for machine: ResourceID, _ state: State) throws {
    guard let known = state.volumes[volume.rawValue], known.goneAt == nil else {
      throw ProviderError(.notFound, "there is no volume \(volume)")
    }
    guard known.readyAt <= now() else { throw ProviderError(.unavailable, "volume \(volume) is not ready") }
    guard known.location == nil else { throw ProviderError(.inUse, "volume \(volume) is attached") }
    if let other = runningMachine(on: volume, state), other != machine {
      throw ProviderError(.inUse, "machine \(other) runs on volume \(volume)")
    }
  }

  private func shown(_ record: Stored<Machine>, _ state: State) -> Machine {
    var machine = record.value
    let time = now()
    let ended =
      machine.wish.role == .appliance && record.startedAt.map { $0 + state.scripts.applianceSeconds <= time } ?? true
    machine.state =
      if record.goneAt != nil { .deleting } else if record.readyAt > time {
        .creating
      } else if record.startedAt == nil
        || ended
      { .stopped } else { .running }
    return machine
  }

  /// A PNG of one dark pixel.
  static let picture: [UInt8] = [
    0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A, 0, 0, 0, 0x0D, 0x49, 0x48, 0x44, 0x52, 0, 0, 0, 1, 0, 0, 0, 1, 8, 0,
    0,
    0, 0, 0x3A, 0x7E, 0x9B, 0x55, 0, 0, 0, 0x0A, 0x49, 0x44, 0x41, 0x54, 0x78, 0x9C, 0x63, 0x60, 0, 0, 0, 2, 0, 1, 0x48,
    0xAF, 0xA4, 0x71, 0, 0, 0, 0, 0x49, 0x45, 0x4E, 0x44, 0xAE, 0x42, 0x60, 0x82
  ]
}
