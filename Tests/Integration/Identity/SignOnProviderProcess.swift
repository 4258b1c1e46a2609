import Foundation

/// A real OpenID Connect provider (Tests/support/oidc), and a person with a browser.
final class SignOnProviderProcess: Sendable {
  struct Facts: Decodable, Sendable {
    var issuer: String
    var client: String
    var secret: String
    var user: String
    var password: String
    var email: String
  }
  struct NotStarted: Error {}
  static let redirectURI = "http://127.0.0.1:1/callback"
  private static let python =
    (ProcessInfo.processInfo.environment["GODWIT_CACHE"] ?? NSHomeDirectory() + "/.cache/godwit") + "/python/bin/python"
  let facts: Facts
  private let process = Process()
  private let input = Pipe()

  init() throws {
    let output = Pipe()
    process.executableURL = URL(filePath: Self.python)
    process.arguments = [BuiltPrograms.top + "/Tests/support/oidc/provider", Self.redirectURI]
    (process.standardInput, process.standardOutput) = (input, output)
    try process.run()
    let line = output.fileHandleForReading.availableData
    guard let facts = try? JSONDecoder().decode(Facts.self, from: line) else { throw NotStarted() }
    self.facts = facts
  }

  /// Signs the person in, and answers with the query that the browser is sent back with. Blocks.
  func visit(_ url: String) throws -> [String: String] {
    // Two of one person within a second would be given one access token, which the provider's database refuses.
    Thread.sleep(forTimeInterval: 1.1)
    let end = try run(
      Self.python, BuiltPrograms.top + "/Tests/support/oidc/browser", url, facts.user, facts.password)
    let items = URLComponents(string: end.trimmingCharacters(in: .whitespacesAndNewlines))?.queryItems ?? []
    return Dictionary(items.map { ($0.name, $0.value ?? "") }) { first, _ in first }
  }

  func end() {
    try? input.fileHandleForWriting.close()
    process.waitUntilExit()
  }
}
