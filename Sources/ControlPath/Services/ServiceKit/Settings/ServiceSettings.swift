import FoundationEssentials

/// The settings of one service by name: lines `name = value` of a file, and over them the environment, where `clouds-url`
/// of the service `migration` is `GODWIT_MIGRATION_CLOUDS_URL`. Everything that is wrong is said at once.
public struct ServiceSettings: Sendable {
  public let service: String
  private let given: [String: String]
  private let file: String?
  private var asked: Set<String> = []
  private var faults: [ConfigurationError] = []

  /// Settings that a program decides itself.
  public init(service: String, _ given: [String: String]) { (self.service, self.given, file) = (service, given, nil) }

  /// - Throws: `ConfigurationError` for a file that cannot be read or has a line that says nothing.
  public init(service: String, file: String?, environment: [String: String]) throws {
    var given = try file.map(Self.read) ?? [:]
    let prefix = Self.variable(service, "")
    for (name, value) in environment where name.hasPrefix(prefix) {
      given[name.dropFirst(prefix.count).lowercased().replacing("_", with: "-")] = value
    }
    (self.service, self.given, self.file) = (service, given, file)
  }

  private static func variable(_ service: String, _ name: String) -> String {
    "GODWIT_\(service)_\(name)".uppercased().replacing("-", with: "_")
  }

  private static func read(_ file: String) throws -> [String: String] {
    guard let bytes = try PrivateFile.read(file, secret: false) else {
      throw ConfigurationError("There is no file \(file).", remedy: "Give --config the path of the settings.")
    }
    var given: [String: String] = [:]
    for (index, line) in String(decoding: bytes, as: UTF8.self).split(separator: "\n", omittingEmptySubsequences: false)
      .enumerated()
    {
      let text = trimmed(line)
      if text.isEmpty || text.hasPrefix("#") { continue }
      guard let equals = text.firstIndex(of: "="), equals != text.startIndex else {
        throw ConfigurationError(
          "Line \(index + 1) of \(file) is no setting.", remedy: "Write 'name = value', or '#' before a remark.")
      }
      let name = trimmed(text[..<equals])
      guard given.updateValue(trimmed(text[text.index(after: equals)...]), forKey: name) == nil else {
        throw ConfigurationError("\(file) gives '\(name)' twice.", remedy: "Keep one of them.")
      }
    }
    return given
  }

  static func trimmed(_ text: some StringProtocol) -> String {
    func isSpace(_ character: Character) -> Bool { character.isWhitespace }
    return String(text.drop(while: isSpace).reversed().drop(while: isSpace).reversed())
  }

  // MARK: Asking

  /// The value of a setting that may be left out.
  /// - Parameter read: throws a `ConfigurationError` that says what is wrong with the value.
  public mutating func optional<Value>(_ name: String, _ read: (String) throws -> Value) -> Value? {
    asked.insert(name)
    guard let text = given[name], !text.isEmpty else { return nil }
    do { return try read(text) } catch let error as ConfigurationError {
      faults.append(.init("The setting '\(name)' is not good: \(error.problem)", remedy: error.remedy))
    } catch { faults.append(.init("The setting '\(name)' is not good: \(error)", remedy: "Correct it.")) }
    return nil
  }

  /// The value of a setting that must be there; nil where `failure` says why.
  /// - Parameter example: a value as it may look.
  public mutating func required<Value>(
    _ name: String, example: String, _ read: (String) throws -> Value
  ) -> Value? {
    if given[name]?.isEmpty ?? true {
      asked.insert(name)
      fault("The setting '\(name)' is missing.", "\(place(name)), for instance \(example).")
      return nil
    }
    return optional(name, read)
  }

  /// Notes something that is wrong with settings together.
  public mutating func fault(_ problem: String, _ remedy: String) { faults.append(.init(problem, remedy: remedy)) }

  private func place(_ name: String) -> String {
    "Give it " + (file.map { "in \($0)" } ?? "in the file of --config") + " or as \(Self.variable(service, name))"
  }

  /// Whether every setting that was asked for is good, and none was given that was not asked for.
  public var isGood: Bool { faults.isEmpty && strangers.isEmpty }

  var isGoodSoFar: Bool { faults.isEmpty }

  private var strangers: [String] { given.keys.filter { !asked.contains($0) }.sorted() }

  /// All that is wrong. To be asked for after the last setting was.
  public var failure: ConfigurationError {
    let unknown = strangers.map { name in
      ConfigurationError(
        "The service \(service) has no setting '\(name)'.",
        remedy: "Remove it, or correct its name to one of: \(asked.sorted().joined(separator: ", ")).")
    }
    let all = faults + unknown
    return .init(
      all.dropLast().map { "\($0.description)\n" }.joined() + (all.last?.problem ?? ""), remedy: all.last?.remedy ?? "")
  }
}
