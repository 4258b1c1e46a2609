import ArgumentParser
import Client
import FoundationEssentials
import Glibc
import Wire

struct LoginToCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "login-to", abstract: "Look into the machine that was launched: by ssh, or its console's text.")
  @Argument(help: "The migration: name or id.") var migration: String
  @Option(help: "User to log in as.") var user = "root"
  @Option(help: "Private key for ssh.") var key: String?
  @Flag(help: "Print the serial console instead.") var console = false
  @OptionGroup var options: ClientOptions

  func run() async throws {
    try await options.run { platform in
      let migration = try await platform.migration(migration)
      guard let launch = try await platform.launches(migration.id).first(where: { $0.state == .running }) else {
        throw Problem(
          code: "not_found", status: 404, detail: "No machine of \(migration.name) is running on the target.",
          remedy: "Start one by 'godwit migrate test \(migration.name)'.")
      }
      if console { return print(launch.proof?.console ?? "") }
      guard let forward = launch.forwards.first(where: { $0.guestPort == 22 }) else {
        throw Problem(
          code: "not_found", status: 404, detail: "The machine's port 22 is not forwarded.",
          remedy: "Launch it with --port 22, or look at its console with --console.")
      }
      let parts = forward.address.split(separator: ":")
      // The launch has a key of its own on every start, so it is not compared with what this user's ssh remembers.
      var words = [
        "ssh", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-p", String(parts[1])
      ]
      if let key { words += ["-i", key] }
      words.append("\(user)@\(parts[0])")
      if options.json { return try options.printJSON(words) }
      var arguments = words.map { strdup($0) } + [nil]
      execvp("ssh", &arguments)
      throw Problem(
        code: "failed", status: 500, detail: "ssh could not be started.", remedy: "Run: \(words.joined(separator: " "))"
      )
    }
  }
}
