import Testing

@testable import Hypervisor

@Suite struct QMPMessageTests {
  @Test func `what a monitor says is told apart`() throws {
    #expect(try QMPMessage(line: #"{"QMP": {"version": {}, "capabilities": ["oob"]}}"#.utf8) == .greeting)
    #expect(try QMPMessage(line: #"{"return": {}}"#.utf8) == .answer([:]))
    #expect(try QMPMessage(line: #"{"return": [{"a": 1.5}], "id": 3}"#.utf8) == .answer([["a": .number(1.5)]]))
    #expect(
      try QMPMessage(line: #"{"error": {"class": "GenericError", "desc": "no"}}"#.utf8)
        == .refusal(kind: "GenericError", text: "no"))
    #expect(
      try QMPMessage(line: #"{"timestamp": {"seconds": 1, "microseconds": 2}, "event": "SHUTDOWN", "data": {}}"#.utf8)
        == .event("SHUTDOWN"))
  }

  @Test(arguments: ["", "{", "[]", "7", #"{"hello": 1}"#])
  func `what is not QMP is an error`(line: String) {
    #expect(throws: (any Error).self) { try QMPMessage(line: line.utf8) }
  }

  @Test func `a command is one line`() throws {
    let line = try QMPMessage.command("blockdev-add", ["node-name": "a\nb", "size": 5, "on": true])
    #expect(
      String(decoding: line, as: UTF8.self)
        == #"{"arguments":{"node-name":"a\nb","on":true,"size":5},"execute":"blockdev-add"}"# + "\n")
  }

  @Test func `numbers above 2^53 keep their value`() throws {
    let value = try JSONValue(text: Array("9007199254740993".utf8))
    #expect(value == .integer(9_007_199_254_740_993))
    #expect(try value.text == "9007199254740993")
  }
}
