import Machines
import Testing
import Wire

@testable import Console

@Suite struct PreflightTests {
  private static let target = CloudsAPI.Target(id: "local", provider: "local", endpoint: "unix:/x", hasSecret: true)

  private func source(online: Bool = true, _ change: (inout MachineDescription) -> Void = { _ in })
    -> MigrationAPI.Source
  {
    var machine = MachineDescription(
      hostname: "web", architecture: "x86_64", firmware: .bios, kernel: "6.1",
      distribution: .init(id: "debian", version: "12", name: "Debian 12"), cpus: 2, memory: 1 << 30,
      disks: [
        .init(
          name: "sda", size: 8 << 30, sectorSize: 512, partitionTable: "gpt", partitions: [], serial: "",
          identity: "serial:1")
      ],
      filesystems: [.init(device: "sda1", type: "ext4", uuid: "u", mountPoint: "/", used: 1 << 30)],
      networkInterfaces: [], stackedDevices: [])
    change(&machine)
    return .init(
      id: "src-1", name: "web", machine: machine, agentVersion: "1", identity: "t", enrolledAt: 0, lastSeenAt: 0,
      online: online, problem: nil)
  }

  private func level(_ source: MigrationAPI.Source, targets: [CloudsAPI.Target] = [target], _ key: String) -> String? {
    Preflight(source, targets: targets, migrations: []).checks.first { $0.key == key }?.level.rawValue
  }

  @Test("a plain machine may start, and every check of it is good")
  func plain() {
    let preflight = Preflight(source(), targets: [Self.target], migrations: [])
    #expect(preflight.mayStart && preflight.worst == .ok)
    #expect(source().machine.bytesInUse == 1 << 30)
  }

  @Test("what keeps a machine from moving stops it, before the first byte")
  func stops() {
    #expect(level(source(online: false), "offline") == "stop")
    #expect(level(source { $0.architecture = "aarch64" }, "architecture_other") == "stop")
    #expect(level(source { $0.disks = [] }, "no_disks") == "stop")
    #expect(level(source(), targets: [], "no_target") == "stop")
    var doubled = source()
    doubled.problem = Problem(code: "identity_twice", status: 409, detail: "", remedy: "")
    #expect(level(doubled, "twice") == "stop")
    #expect(!Preflight(doubled, targets: [Self.target], migrations: []).mayStart)
  }

  @Test("what may surprise is noted, with the worst first")
  func notes() {
    let strange = source {
      $0.filesystems.append(.init(device: "sdb1", type: "ntfs", uuid: "v", mountPoint: "/mnt", used: nil))
      $0.stackedDevices = [.init(name: "dm-0", kind: "crypt", disks: ["sda"])]
      $0.disks[0].identity = nil
    }
    let preflight = Preflight(strange, targets: [Self.target], migrations: [])
    #expect(preflight.mayStart && preflight.worst == .warn)
    #expect(preflight.checks.prefix(3).allSatisfy { $0.level == .warn })
  }

  private func migration(_ state: MigrationAPI.State, paused: Bool = false) -> MigrationAPI.Migration {
    .init(
      id: "m", name: "web", source: "src-1", target: "local", state: state, paused: paused, problem: nil, schedule: nil,
      retention: 3, limits: .init(), disks: [], createdAt: 0, lastPointAt: nil, nextSyncAt: nil, activeSync: nil,
      switchedAt: nil, switchLaunch: nil, rollbackStatement: nil)
  }

  @Test("a machine that moves already is not moved twice; one that has moved may be")
  func twice() {
    #expect(!Preflight(source(), targets: [Self.target], migrations: [migration(.copying)]).mayStart)
    #expect(Preflight(source(), targets: [Self.target], migrations: [migration(.done)]).mayStart)
  }

  @Test("there is one next step, and it is the one that leads on")
  func steps() {
    #expect(NextStep.of(migration(.copying), isTested: false) == .wait)
    #expect(NextStep.of(migration(.insync), isTested: false) == .test)
    #expect(NextStep.of(migration(.insync), isTested: true) == .switch)
    #expect(NextStep.of(migration(.testing), isTested: false) == .look)
    #expect(NextStep.of(migration(.testing), isTested: true) == .switch)
    #expect(NextStep.of(migration(.insync, paused: true), isTested: true) == .resume)
    #expect(NextStep.of(migration(.ready), isTested: true) == .switch)
    var switched = migration(.switching, paused: true)
    switched.switchedAt = 1
    #expect(NextStep.of(switched, isTested: true) == .finish)
    #expect(NextStep.of(migration(.attention), isTested: true) == .fix)
    #expect(NextStep.of(migration(.done), isTested: true) == .proof)
  }
}
