import Foundation
import Testing
import Wire

@testable import Console

/// The words of the console. Files are read from the source tree: what is tested is what is written.
@Suite struct CatalogueTests {
  private static let room = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent().deletingLastPathComponent()
    .appendingPathComponent("Sources/ControlPath/Services/Console")

  private func catalogue(_ language: Language) throws -> Catalogue {
    let file = Self.room.appendingPathComponent("Resources/text/\(language.rawValue).json")
    return try Catalogue(language, json: Array(try Data(contentsOf: file)))
  }

  private func files(_ folder: String, _ suffix: String) throws -> [String] {
    let all = FileManager.default.enumerator(
      at: Self.room.appendingPathComponent(folder), includingPropertiesForKeys: nil)
    let found = (all?.allObjects as? [URL] ?? []).filter { $0.lastPathComponent.hasSuffix(suffix) }
    #expect(found.count > 2)
    return try found.map { try String(contentsOf: $0, encoding: .utf8) }
  }

  @Test("both languages have the same keys, and the same places in each text")
  func parity() throws {
    let (english, chinese) = (try catalogue(.english), try catalogue(.chinese))
    #expect(english.sections.keys.sorted() == chinese.sections.keys.sorted())
    for (section, words) in english.sections {
      let others = try #require(chinese.sections[section])
      #expect(words.keys.sorted() == others.keys.sorted(), "\(section)")
      for (key, text) in words {
        let places = Set(text.matches(of: /\{[a-z]+\}/).map { String($0.output) })
        let other = others[key] ?? ""
        #expect(places == Set(other.matches(of: /\{[a-z]+\}/).map { String($0.output) }), "\(section).\(key)")
        #expect(!text.isEmpty && !other.isEmpty, "\(section).\(key)")
      }
    }
  }

  @Test("Chinese is written with full-width punctuation only, as escapes")
  func punctuation() throws {
    let file = Self.room.appendingPathComponent("Resources/text/zh-CN.json")
    let raw = try String(contentsOf: file, encoding: .utf8)
    #expect(!raw.unicodeScalars.contains { (0xFF00...0xFFEF).contains($0.value) })
    for (section, words) in try catalogue(.chinese).sections {
      for (key, text) in words { #expect(!Self.isHalfWidth(text), "\(section).\(key): \(text)") }
    }
    #expect(Self.isHalfWidth("\u{597D},\u{597D}") && Self.isHalfWidth("a ,\u{597D}") == true)
  }

  /// Whether a mark stands beside a Han character that should be as wide as one.
  private static func isHalfWidth(_ text: String) -> Bool {
    let scalars = Array(text.unicodeScalars)
    return scalars.indices.contains { index in
      guard ",:;?!()".unicodeScalars.contains(scalars[index]) else { return false }
      let beside = [index - 1, index + 1].filter(scalars.indices.contains).map { scalars[$0].value }
      return beside.contains { (0x3400...0x9FFF).contains($0) }
    }
  }

  @Test("every word that a template or a page asks for is there")
  func used() throws {
    let english = try catalogue(.english)
    var keys = Set<String>()
    for text in try files("Resources/templates", ".mustache") {
      for match in text.matches(of: /\{\{[#^]?t\.([a-z_]+)\.([a-zA-Z_0-9]+)\}\}/) {
        keys.insert("\(match.output.1).\(match.output.2)")
      }
    }
    for text in try files("Pages", ".swift") + files("Views", ".swift") {
      for match in text.matches(of: /text\(\s*"([a-z_]+\.[a-zA-Z_0-9]+)"/) { keys.insert(String(match.output.1)) }
    }
    #expect(keys.count > 150)
    // What ends in _ is the begin of a key; closed sets have a test of their own.
    for key in keys where !key.hasSuffix("_") { #expect(english.text(key) != key, "\(key)") }
  }

  @Test("every state, step, role and check has words")
  func closedSets() throws {
    let words = try catalogue(.english)
    func has(_ section: String, _ key: String) { #expect(words.find(section, key) != nil, "\(section).\(key)") }
    for state in ["connecting", "copying", "insync", "testing", "ready", "switched", "switching", "done", "attention"] {
      has("state", state)
    }
    for step in NextStep.allCases {
      has("next", step.rawValue)
      has("action", step.rawValue)
      if step != .wait { has("step", step.rawValue) }
    }
    for step in ["connecting", "copying", "switching"] { has("step", "wait_" + step) }
    for role in Role.allCases { has("role", role.rawValue) }
    for right in [Right.read, .migrate, .configure, .own] { has("right", right.rawValue) }
    for step in ActionPages.confirmed {
      for part in ["title", "intro", "label", "1", "2", "3"] { has("confirm", "\(step)_\(part)") }
    }
  }

  @Test("every error has what, why and what to do; an unknown one is told in the platform's own words")
  func errors() throws {
    for language in Language.allCases {
      let words = try catalogue(language)
      let keys = try #require(words.sections["errors"]).keys
      #expect(keys.count == words.errorCodes.count * 3)
      #expect(words.errorCodes.count >= 40)
      let known = words.explain(Problem(code: "not_allowed", status: 403, detail: "d", remedy: "r"))
      #expect(known.isKnown && known.remedy != "r")
      let unknown = words.explain(Problem(code: "never_seen", status: 500, detail: "d", remedy: "r"))
      #expect(!unknown.isKnown && unknown.why == "d" && unknown.remedy == "r")
    }
  }

  @Test("the errors that the catalogue explains are produced by the platform's sources")
  func errorsAreReal() throws {
    let sources = Self.room.deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
    let all = FileManager.default.enumerator(at: sources, includingPropertiesForKeys: nil)?.allObjects as? [URL] ?? []
    let text = try all.filter { $0.pathExtension == "swift" }.map { try String(contentsOf: $0, encoding: .utf8) }
      .joined()
    for code in try catalogue(.english).errorCodes { #expect(text.contains("\"\(code)\""), "\(code)") }
  }
}
