import ArgumentParser
import Client
import Wire

struct UserCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "user", abstract: "Who may do what in the tenant.",
    subcommands: [Invite.self, Accept.self, List.self, SetRole.self, Remove.self])

  struct Invite: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Print an invitation to hand to somebody; good once, for 7 days.")
    @Argument(help: "E-mail address.") var email: String
    @Option(help: "viewer, migrator, admin or owner.") var role: Role = .viewer
    @OptionGroup var options: ClientOptions

    func run() async throws {
      try await options.run { platform in
        let invitation = try await platform.invite(.init(email: email, role: role))
        if options.json { return try options.printJSON(invitation) }
        print(invitation.token ?? "")
      }
    }
  }

  struct Accept: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Come in by an invitation.",
      discussion: "The invitation, then a password of at least 12 characters, each a line of standard input.")
    @Option(help: "Your name.") var name: String?
    @OptionGroup var options: ClientOptions

    func run() async throws {
      try await options.run(token: "none") { platform in
        let token = try PasswordPrompt.read("Invitation")
        let password = try PasswordPrompt.read("Password")
        let member = try await platform.accept(.init(token: token, name: name, password: password))
        if options.json { return try options.printJSON(member) }
        print("\(member.email) is \(member.role.rawValue) now. Next: godwit sign-in \(member.email)")
      }
    }
  }

  struct List: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "The tenant's users.")
    @OptionGroup var options: ClientOptions

    func run() async throws {
      try await options.run { platform in
        let members = try await platform.members()
        if options.json { return try options.printJSON(members) }
        var table = TextTable(["ID", "ADDRESS", "NAME", "ROLE"])
        for member in members { table.add([member.id, member.email, member.name, member.role.rawValue]) }
        print(table.text)
      }
    }
  }

  struct SetRole: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "role", abstract: "Change a user's role.")
    @Argument(help: "Address or id.") var user: String
    @Argument(help: "viewer, migrator, admin or owner.") var role: Role
    @OptionGroup var options: ClientOptions

    func run() async throws {
      try await options.run { platform in
        let member = try await platform.setRole(role, of: try await platform.member(user).id)
        if options.json { return try options.printJSON(member) }
        print("\(member.email) is \(member.role.rawValue) now.")
      }
    }
  }

  struct Remove: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Take a user out of the tenant.")
    @Argument(help: "Address or id.") var user: String
    @OptionGroup var options: ClientOptions

    func run() async throws {
      try await options.run { platform in try await platform.remove(user: try await platform.member(user).id) }
    }
  }
}
