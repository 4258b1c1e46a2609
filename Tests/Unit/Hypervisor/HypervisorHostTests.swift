import FoundationEssentials
import Glibc
import Testing

@testable import Hypervisor

/// What the engine asks of the host: processes, folders, ports, secrets.
@Suite struct HypervisorHostTests {
  @Test func `this process is alive, and an id with another start time is not it`() throws {
    let me = try #require(HostProcess(pid: getpid()))
    #expect(me.isAlive && me.age >= 0 && me.age < 86400)
    let recycled = try JSONDecoder().decode(
      HostProcess.self, from: Data(#"{"pid":\#(me.pid),"startTime":\#(me.startTime - 1)}"#.utf8))
    #expect(!recycled.isAlive)
    recycled.kill()
    #expect(me.isAlive)
  }

  @Test func `a process is found by a whole argument only`() throws {
    let mine = try #require(CommandLine.arguments.first)
    #expect(HostProcess.all(withArgument: mine).contains { $0.pid == getpid() })
    #expect(!HostProcess.all(withArgument: String(mine.dropLast())).contains { $0.pid == getpid() })
  }

  @Test func `sockets fit in their address, however deep the state folder lies`() throws {
    let scratch = try HypervisorScratchFolder()
    let deep = scratch.path + "/" + String(repeating: "d", count: 100)
    let folder = try StateFolder(path: deep)
    defer { try? FileManager.default.removeItem(atPath: folder.runPath) }
    #expect(folder.runPath.hasPrefix("/tmp/godwit-"))
    #expect(folder.volumeRun("v").longestPath.utf8.count <= StateFolder.longestSocketPath)
    #expect(try StateFolder(path: scratch.path).runPath.hasPrefix(scratch.path))
  }

  @Test func `a folder that others can enter is refused`() throws {
    let scratch = try HypervisorScratchFolder()
    chmod(scratch.path, 0o755)
    #expect(throws: HypervisorError.self) { try StateFolder(path: scratch.path) }
  }

  @Test func `a link in place of a folder is refused`() throws {
    let scratch = try HypervisorScratchFolder()
    symlink("/tmp", scratch.path + "/link")
    #expect(throws: HypervisorError.self) { try StateFolder.makePrivate(scratch.path + "/link") }
  }

  @Test func `records come back, and half-written ones are removed`() throws {
    let scratch = try HypervisorScratchFolder()
    let folder = RecordFolder<[String: Int]>(path: scratch.path)
    try folder.store(["a": 1], id: "one")
    try folder.store(["a": 2], id: "one")
    try DurableFile.write(Array("{".utf8), to: scratch.path + "/two.json.part")
    #expect(try folder.all() == ["one": ["a": 2]])
    #expect(try DurableFile.names(in: scratch.path) == ["one.json"])
    try folder.remove(id: "one")
    try folder.remove(id: "one")
    #expect(try folder.all().isEmpty)
  }

  @Test func `an unreadable record stops the start instead of being forgotten`() throws {
    let scratch = try HypervisorScratchFolder()
    try DurableFile.write(Array("{".utf8), to: scratch.path + "/one.json")
    #expect(throws: HypervisorError.self) { try RecordFolder<[String: Int]>(path: scratch.path).all() }
  }

  @Test func `only one daemon has a state folder`() throws {
    let scratch = try HypervisorScratchFolder()
    let first = try InstanceLock(path: scratch.path + "/lock")
    #expect(throws: HypervisorError.self) { try InstanceLock(path: scratch.path + "/lock") }
    withExtendedLifetime(first) {}
  }

  @Test func `free ports are different`() throws {
    let ports = try LoopbackPorts.free(20)
    #expect(Set(ports).count == 20 && ports.allSatisfy { (1024...65535).contains($0) })
  }

  @Test func `the console's tail is its last bytes`() throws {
    let scratch = try HypervisorScratchFolder()
    let path = scratch.path + "/console"
    #expect(try ConsoleLog.tail(path, limit: 10) == [])
    try DurableFile.write(Array("0123456789".utf8), to: path)
    #expect(try ConsoleLog.tail(path, limit: 4) == Array("6789".utf8))
    #expect(try ConsoleLog.tail(path, limit: 100) == Array("0123456789".utf8))
    #expect(try ConsoleLog.tail(path, limit: 0) == [])
  }

  @Test func `only the right token matches`() {
    let token = BearerToken("0123456789abcdef")
    #expect(token.matches("Bearer 0123456789abcdef"))
    for wrong in [nil, "", "Bearer ", "0123456789abcdef", "Bearer 0123456789abcdeg", "Bearer 0123456789abcdef "] {
      #expect(!token.matches(wrong))
    }
  }

  @Test func `a token file that others can read, or that is too short, is refused`() throws {
    let scratch = try HypervisorScratchFolder()
    let path = scratch.path + "/token"
    try DurableFile.write(Array("short\n".utf8), to: path)
    #expect(throws: HypervisorError.self) { try BearerToken(file: path) }
    try DurableFile.write(Array("0123456789abcdef\n".utf8), to: path)
    #expect(try BearerToken(file: path).matches("Bearer 0123456789abcdef"))
    chmod(path, 0o644)
    #expect(throws: HypervisorError.self) { try BearerToken(file: path) }
  }

  @Test(arguments: ["127.0.0.1:0", "127.0.0.1:8080", "[::1]:1", "unix:/run/x"])
  func `this host's own addresses can be listened on`(text: String) throws {
    _ = try ListenAddress(text)
  }

  @Test(arguments: ["0.0.0.0:80", "[::]:80", "example.org:80", "10.0.0.1:1", "127.0.0.1", "unix:x", ":80", "80"])
  func `others cannot`(text: String) {
    #expect(throws: HypervisorError.self) { try ListenAddress(text) }
  }
}
