internal import CLinuxBlock
internal import FoundationEssentials
internal import Glibc
internal import NIOPosix
internal import Transport
internal import Wire

/// The way to the platform: names, proxy, service, its certificate, and the clock against the service's.
extension Doctor {
  func platform(server: String, connection: ConnectionSettings) async -> [Finding] {
    var findings: [Finding] = []
    if let proxy = connection.proxy {
      findings.append(Self.resolve(proxy.host, .proxy))
      findings.append(Finding(.names, .ok, "the proxy \(proxy.host):\(proxy.port) looks up the platform's name"))
    } else {
      findings.append(Self.resolve(Self.host(of: server), .names))
    }
    do {
      let client = try SecureClient(
        settings: connection, key: AgentKey(), group: MultiThreadedEventLoopGroup.singleton, connections: 1)
      let began = Date.now
      let greeting: Result<SecureClient.Greeting, any Error>
      do { greeting = .success(try await client.greet(server)) } catch { greeting = .failure(error) }
      try? await client.shutdown()
      let said = try greeting.get()
      findings.append(
        Finding(.service, server, .ok, "it answers (\(said.status)); its certificate is from the CA of the enrolment"))
      findings.append(Self.clock(said.date, now: began))
    } catch let error as TransportError {
      findings.append(Self.unreachable(server, error))
    } catch {
      findings.append(Finding(.service, server, .stop, "\(error)"))
    }
    return findings
  }

  static func unreachable(_ server: String, _ error: TransportError) -> Finding {
    let area: Finding.Area = if case .proxyRefused = error { .proxy } else { .service }
    var remedy = "see the text"
    switch error {
    case .wrongCertificate:
      remedy =
        "check this machine's clock; enrol anew if the platform's CA was changed; give the CA of a proxy that opens "
        + "TLS with --extra-ca"
    case .unreachable: remedy = "let this machine reach \(server), outbound only, or name a proxy at the enrolment"
    case .proxyRefused: remedy = "check the proxy's address, credentials and rules"
    case .badSettings: remedy = "run `godwit-agent uninstall`, then enrol again with a new token"
    case .outcomeUnknown, .refused, .badAnswer, .cancelled: remedy = "try again; then see the log of the service"
    }
    return Finding(area, server, .stop, "\(error)", remedy: remedy)
  }

  /// HOST of `https://HOST[:PORT][/...]`.
  static func host(of server: String) -> String {
    let authority = server.drop { $0 != "/" }.drop { $0 == "/" }.prefix { $0 != "/" }
    if authority.hasPrefix("[") { return String(authority.dropFirst().prefix { $0 != "]" }) }
    return String(authority.prefix { $0 != ":" })
  }

  private static func resolve(_ host: String, _ area: Finding.Area) -> Finding {
    var found: UnsafeMutablePointer<addrinfo>?
    let failure = getaddrinfo(host, nil, nil, &found)
    guard failure == 0 else {
      return Finding(
        area, host, .stop, "the name cannot be looked up: \(String(cString: gai_strerror(failure)))",
        remedy: "check /etc/resolv.conf, or write it into /etc/hosts")
    }
    freeaddrinfo(found)
    return Finding(area, host, .ok, "the name can be looked up")
  }

  /// - Parameter date: what the service said, seconds since 1970.
  static func clock(_ date: Int?, now: Date) -> Finding {
    guard let date else {
      return Finding(.clock, .warn, "the service did not say what time it is, so the clock was not compared")
    }
    let off = Int(now.timeIntervalSince1970) - date
    let said = "this machine's clock is \(abs(off)) s \(off < 0 ? "behind" : "ahead of") the service's"
    switch abs(off) {
    case ...30: return Finding(.clock, .ok, said)
    case ...SecureClient.mostSkew:
      return Finding(
        .clock, .warn, said + "; the agent goes by the service's",
        remedy: "set the clock (NTP), so that times in this machine's logs mean what they say")
    default:
      return Finding(.clock, .stop, said, remedy: "set the clock (NTP): no certificate is good at such a time")
    }
  }
}
