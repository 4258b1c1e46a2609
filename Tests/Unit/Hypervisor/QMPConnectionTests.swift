import Glibc
import Testing

@testable import Hypervisor

@Suite(.timeLimit(.minutes(1))) struct QMPConnectionTests {
  static let greeting = #"{"QMP": {"version": {}, "capabilities": []}}"# + "\r\n"
  static let done = #"{"return": {}}"# + "\r\n"

  @Test func `events between command and answer are passed over`() throws {
    let monitor = try ScriptedMonitor([Self.greeting, Self.done, #"{"event": "RESUME"}"# + "\r\n" + Self.done])
    var connection = try QMPConnection.open(monitor.path)
    #expect(try connection.execute("cont") == [:])
    #expect(monitor.heard() == ["qmp_capabilities", "cont"])
  }

  @Test func `an answer may come in pieces`() throws {
    let monitor = try ScriptedMonitor([Self.greeting, Self.done, #"{"return": "a"}"# + "\n"], chunk: 3)
    var connection = try QMPConnection.open(monitor.path)
    #expect(try connection.execute("x") == "a")
  }

  @Test func `a refusal carries QEMU's words`() throws {
    let monitor = try ScriptedMonitor([
      Self.greeting, Self.done, #"{"error": {"class": "GenericError", "desc": "Node in use"}}"# + "\n"
    ])
    var connection = try QMPConnection.open(monitor.path)
    do {
      try connection.execute("blockdev-del")
      Issue.record("the refusal was not thrown")
    } catch let error as HypervisorError {
      #expect(error.code == .failed)
      #expect(error.message.contains("Node in use") && error.message.contains("blockdev-del"))
    }
  }

  @Test func `a monitor that says nothing is given up in time`() throws {
    let monitor = try ScriptedMonitor([""])
    let started = ContinuousClock.now
    #expect(throws: HypervisorError.self) { _ = try QMPConnection.open(monitor.path, limit: .milliseconds(200)) }
    #expect(ContinuousClock.now - started < .seconds(20))
  }

  @Test func `a monitor that hangs up is unavailable`() throws {
    let monitor = try ScriptedMonitor([Self.greeting])
    do {
      _ = try QMPConnection.open(monitor.path)
      Issue.record("the broken connection was not noticed")
    } catch let error as HypervisorError {
      #expect(error.code == .unavailable)
    }
  }

  @Test func `nobody listening is unavailable`() throws {
    do {
      _ = try QMPConnection.open("/var/tmp/godwit-no-such-socket")
      Issue.record("connected to nothing")
    } catch let error as HypervisorError {
      #expect(error.code == .unavailable)
    }
  }
}
