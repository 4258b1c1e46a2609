import ArgumentParser
import Source

@main struct Program: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "godwit-agent", abstract: "Replicates this machine to where Godwit moves it.",
    version: Enrolment.version,
    subcommands: [Enrol.self, Run.self, Describe.self, Rehearse.self, Doctor.self, Uninstall.self])

  static func main() async {
    do {
      try Preflight.run()
      var command = try parseAsRoot()
      if var command = command as? any AsyncParsableCommand { try await command.run() } else { try command.run() }
    } catch {
      exit(withError: error)
    }
  }
}
