/// The languages of the console. The raw value is the path's first part and the `lang` of its pages.
enum Language: String, CaseIterable, Sendable {
  case english = "en"
  case chinese = "zh-CN"

  /// As its speakers call it.
  var ownName: String { self == .english ? "English" : "简体中文" }

  var other: Language { self == .english ? .chinese : .english }

  /// What a browser asks for by `Accept-Language`; English where it asks for neither.
  static func preferred(_ header: String?) -> Language {
    let wishes = (header ?? "").prefix(512).split(separator: ",").map { part -> (tag: Substring, weight: Double) in
      let parts = part.split(separator: ";")
      let weight = parts.dropFirst().first { $0.contains("q=") }?.split(separator: "=").last.flatMap { Double($0) }
      return ((parts.first ?? "").drop { $0 == " " }, weight ?? 1)
    }
    let best = wishes.enumerated().sorted { ($1.element.weight, $0.offset) < ($0.element.weight, $1.offset) }
    for (_, wish) in best {
      if wish.tag.lowercased().hasPrefix("zh") { return .chinese }
      if wish.tag.lowercased().hasPrefix("en") { return .english }
    }
    return .english
  }
}
