import ArgumentParser
import FoundationEssentials
import Source
import Transport
import Wire

/// The command that the console shows to paste.
struct Enrol: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Makes this machine known, with a single-use token read from standard input.")

  @Option(help: "https://HOST[:PORT] of the platform.") var server: String
  @Option(help: "File with the platform's CA certificate (PEM).") var caFile: String?
  @Option(help: "The platform's CA certificate (PEM) itself, in base64.") var caBase64: String?
  @Option(help: "http://[USER:PASSWORD@]HOST:PORT; without it https_proxy is used.") var proxy: String?
  @Option(help: "File with the CA certificate of a proxy that opens TLS (PEM).") var extraCa: String?
  @Flag(help: "Do not install the systemd unit; start `godwit-agent run` yourself.") var noService = false

  func validate() throws {
    guard (caFile == nil) != (caBase64 == nil) else {
      throw ValidationError("give either --ca-file or --ca-base64")
    }
  }

  func run() async throws {
    let places = AgentPlaces()
    let state = AgentState(places: places)
    guard try state.identity() == nil else {
      throw AgentError(
        "this machine is enrolled already", remedy: "run `godwit-agent uninstall` first if it shall be enrolled anew")
    }
    guard let line = readLine(), case let token = line.trimmed, !token.isEmpty else {
      throw AgentError(
        "no token came from standard input", remedy: "paste the whole command again as the console shows it")
    }
    let identity = try await Enrolment.enrol(
      server: server, connection: try connection(), token: token, machine: try LinuxMachine(places: places).describe())
    try state.save(identity)
    print("enrolled as source \(identity.credential.source) of tenant \(identity.credential.tenant)")
    try start(places)
  }

  private func start(_ places: AgentPlaces) throws {
    let systemd = Systemd(places: places)
    guard !noService, systemd.isRunning else {
      print("start it with: \(places.program) run")
      return
    }
    try ProgramFile.install(at: places.program)
    try systemd.install()
    print("the service godwit-agent is running")
  }

  private func connection() throws -> ConnectionSettings {
    var authority = ""
    if let caFile { authority = try text(caFile) }
    if let caBase64 {
      guard let data = Data(base64Encoded: caBase64) else {
        throw ValidationError("--ca-base64 is not base64; paste the whole command again")
      }
      authority = String(decoding: data, as: UTF8.self)
    }
    let environment = ProcessInfo.processInfo.environment
    let address = proxy ?? environment["https_proxy"] ?? environment["HTTPS_PROXY"]
    var settings = ConnectionSettings(authority: authority, extraAuthority: try extraCa.map(text))
    if let address, !address.isEmpty {
      guard let parsed = ConnectionSettings.Proxy(parsing: address) else {
        throw ValidationError("the proxy has to be http://[USER:PASSWORD@]HOST:PORT")
      }
      settings.proxy = parsed
    }
    return settings
  }

  private func text(_ path: String) throws -> String {
    guard let bytes = try PrivateFile.read(path) else { throw ValidationError("\(path) does not exist") }
    return String(decoding: bytes, as: UTF8.self)
  }
}

extension String {
  /// Without white space at either end.
  fileprivate var trimmed: String {
    String(drop { $0.isWhitespace }.reversed().drop { $0.isWhitespace }.reversed())
  }
}
