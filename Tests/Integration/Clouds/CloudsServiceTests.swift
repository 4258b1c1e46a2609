import Fakes
import Foundation
import Machines
import Providers
import ServiceKit
import Testing
import Wire

@testable import Clouds

@Suite(.timeLimit(.minutes(2))) struct CloudsServiceTests {
  @Test("a volume, its snapshot, a clone, and a machine on it; then everything of the owner goes") func wholeLife()
    async throws
  {
    try await CloudsHarness.run { harness in
      try await harness.service { clouds in
        let client = try clouds.client()
        try await clouds.addTarget()
        #expect(try await clouds.volume("v").state == .creating)
        try await clouds.ready("volumes", "v")
        struct Nothing: Encodable {}
        let place: CloudsAPI.Attachment = try await client.put(clouds.path("volumes/v/attachment"), Nothing())
        #expect(place.location.hasPrefix("file:/"))
        #expect(place.gateway.key == "KEY")
        try await clouds.snapshot("s", of: "v")
        try await clouds.ready("snapshots", "s")
        try await clouds.volume("c", from: "s")
        try await clouds.ready("volumes", "c")
        try await clouds.machine("m", on: "c")
        try await clouds.ready("machines", "m")
        let console = String(decoding: try await client.bytes(clouds.path("machines/m/console")), as: UTF8.self)
        #expect(console.hasSuffix("login: "))
        #expect(try await client.bytes(clouds.path("machines/m/screenshot")).starts(with: [0x89, 0x50, 0x4E, 0x47]))
        let machine: CloudsAPI.Machine = try await client.get(clouds.path("machines/m"))
        #expect(machine.state == .running && machine.forwards.count == 1)

        for (path, user) in [("volumes/v", "attached"), ("snapshots/s", "volume c"), ("volumes/c", "machine m")] {
          let problem = await #expect(throws: Problem.self) { try await client.delete(clouds.path(path)) }
          #expect(problem?.code == "in_use" && problem?.detail.contains(user) == true)
        }
        let leaks: CloudsAPI.Leaks = try await client.get(clouds.path("leaks"))
        #expect(leaks == CloudsAPI.Leaks(unaccounted: [], missing: [], unreachable: [:]))
        try await client.delete(clouds.path("owners/m1"))
        try await clouds.emptyLedger()
        #expect(try await clouds.provider.list(tags: [:]).isEmpty)
        #expect(try await clouds.provider.listMachines(tags: [:]).isEmpty)
        try await client.delete(clouds.path("volumes/v"))
        try await client.delete(clouds.path("targets/fake"))
      }
    }
  }

  @Test("the same wish again changes nothing; another one under the same id is a conflict") func idempotent()
    async throws
  {
    try await CloudsHarness.run { harness in
      try await harness.service { clouds in
        try await clouds.addTarget()
        for _ in 0..<5 { try await clouds.volume("v") }
        try await clouds.ready("volumes", "v")
        try await clouds.volume("v")
        let wish = CloudsAPI.VolumeWish(target: "fake", size: 2 << 20, owner: "m1")
        let problem = await #expect(throws: Problem.self) {
          try await clouds.client().put(clouds.path("volumes/v"), wish, as: CloudsAPI.Volume.self)
        }
        #expect(problem?.code == "conflict")
        #expect(try await clouds.creations().count == 1)
      }
    }
  }

  @Test("another tenant sees nothing, and cannot build on what it does not see") func tenants() async throws {
    try await CloudsHarness.run { harness in
      try await harness.service { clouds in
        try await clouds.addTarget()
        try await clouds.volume("v")
        try await clouds.ready("volumes", "v")
        let stranger = try clouds.client(tenant: "t2")
        for path in ["volumes/v", "targets/fake", "ledger", "leaks", "machines/m", "volumes/v/attachment"] {
          let problem = await #expect(throws: Problem.self) { try await stranger.bytes(clouds.path(path)) }
          #expect(problem?.status == 404)
        }
        try await clouds.addTarget(tenant: "t2")
        let theirs: [CloudsAPI.LedgerEntry] = try await stranger.get(clouds.path("ledger", tenant: "t2"))
        #expect(theirs.isEmpty)
        let wish = CloudsAPI.SnapshotWish(target: "fake", volume: "v", owner: "x")
        let problem = await #expect(throws: Problem.self) {
          try await stranger.put(clouds.path("snapshots/s", tenant: "t2"), wish, as: CloudsAPI.Snapshot.self)
        }
        #expect(problem?.status == 404)
        let anonymous = try RESTClient(name: "clouds", endpoint: .unix(path: clouds.socket))
        let refused = await #expect(throws: Problem.self) { try await anonymous.bytes(clouds.path("ledger")) }
        #expect(refused?.status == 401)
      }
    }
  }

  @Test("with errors, throttling and lost answers, everything is made once and nothing is left") func faults()
    async throws
  {
    try await CloudsHarness.run { harness in
      try await harness.service { clouds in
        try await clouds.addTarget()
        var faults = Faults()
        (faults.errorRate, faults.throttleRate, faults.lostAnswerRate) = (0.15, 0.15, 0.2)
        (faults.visibilityDelay, faults.createDelay, faults.deleteDelay) = (0.05, 0.05, 0.03)
        try await clouds.admin.set(faults)
        for index in 0..<8 {
          try await clouds.volume("v\(index)")
          try await clouds.snapshot("s\(index)", of: "v\(index)")
          try await clouds.volume("c\(index)", from: "s\(index)")
          try await clouds.machine("m\(index)", on: "c\(index)")
        }
        for index in 0..<8 { try await clouds.ready("machines", "m\(index)") }
        let made = try await clouds.creations()
        #expect(made.count == 32)
        #expect(made.values.allSatisfy { $0 == 1 })
        try await clouds.client().delete(clouds.path("owners/m1"))
        try await clouds.emptyLedger()
        let hits = try await clouds.admin.hits()
        #expect(hits.errors > 0 && hits.throttles > 0 && hits.lostAnswers > 0)
        try await clouds.admin.set(Faults())
        try await clouds.wait(for: "an empty cloud") {
          let (stored, machines) = (
            try await clouds.provider.list(tags: [:]), try await clouds.provider.listMachines(tags: [:])
          )
          return stored.isEmpty && machines.isEmpty ? () : nil
        }
      }
    }
  }

  @Test("killed and started again at any moment, it neither loses nor doubles anything") func restarts() async throws {
    try await CloudsHarness.run { harness in
      var faults = Faults()
      (faults.lostAnswerRate, faults.createDelay) = (0.3, 0.03)
      try await harness.admin.set(faults)
      try await harness.service { clouds in
        try await clouds.addTarget()
        for index in 0..<6 {
          try await clouds.volume("v\(index)")
          try await clouds.snapshot("s\(index)", of: "v\(index)")
        }
      }
      for round in 0..<12 {
        try await harness.service { _ in try await Task.sleep(for: .milliseconds(5 * round)) }
      }
      try await harness.service { clouds in
        for index in 0..<6 { try await clouds.ready("snapshots", "s\(index)") }
        let made = try await clouds.creations()
        #expect(made.count == 12)
        #expect(made.values.allSatisfy { $0 == 1 })
        #expect(try await clouds.admin.hits().lostAnswers > 0)
        try await clouds.client().delete(clouds.path("owners/m1"))
      }
      for round in 0..<12 {
        try await harness.service { _ in try await Task.sleep(for: .milliseconds(5 * round)) }
      }
      try await harness.service { clouds in
        try await clouds.emptyLedger()
        try await clouds.admin.set(Faults())
        #expect(try await clouds.provider.list(tags: [:]).isEmpty)
      }
    }
  }

  @Test("what expires is removed; a later expiry asked for in time keeps it") func expiry() async throws {
    try await CloudsHarness.run { harness in
      try await harness.service { clouds in
        try await clouds.addTarget()
        try await clouds.volume("a")
        try await clouds.volume("b")
        let now = Int(clouds.clock.now)
        try await clouds.machine("short", on: "a", expiresAt: now + 1000)
        try await clouds.machine("long", on: "b", expiresAt: now + 1000)
        try await clouds.ready("machines", "short")
        try await clouds.ready("machines", "long")
        try await clouds.machine("long", on: "b", expiresAt: now + 100_000)
        clouds.clock.advance(by: 1001)
        try await clouds.wait(for: "the end of the short one") {
          let machine: CloudsAPI.Machine? = try await clouds.client().find(clouds.path("machines/short"))
          return machine == nil ? () : nil
        }
        let long: CloudsAPI.Machine = try await clouds.client().get(clouds.path("machines/long"))
        #expect(long.state == .running)
        let volume: CloudsAPI.Volume = try await clouds.client().get(clouds.path("volumes/a"))
        #expect(volume.state == .ready)
      }
    }
  }

  @Test("an appliance that ends by itself is seen stopped and not started again; power is obeyed") func power()
    async throws
  {
    try await CloudsHarness.run { harness in
      try await harness.service { clouds in
        try await clouds.addTarget()
        try await clouds.admin.set(ConsoleScripts(applianceSeconds: 0.2))
        try await clouds.volume("v")
        try await clouds.machine("a", on: "v", role: .appliance)
        let state: @Sendable (String) async throws -> MachineState = {
          try await clouds.client().get(clouds.path("machines/\($0)"), as: CloudsAPI.Machine.self).state
        }
        try await clouds.wait(for: "the appliance's end") { try await state("a") == .stopped ? () : nil }
        let console = String(
          decoding: try await clouds.client().bytes(clouds.path("machines/a/console")), as: UTF8.self)
        #expect(console.hasPrefix("GODWIT-REPAIR-REPORT {") && console.contains("GODWIT-REPAIR-END"))
        try await clouds.volume("w")
        try await clouds.machine("g", on: "w")
        try await clouds.wait(for: "the guest") { try await state("g") == .running ? () : nil }
        try await clouds.client().post(clouds.path("machines/g/power"), CloudsAPI.Power(action: .stop))
        try await clouds.wait(for: "the stop") { try await state("g") == .stopped ? () : nil }
        try await clouds.client().post(clouds.path("machines/g/power"), CloudsAPI.Power(action: .start))
        try await clouds.wait(for: "the start") { try await state("g") == .running ? () : nil }
        #expect(try await state("a") == .stopped)
      }
    }
  }

  @Test("leaks names what the ledger does not know and what is gone, and deletes nothing") func leaks() async throws {
    try await CloudsHarness.run { harness in
      try await harness.service { clouds in
        try await clouds.addTarget()
        try await clouds.volume("kept")
        try await clouds.volume("lost")
        try await clouds.ready("volumes", "kept")
        try await clouds.ready("volumes", "lost")
        let rows: [CloudsAPI.LedgerEntry] = try await clouds.client().get(clouds.path("ledger?owner=m1"))
        #expect(rows.count == 2)
        let key = try #require(rows.first { $0.id == "lost" }?.key)
        let kept = ResourceID(rawValue: try #require(rows.first { $0.id == "kept" }?.key))
        let tags = try #require(try await clouds.provider.volume(kept)?.tags)
        try await clouds.provider.deleteVolume(ResourceID(rawValue: key))
        _ = try await clouds.provider.createVolume(ResourceID(rawValue: "stray"), size: 512, from: nil, tags: tags)
        var foreign = tags
        foreign["godwit-installation"] = "another"
        _ = try await clouds.provider.createVolume(ResourceID(rawValue: "foreign"), size: 512, from: nil, tags: foreign)
        let leaks: CloudsAPI.Leaks = try await clouds.client().get(clouds.path("leaks"))
        #expect(leaks.unaccounted.map(\.key) == ["stray"])
        #expect(leaks.missing.map(\.id) == ["lost"])
        #expect(leaks.unreachable.isEmpty)
        #expect(try await clouds.provider.volume(ResourceID(rawValue: "stray")) != nil)
      }
    }
  }

  @Test("a wrong secret is said, and mended by entering the right one") func credentials() async throws {
    try await CloudsHarness.run { harness in
      try await harness.service { clouds in
        let wrong = CloudsAPI.TargetWish(provider: "fake", endpoint: clouds.endpoint, secret: "wrong")
        _ = try await clouds.client().put(clouds.path("targets/fake"), wrong, as: CloudsAPI.Target.self)
        try await clouds.volume("v")
        try await clouds.wait(for: "the problem") {
          let volume: CloudsAPI.Volume = try await clouds.client().get(clouds.path("volumes/v"))
          return volume.problem?.code == "target_credentials" && volume.state == .creating ? () : nil
        }
        try await clouds.addTarget()
        try await clouds.ready("volumes", "v")
        let volume: CloudsAPI.Volume = try await clouds.client().get(clouds.path("volumes/v"))
        #expect(volume.problem == nil)
      }
      let files = FileManager.default.enumerator(atPath: harness.folder + "/clouds")
      var searched = 0
      while let file = files?.nextObject() as? String {
        guard let data = FileManager.default.contents(atPath: harness.folder + "/clouds/" + file) else { continue }
        searched += 1
        #expect(data.range(of: Data(CloudsHarness.canary.utf8)) == nil, "the secret lies open in \(file)")
      }
      #expect(searched > 0)
    }
  }

  @Test("an object that can never be made is failed, and can be deleted") func hopeless() async throws {
    try await CloudsHarness.run { harness in
      try await harness.service { clouds in
        try await clouds.addTarget()
        try await clouds.volume("v")
        try await clouds.ready("volumes", "v")
        try await clouds.snapshot("s", of: "v")
        try await clouds.ready("snapshots", "s")
        let wish = CloudsAPI.VolumeWish(target: "fake", size: 512, fromSnapshot: "s", owner: "m1")
        _ = try await clouds.client().put(clouds.path("volumes/small"), wish, as: CloudsAPI.Volume.self)
        try await clouds.wait(for: "the failure") {
          let volume: CloudsAPI.Volume = try await clouds.client().get(clouds.path("volumes/small"))
          return volume.state == .failed && volume.problem?.code == "target_invalid" ? () : nil
        }
        try await clouds.client().delete(clouds.path("volumes/small"))
        try await clouds.wait(for: "its end") {
          try await clouds.client().find(clouds.path("volumes/small"), as: CloudsAPI.Volume.self) == nil ? () : nil
        }
      }
    }
  }
}
