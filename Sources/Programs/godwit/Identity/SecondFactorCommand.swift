import ArgumentParser
import Client
import Wire

struct SecondFactorCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "second-factor", abstract: "An authenticator's code at each sign-in.", subcommands: [On.self, Off.self]
  )

  struct On: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Print a secret for the authenticator and recovery codes; its first code, read then, puts it in force.")
    @OptionGroup var options: ClientOptions

    func run() async throws {
      try await options.run { platform in
        let factor = try await platform.beginSecondFactor()
        print("\(factor.url)\n\nRecovery codes, each good once:")
        for code in factor.recoveryCodes { print("  \(code)") }
        try await platform.confirmSecondFactor(try PasswordPrompt.read("Code"))
        print("In force.")
      }
    }
  }

  struct Off: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Do without it again; reads a code or a recovery code.")
    @OptionGroup var options: ClientOptions

    func run() async throws {
      try await options.run { try await $0.removeSecondFactor(try PasswordPrompt.read("Code")) }
    }
  }
}
