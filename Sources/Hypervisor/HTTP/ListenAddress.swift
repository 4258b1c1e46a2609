import Hummingbird

/// Where the daemon listens: `127.0.0.1:PORT` (0: any free one), `[::1]:PORT` or `unix:PATH`; nowhere that others reach.
public struct ListenAddress: Hashable, Sendable {
  enum Place: Hashable, Sendable {
    case loopback(String, Int)
    case unix(String)
  }
  let place: Place

  public init(_ text: String) throws {
    if text.hasPrefix("unix:/") {
      let path = String(text.dropFirst(5))
      guard path.utf8.count <= StateFolder.longestSocketPath else {
        throw HypervisorError(.invalid, "the socket path \(path) is longer than \(StateFolder.longestSocketPath) bytes")
      }
      place = .unix(path)
      return
    }
    guard let colon = text.lastIndex(of: ":"), let port = UInt16(text[text.index(after: colon)...]) else {
      throw HypervisorError(.invalid, "cannot listen on \(text); give 127.0.0.1:PORT or unix:/PATH")
    }
    switch text[..<colon] {
    case "127.0.0.1": place = .loopback("127.0.0.1", Int(port))
    case "[::1]": place = .loopback("::1", Int(port))
    default:
      throw HypervisorError(
        .invalid, "cannot listen on \(text): the hypervisor serves this host only; give 127.0.0.1:PORT")
    }
  }

  var bindAddress: BindAddress {
    switch place {
    case .loopback(let host, let port): .hostname(host, port: port)
    case .unix(let path): .unixDomainSocket(path: path)
    }
  }
}
