import Foundation
import Source
import Testing

@Suite("Hooks", .timeLimit(.minutes(1)))
struct HooksTests {
  private func withFolder(_ hooks: [String: String], _ body: (String) throws -> Void) throws {
    let folder = "/var/tmp/godwit-test-\(UUID().uuidString.prefix(8))"
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    for (name, script) in hooks {
      try Data("#!/bin/sh\n\(script)\n".utf8).write(to: URL(filePath: folder + "/" + name))
      chmod(folder + "/" + name, 0o755)
    }
    try body(folder)
  }

  @Test("Hooks run in the order of their names, after it in reverse, and what they print is kept")
  func order() throws {
    let hooks = [
      "pre-1": "echo one $1", "pre-2": "echo two", "post-1": "exit 3", "post-2": "echo p", "pre-switch-1": ":"
    ]
    try withFolder(hooks) { folder in
      let hooks = Hooks(folder: folder)
      #expect(hooks.names(for: .preSwitch) == ["pre-switch-1"])
      let before = hooks.run(.pre)
      #expect(before.map(\.name) == ["pre-1", "pre-2"])
      #expect(before.map(\.output) == ["one pre\n", "two\n"])
      #expect(before.map(\.status) == [0, 0])
      let after = hooks.run(.post)
      #expect(after.map(\.name) == ["post-2", "post-1"])
      #expect(after.map(\.status) == [0, 3])
    }
  }

  @Test("A hook that fails ends the row; one that hangs is ended with all it started")
  func failures() throws {
    try withFolder(["pre-1": "echo begun; sleep 600 & wait", "pre-2": ":"]) { folder in
      let outcomes = Hooks(folder: folder, limit: .milliseconds(400)).run(.pre)
      #expect(outcomes.count == 1)
      #expect(outcomes.first?.status == nil)
      #expect(outcomes.first?.output == "begun\n")
    }
  }

  @Test("A hook that others could have written is not run")
  func untrusted() throws {
    try withFolder(["pre-1": "touch \"$0.ran\""]) { folder in
      chmod(folder + "/pre-1", 0o777)
      #expect(Hooks(folder: folder).run(.pre).first?.status == 126)
      #expect(!FileManager.default.fileExists(atPath: folder + "/pre-1.ran"))
    }
    #expect(Hooks(folder: "/nonexistent").run(.pre) == [])
  }
}
