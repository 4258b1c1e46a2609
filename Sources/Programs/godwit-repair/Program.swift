import ArgumentParser

@main struct Program: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "godwit-repair",
    abstract: "Makes the clone of a machine bootable on virtio hardware.",
    subcommands: [Plan.self, Apply.self, Appliance.self])
}
