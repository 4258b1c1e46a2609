import Foundation
import Logging
import Logs
import Synchronization
import Testing

@Suite struct JSONLogHandlerTests {
  private final class Lines: Sendable {
    let all = Mutex<[String]>([])
  }

  private func line(_ log: (Logger) -> Void) throws -> (text: String, fields: [String: String]) {
    let lines = Lines()
    let logger = Logger(label: "test") { label in
      JSONLogHandler(label: label) { line in lines.all.withLock { $0.append(line) } }
    }
    log(logger)
    let all = lines.all.withLock { $0 }
    try #require(all.count == 1)
    let object = try JSONSerialization.jsonObject(with: Data(all[0].utf8))
    return (all[0], try #require(object as? [String: String]))
  }

  @Test(
    "whatever is logged stays one line of JSON",
    arguments: [
      "a\nb", "\r\n{\"level\":\"error\"}", "quote\"}\n{\"x\":\"", "\u{1B}[2J\u{1B}]0;title\u{7}", "back\\slash\\",
      "\u{2028}\u{2029}\u{85}", "\u{0}\u{1}\u{7F}\u{9B}", "</script>", "日本語 🦤", "\t\u{8}\u{C}"
    ])
  func injection(_ hostile: String) throws {
    let (text, fields) = try line { $0.info("\(hostile)", metadata: ["host": .string(hostile), "\(hostile)": "key"]) }
    #expect(text.hasSuffix("}\n"))
    #expect(!text.dropLast().contains { $0.isNewline })
    #expect(!text.dropLast().unicodeScalars.contains { $0.value < 0x20 || (0x7F...0x9F).contains($0.value) })
    #expect(fields["msg"] == hostile)
    #expect(fields["host"] == hostile)
    #expect(fields["level"] == "info")
  }

  @Test("metadata cannot replace the line's own fields") func reserved() throws {
    let (_, fields) = try line { $0.warning("real", metadata: ["level": "debug", "msg": "forged", "ts": "never"]) }
    #expect(fields["level"] == "warning")
    #expect(fields["msg"] == "real")
    #expect(fields["_msg"] == "forged")
  }

  @Test("values under secret-sounding keys are withheld, nested ones too") func secrets() throws {
    let (text, _) = try line {
      $0.info("x", metadata: ["admin.token": "canary1", "target": ["secret": "canary2", "id": "t"]])
    }
    #expect(!text.contains("canary"))
    #expect(text.contains("[withheld]"))
  }

  @Test("a very long value is cut") func long() throws {
    let (text, _) = try line { $0.info("x", metadata: ["value": .string(String(repeating: "y", count: 1 << 20))]) }
    #expect(text.utf8.count < 2 * JSONLogHandler.maximumValue)
  }
}
