import Machines
import Providers

extension ProviderRules {
  public static let compute: [ProviderRule] = [
    machineRule("creating a machine twice with the same wishes makes one, with other wishes is a conflict") { scope in
      let volume = try await scope.readyVolume("v")
      let wish = scope.wish([volume.id])
      _ = try await scope.compute.createMachine(scope.id("m"), wish, tags: scope.tags)
      let again = try await scope.compute.createMachine(scope.id("m"), wish, tags: scope.tags)
      try scope.require(again.id == scope.id("m") && again.wish == wish, "the second answer is another machine")
      var other = wish
      other.cpus = 2
      try await scope.expect(.conflict, when: "the same id with two processors") { [other] in
        _ = try await scope.compute.createMachine(scope.id("m"), other, tags: scope.tags)
      }
      let running = try await scope.machine("m", is: .running)
      try scope.require(running.wish == wish && running.tags == scope.tags, "it is described otherwise")
      let listed = try await scope.compute.listMachines(tags: scope.tags)
      try scope.require(listed.count == 1, "\(listed.count) machines exist")
    },
    machineRule("a forwarded port has an address while the machine runs") { scope in
      let volume = try await scope.readyVolume("v")
      _ = try await scope.compute.createMachine(scope.id("m"), scope.wish([volume.id]), tags: scope.tags)
      let machine = try await scope.machine("m", is: .running)
      try scope.require(
        machine.forwards.count == 1 && machine.forwards[0].guestPort == 22
          && machine.forwards[0].address.split(separator: ":").last.flatMap { UInt16($0) } != nil,
        "its forwards are \(machine.forwards)")
    },
    machineRule("a machine that does not exist is nil, and cannot be stopped or looked at") { scope in
      let none = try await scope.compute.machine(scope.id("none"))
      try scope.require(none == nil, "it was found")
      try await scope.expect(.notFound, when: "stopping nothing") {
        try await scope.compute.stopMachine(scope.id("none"))
      }
      try await scope.expect(.notFound, when: "starting nothing") {
        try await scope.compute.startMachine(scope.id("none"))
      }
      try await scope.expect(.notFound, when: "the console of nothing") {
        _ = try await scope.compute.console(scope.id("none"), limit: 1)
      }
    },
    machineRule("a machine on a volume that does not exist is refused") { scope in
      try await scope.expect(.notFound, when: "creating it") {
        _ = try await scope.compute.createMachine(scope.id("m"), scope.wish([scope.id("none")]), tags: scope.tags)
      }
      let machine = try await scope.compute.machine(scope.id("m"))
      try scope.require(machine == nil, "the refused machine exists")
    },
    machineRule("stopped, a machine stays and starts again on the same volumes; both may be repeated") { scope in
      let volume = try await scope.readyVolume("v")
      _ = try await scope.compute.createMachine(scope.id("m"), scope.wish([volume.id]), tags: scope.tags)
      _ = try await scope.machine("m", is: .running)
      try await scope.compute.stopMachine(scope.id("m"))
      try await scope.compute.stopMachine(scope.id("m"))
      _ = try await scope.machine("m", is: .stopped)
      try await scope.compute.startMachine(scope.id("m"))
      try await scope.compute.startMachine(scope.id("m"))
      let machine = try await scope.machine("m", is: .running)
      try scope.require(machine.wish.volumes == [volume.id.rawValue], "it runs on \(machine.wish.volumes)")
    },
    machineRule("deleting a machine is final and repeatable, and leaves its volumes") { scope in
      let volume = try await scope.readyVolume("v")
      _ = try await scope.compute.createMachine(scope.id("m"), scope.wish([volume.id]), tags: scope.tags)
      _ = try await scope.machine("m", is: .running)
      try await scope.compute.deleteMachine(scope.id("m"))
      try await scope.compute.deleteMachine(scope.id("m"))
      try await scope.wait(for: "the end of the machine") {
        try await scope.compute.machine(scope.id("m")) == nil ? () : nil
      }
      try await scope.compute.deleteMachine(scope.id("m"))
      let after = try await scope.storage.volume(volume.id)
      try scope.require(after?.state == .ready, "the volume went with it")
    },
    machineRule("a volume that a machine runs on cannot be deleted") { scope in
      let volume = try await scope.readyVolume("v")
      _ = try await scope.compute.createMachine(scope.id("m"), scope.wish([volume.id]), tags: scope.tags)
      _ = try await scope.machine("m", is: .running)
      try await scope.expect(.inUse, when: "deleting the volume") { try await scope.storage.deleteVolume(volume.id) }
    },
    machineRule("the console answers at most the bytes asked for, the last ones") { scope in
      let volume = try await scope.readyVolume("v")
      _ = try await scope.compute.createMachine(scope.id("m"), scope.wish([volume.id]), tags: scope.tags)
      _ = try await scope.machine("m", is: .running)
      let few = try await scope.compute.console(scope.id("m"), limit: 5)
      try scope.require(few.count <= 5, "\(few.count) bytes came instead of 5")
      _ = try await scope.compute.console(scope.id("m"), limit: 1 << 20)
    },
    machineRule("the screenshot of a running machine is a PNG") { scope in
      let volume = try await scope.readyVolume("v")
      _ = try await scope.compute.createMachine(scope.id("m"), scope.wish([volume.id]), tags: scope.tags)
      _ = try await scope.machine("m", is: .running)
      let picture = try await scope.compute.screenshot(scope.id("m"))
      try scope.require(picture.starts(with: [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A]), "it is not")
    },
    machineRule("machines are listed by tags: all of them must match") { scope in
      let volume = try await scope.readyVolume("v")
      let more = scope.tags.merging(["godwit-owner": "someone"]) { $1 }
      _ = try await scope.compute.createMachine(scope.id("m"), scope.wish([volume.id]), tags: more)
      _ = try await scope.machine("m", is: .running)
      let found = try await scope.compute.listMachines(tags: more)
      try scope.require(found.map(\.id) == [scope.id("m")], "\(found.map(\.id)) were found")
      let other = try await scope.compute.listMachines(tags: more.merging(["godwit-owner": "another"]) { $1 })
      try scope.require(other.isEmpty, "a machine with other tags was found")
    }
  ]

  private static func machineRule(
    _ sentence: String, _ check: @escaping @Sendable (RuleScope) async throws -> Void
  ) -> ProviderRule {
    ProviderRule(sentence: sentence) { scope in
      guard scope.subject.checksCompute else { throw RuleSkipped(description: "machines are not checked here") }
      try await check(scope)
    }
  }
}
