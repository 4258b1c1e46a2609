import ArgumentParser
import Client
import Wire

struct SignInCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "sign-in", abstract: "Begin a session of 12 hours; prints its token.",
    discussion: """
      The password is read from standard input, and in the next line the authenticator's code where there is one. Use it as: export GODWIT_TOKEN="$(godwit sign-in me@example.org)"; \
      'godwit sign-out' ends the session.
      """)
  @Argument(help: "Your e-mail address.") var email: String
  @OptionGroup var options: ClientOptions

  func run() async throws {
    try await options.run(token: "none") { platform in
      let password = try PasswordPrompt.read("Password")
      var wish = IdentityAPI.SignIn(email: email, password: password)
      let session: IdentityAPI.Session
      do { session = try await platform.signIn(wish) } catch let problem as Problem
        where problem.code == "second_factor_needed"
      {
        wish.code = try PasswordPrompt.read("Code")
        session = try await platform.signIn(wish)
      }
      if options.json { return try options.printJSON(session) }
      print(session.token ?? "")
    }
  }
}

struct SignOutCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(commandName: "sign-out", abstract: "End the session of the token.")
  @OptionGroup var options: ClientOptions

  func run() async throws { try await options.run { try await $0.signOut() } }
}
