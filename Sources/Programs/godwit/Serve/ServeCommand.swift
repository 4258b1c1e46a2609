import ArgumentParser
import Foundation
import Glibc
import Logging
import ServiceKit
import ServiceLifecycle
import UnixSignals

struct ServeCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "serve", abstract: "Run one service of the platform, with its own database and settings.",
    discussion: """
      Settings are lines 'name = value' of a file; the environment goes before it: GODWIT_MIGRATION_CLOUDS_URL is the \
      setting 'clouds-url' of the service 'migration'. docs/operations/services.md names them all. When the service \
      accepts requests, one line of JSON says where. Settings that are not good end it with status 2.
      """)

  @Argument(help: "Which service: \(HostedService.allCases.map(\.rawValue).joined(separator: ", ")).")
  var service: HostedService
  @Option(help: "File of settings.") var config: String?
  @Flag(help: "Only say whether the settings are good.") var check = false

  /// Seconds in which requests under way may end after SIGTERM.
  private static let patience: Int64 = 30

  func run() async throws {
    umask(0o077)
    do { try await serve() } catch let error as ConfigurationError {
      FileHandle.standardError.write(Data("godwit serve \(service.rawValue): \(error)\n".utf8))
      throw ExitCode(2)
    }
  }

  private func serve() async throws {
    var settings = try ServiceSettings(
      service: service.rawValue, file: config, environment: ProcessInfo.processInfo.environment)
    let level = settings.optional("log-level", Setting.logLevel) ?? .info
    JSONLines.bootstrap(level)
    let name = service.rawValue
    let made = try service.make(settings) { place in
      print(#"{"listening":"\#(place)","service":"\#(name)"}"#)
      fflush(nil)
    }
    if check { return print("The settings are good.") }
    var configuration = ServiceGroupConfiguration(
      services: [made], gracefulShutdownSignals: [.sigterm, .sigint], logger: Logger(label: name))
    configuration.maximumGracefulShutdownDuration = .seconds(Self.patience)
    try await ServiceGroup(configuration: configuration).run()
  }
}

/// Makes what `godwit serve` signs with.
struct KeyCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "key", abstract: "Make a service's signing key, and beside it the public half, FILE.pub.")

  @Argument(help: "Where the key is kept, mode 0600; one that is there is kept.") var file: String

  func run() throws {
    let path = URL(fileURLWithPath: file).standardizedFileURL.path
    try SigningKey.publish(try SigningKey.open(file: path), file: path)
    print(path + ".pub")
  }
}
