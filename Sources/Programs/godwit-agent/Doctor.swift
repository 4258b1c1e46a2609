import ArgumentParser
import Source

struct Doctor: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Looks at what a migration needs of this machine, and says what to do; changes nothing.",
    discussion: "Exit code 0: all is well; 1: there are warnings; 2: something stops the agent.")

  @Flag(help: "Print JSON.") var json = false
  @Option(parsing: .upToNextOption, help: "Kernel names of the disks; without it all that hold data.")
  var disks: [String] = []

  func run() async throws {
    let findings = try await Source.Doctor(disks: disks.isEmpty ? nil : disks).examine()
    if json {
      try JSONOutput.print(findings)
    } else {
      for finding in findings { print(finding.line) }
    }
    throw ExitCode(findings.exitCode)
  }
}
