import ArgumentParser
import FoundationEssentials
import Source

struct Describe: ParsableCommand {
  static let configuration = CommandConfiguration(abstract: "Print what the platform is told of this machine: JSON.")

  func run() throws { try JSONOutput.print(LinuxMachine(places: AgentPlaces()).describe()) }
}

struct Rehearse: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Prints what would be changed on a clone so that it boots on the target, as JSON; changes nothing.")

  func run() throws { try JSONOutput.print(LinuxMachine(places: AgentPlaces()).rehearse()) }
}

struct Uninstall: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Removes the agent from this machine: service, key, state, program.")

  func run() throws {
    try LinuxMachine(places: AgentPlaces()).uninstall()
    print("the agent is removed")
  }
}

enum JSONOutput {
  static func print(_ value: some Encodable) throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    Swift.print(String(decoding: try encoder.encode(value), as: UTF8.self))
  }
}
