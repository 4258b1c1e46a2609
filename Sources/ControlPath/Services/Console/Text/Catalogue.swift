import FoundationEssentials
import ServiceKit
import Wire

/// The console's words in one language: sections of keys, `home.title`. Every language has the same keys.
struct Catalogue: Sendable {
  let language: Language
  /// Section, key, text; `{name}` in a text is replaced.
  let sections: [String: [String: String]]

  init(_ language: Language, json: [UInt8]) throws {
    self.language = language
    do { sections = try JSONDecoder().decode([String: [String: String]].self, from: Data(json)) } catch {
      throw ConfigurationError(
        "The console's words in \(language.rawValue) cannot be read: \(error).", remedy: "Install the program anew.")
    }
  }

  /// - Parameter key: `section.name`. One that is not there is shown as it is: a test sees to it that all are.
  func text(_ key: String, _ values: [String: String] = [:]) -> String {
    let parts = key.split(separator: ".", maxSplits: 1)
    guard parts.count == 2, var text = sections[String(parts[0])]?[String(parts[1])] else { return key }
    for (name, value) in values { text = text.replacing("{\(name)}", with: value) }
    return text
  }

  /// Nil where there is none.
  func find(_ section: String, _ key: String) -> String? { sections[section]?[key] }
}

extension Catalogue {
  /// An error in the reader's words.
  struct Explanation: Sendable, Hashable {
    var code: String
    var what: String
    var why: String
    var remedy: String
    /// What the platform itself said; English.
    var detail: String
    var isKnown: Bool
  }

  func explain(_ problem: Problem) -> Explanation { explain(problem.code, detail: problem.detail, problem.remedy) }

  /// - Parameter remedy: the platform's own, for a code that has no entry.
  func explain(_ code: String, detail: String, _ remedy: String) -> Explanation {
    if let what = find("errors", code + "_what"), let why = find("errors", code + "_why"),
      let todo = find("errors", code + "_do")
    {
      return .init(code: code, what: what, why: why, remedy: todo, detail: detail, isKnown: true)
    }
    return .init(
      code: code, what: text("error.unknown_what"), why: detail, remedy: remedy, detail: detail, isKnown: false)
  }

  /// The codes that have an entry, in alphabetical order.
  var errorCodes: [String] {
    (sections["errors"] ?? [:]).keys.filter { $0.hasSuffix("_what") }.map { String($0.dropLast(5)) }.sorted()
  }
}
