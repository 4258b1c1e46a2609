import ArgumentParser
import Backup
import Foundation
import Glibc
import ServiceKit

struct BackupCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "backup",
    abstract: "Copy a platform's records, keys and settings into one sealed file, while it runs.",
    discussion: """
      The disks of the local cloud and the volumes at targets are not in it, nor is what the gateway can read from them \
      again. The passphrase is read from standard input where no key file is given; without it the backup is worth nothing.
      """)

  @Option(help: "The state folder of 'godwit up', or of one service.") var state: String
  @Option(help: "The file to make.") var out: String
  @OptionGroup var secret: BackupSecretOption

  func run() async throws {
    umask(0o077)
    let made = try Backup.make(
      state: absolute(state), to: absolute(out), secret: try secret.read(twice: true))
    print("\(absolute(out)): \(made.databases) databases and \(made.files) files, \(made.bytes) bytes.")
  }
}

struct RestoreCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "restore", abstract: "Put a backup back, and check all of it before.",
    discussion: """
      What was done since the backup is forgotten; agents, gateways and targets are not. The next sync of each migration \
      finds out what differs; objects that nobody knows any more are named as leaks. See docs/operations/backup.md.
      """)

  @Argument(help: "The backup.") var file: String
  @Option(help: "The folder to make; it must not be there, or be empty.") var state: String
  @OptionGroup var secret: BackupSecretOption

  func run() async throws {
    umask(0o077)
    do {
      let put = try Backup.restore(absolute(file), to: absolute(state), secret: try secret.read(twice: false))
      let when = Date(timeIntervalSince1970: Double(put.madeAt)).formatted(.iso8601)
      print("\(absolute(state)): \(put.databases) databases and \(put.files) files, as of \(when).")
    } catch let failure as BackupFailure {
      FileHandle.standardError.write(Data("godwit restore: \(failure)\n".utf8))
      throw ExitCode(1)
    }
  }
}

struct BackupSecretOption: ParsableArguments {
  @Option(help: "File of at least 32 secret bytes, mode 0600, as 'godwit key' makes it; else a passphrase is read.")
  var keyFile: String?

  /// - Parameter twice: asked for again at a terminal, since a slip could never be mended.
  func read(twice: Bool) throws -> BackupSecret {
    if let keyFile { return try .file(absolute(keyFile)) }
    let text = try PasswordPrompt.read("Passphrase")
    if twice, isatty(0) == 1, try PasswordPrompt.read("Passphrase again") != text {
      throw ConfigurationError("The two passphrases differ.", remedy: "Try again.")
    }
    return try .checked(passphrase: text)
  }
}

private func absolute(_ path: String) -> String { URL(fileURLWithPath: path).standardizedFileURL.path }
