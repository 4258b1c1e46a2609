import ArgumentParser
import Fakes
import Foundation
import Logging
import Logs
import ServiceKit
import ServiceLifecycle
import UnixSignals

/// The fake cloud as a process of its own, so that it outlives whoever is killed in a test.
@main struct Program: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "godwit-fakecloud", abstract: "A cloud made of files, with faults on demand. For tests only.")

  @Option(help: "Folder of its state; made when missing.") var state: String
  @Option(help: "Loopback address to listen on; port 0 takes any free one.") var listen = "127.0.0.1:0"
  @Option(help: "File that holds the secret callers must show.") var secretFile: String?
  @Option(help: "File to write the chosen address to, once it accepts connections.") var addressFile: String?

  func run() async throws {
    let logger = Logger(label: "fakecloud") { JSONLogHandler(label: $0) }
    let folder = URL(fileURLWithPath: state).path
    let (host, port) = try ListenAddress.parse(listen)
    let secret = try secretFile.map { file in
      String(decoding: try PrivateFile.read(file) ?? [], as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines)
    }
    let routes = FakeCloudRoutes(try FakeCloud(folder: folder), secret: secret)
    let server = HTTPServer(
      .tcp(host: host, port: port, tls: nil), logger: logger,
      onRunning: { [addressFile] place in
        guard case .tcp(let host, let port) = place else { return }
        print("http://\(host):\(port)")
        fflush(nil)
        if let addressFile { try? PrivateFile.write(Array("http://\(host):\(port)\n".utf8), to: addressFile) }
      }, routes: { routes.add(to: $0) })
    try await ServiceGroup(
      configuration: .init(services: [server], gracefulShutdownSignals: [.sigterm, .sigint], logger: logger)
    ).run()
  }
}
