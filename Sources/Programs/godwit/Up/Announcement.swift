import Foundation
import Glibc
import Logging
import ServiceKit
import ServiceLifecycle

/// Once everything runs: adds the local target and says where the platform is.
struct Announcement: Service {
  let ready: Readiness
  let plan: Plan
  let logger: Logger

  func run() async throws {
    guard await cancelWhenGracefulShutdown({ await ready.wait() }) else { return }
    try await plan.addLocalTarget()
    let client = try ClientFile(plan).write()
    if isatty(1) == 1 { people(client) } else { programs() }
    fflush(nil)
    try await gracefulShutdown()
  }

  private func programs() {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    let facts = [
      "url": plan.localURL, "token": plan.adminToken.text, "ca": plan.caFile, "public": plan.publicURL,
      "console": plan.localURL + "/"
    ]
    print((try? encoder.encode(facts)).map { String(decoding: $0, as: UTF8.self) } ?? "{}")
  }

  private func people(_ client: String?) {
    print(
      """
      Godwit is ready. Open the console: \(plan.localURL)/
      Sources reach the platform at \(plan.publicURL).

        \(client.map { "This user's commands find it by \($0)." } ?? "For the commands on this machine:")
        export GODWIT_SERVER=\(plan.localURL) GODWIT_CA=\(plan.caFile) GODWIT_TOKEN="$(cat \(plan.folder)/admin.token)"

        godwit user invite ADDRESS --role owner   prints what the first person enters at \(plan.localURL)/en/invitation
        godwit source add      prints the line to paste on a machine to move
      """)
  }
}

/// `~/.config/godwit/client`: so that commands on this machine need no settings. Another platform's is not overwritten.
struct ClientFile {
  private let plan: Plan
  init(_ plan: Plan) { self.plan = plan }

  /// - Returns: its path, or nil where it was left alone.
  func write() throws -> String? {
    guard let home = ProcessInfo.processInfo.environment["HOME"], home.hasPrefix("/") else { return nil }
    let path = home + "/.config/godwit/client"
    if let old = try? PrivateFile.read(path) {
      guard String(decoding: old, as: UTF8.self).contains("ca = \(plan.caFile)\n") else { return nil }
    }
    let text = "server = \(plan.localURL)\ntoken = \(plan.adminToken.text)\nca = \(plan.caFile)\n"
    do {
      try PrivateFile.makeFolder(home + "/.config/godwit")
      try PrivateFile.write(Array(text.utf8), to: path)
    } catch is ConfigurationError { return nil }
    return path
  }
}
