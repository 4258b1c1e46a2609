import ArgumentParser

@main struct Program: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "godwit", abstract: "Move whole running machines into a target cloud.",
    subcommands: [
      UpCommand.self, DownCommand.self, ServeCommand.self, KeyCommand.self, SourceCommand.self, MigrateCommand.self,
      VerifyCommand.self,
      EvidenceCommand.self,
      AuditCommand.self,
      LicenceCommand.self,
      BackupCommand.self, RestoreCommand.self,
      LoginToCommand.self, SignInCommand.self, SignOutCommand.self, SecondFactorCommand.self, TenantCommand.self,
      UserCommand.self,
      TokenCommand.self,
      ProviderCommand.self
    ])
}
