import FoundationEssentials
import Glibc
import NIOPosix
import Wire

/// Decides where a service may connect to at the word of a user. Names are resolved here, and without TLS what is connected
/// to is the address that was judged: a name that means another one a moment later leads nowhere else. With TLS the name is
/// resolved again, and the certificate is what is left.
///
/// Public addresses may be reached over TLS. This machine, private networks, links (and with them the metadata of clouds)
/// and Unix sockets only where the platform's settings name them; those also without TLS.
public struct AddressGuard: Sendable {
  public typealias Resolver = @Sendable (_ name: String) async throws -> [IPAddress]

  private let ranges: [AddressRange]
  /// Paths, or folders where they end with `/`.
  private let sockets: [String]
  private let resolve: Resolver

  /// Nothing but public addresses.
  public init() { (ranges, sockets, resolve) = ([], [], Self.system) }

  /// - Parameter text: what else is allowed, separated by commas: `10.1.0.0/16`, `127.0.0.1`, `::1`, `unix:/PATH`, and
  ///   `unix:/FOLDER/` for every socket in it.
  /// - Throws: `ConfigurationError`.
  public init(allowing text: String, resolve: @escaping Resolver = Self.system) throws {
    var (ranges, sockets) = ([AddressRange](), [String]())
    for part in text.split(separator: ",").map(ServiceSettings.trimmed) {
      if part.hasPrefix("unix:/") {
        sockets.append(String(part.dropFirst(5)))
      } else {
        guard let range = AddressRange(part) else {
          throw ConfigurationError(
            "'\(part)' is no address.", remedy: "Give for instance 10.1.0.0/16, 127.0.0.1 or unix:/PATH.")
        }
        ranges.append(range)
      }
    }
    (self.ranges, self.sockets, self.resolve) = (ranges, sockets, resolve)
  }

  /// The endpoint with the judged address in the place of a name; to be connected to soon. With `https` the name stays,
  /// and its certificate says whether it is the right one.
  /// - Parameter endpoint: `https://HOST:PORT`, `http://HOST:PORT` or `unix:/PATH`.
  /// - Throws: `Problem` 422 `endpoint_refused`.
  public func pin(_ endpoint: String) async throws -> String {
    if endpoint.hasPrefix("unix:/") {
      guard isAllowed(socket: String(endpoint.dropFirst(5))) else { throw Self.refused(endpoint, "it is a socket") }
      return endpoint
    }
    guard let place = EndpointPlace(endpoint) else {
      throw Self.refused(endpoint, "it is neither https://HOST:PORT nor unix:/PATH")
    }
    let addresses: [IPAddress]
    if let literal = IPAddress(place.host) {
      addresses = [literal]
    } else {
      do { addresses = try await resolve(place.host) } catch {
        throw Self.refused(endpoint, "the name \(place.host) cannot be resolved")
      }
    }
    // One that is not allowed spoils all: nobody knows which one would be taken.
    guard let first = addresses.first, addresses.allSatisfy({ isAllowed($0, place) }) else {
      throw Self.refused(
        endpoint, place.isEncrypted ? "its address is not public" : "nothing but TLS is spoken with its address")
    }
    return place.isEncrypted ? endpoint : place.url(at: first)
  }

  private func isAllowed(_ address: IPAddress, _ place: EndpointPlace) -> Bool {
    ranges.contains { $0.contains(address) } || place.isEncrypted && address.isPublic
  }

  private func isAllowed(socket path: String) -> Bool {
    guard !path.split(separator: "/").contains("..") else { return false }
    return sockets.contains { $0.hasSuffix("/") ? path.hasPrefix($0) : path == $0 }
  }

  private static func refused(_ endpoint: String, _ why: String) -> Problem {
    Problem(
      code: "endpoint_refused", status: 422,
      detail: "The platform may not connect to '\(endpoint.prefix(200))': \(why).",
      remedy: "Give a public address with https; others are allowed by the platform's setting 'target-addresses'.")
  }

  /// The system's own resolver, on a thread of the pool.
  public static let system: Resolver = { name in
    try await NIOThreadPool.singleton.runIfActive {
      var hints = addrinfo()
      hints.ai_socktype = CInt(SOCK_STREAM.rawValue)
      var list: UnsafeMutablePointer<addrinfo>?
      let code = getaddrinfo(name, nil, &hints, &list)
      defer { if let list { freeaddrinfo(list) } }
      guard code == 0 else {
        throw ConfigurationError("\(name): \(String(cString: gai_strerror(code))).", remedy: "Check the name.")
      }
      return sequence(first: list) { $0?.pointee.ai_next }.prefix { $0 != nil }.compactMap { entry in
        entry.flatMap { IPAddress($0.pointee) }
      }
    }
  }
}

extension IPAddress {
  fileprivate init?(_ entry: addrinfo) {
    guard let address = entry.ai_addr else { return nil }
    switch entry.ai_family {
    case AF_INET:
      self = address.withMemoryRebound(to: sockaddr_in.self, capacity: 1) { pointer in
        withUnsafeBytes(of: pointer.pointee.sin_addr) { IPAddress(bytes: Array($0)) }
      }
    case AF_INET6:
      self = address.withMemoryRebound(to: sockaddr_in6.self, capacity: 1) { pointer in
        withUnsafeBytes(of: pointer.pointee.sin6_addr) { IPAddress(bytes: Array($0)) }
      }
    default: return nil
    }
  }
}

/// The parts of `https://HOST:PORT`. Nothing else may stand there: no user, path or query.
struct EndpointPlace: Hashable, Sendable {
  let isEncrypted: Bool
  /// Without brackets.
  let host: String
  private let port: Int?

  init?(_ endpoint: String) {
    let isEncrypted = endpoint.hasPrefix("https://")
    guard isEncrypted || endpoint.hasPrefix("http://"), endpoint.utf8.count <= 300 else { return nil }
    var rest = endpoint.dropFirst(isEncrypted ? 8 : 7)
    if rest.hasSuffix("/") { rest = rest.dropLast() }
    var port: Substring?
    let host: Substring
    if rest.hasPrefix("[") {
      guard let end = rest.firstIndex(of: "]") else { return nil }
      host = rest[rest.index(after: rest.startIndex)..<end]
      let tail = rest[rest.index(after: end)...]
      guard tail.isEmpty || tail.hasPrefix(":"), IPAddress(String(host)) != nil, host.contains(":") else { return nil }
      port = tail.isEmpty ? nil : tail.dropFirst()
    } else {
      let parts = rest.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
      host = parts[0]
      port = parts.count == 2 ? parts[1] : nil
      guard Self.isName(host) || IPAddress(String(host)) != nil else { return nil }
    }
    if let port {
      guard let number = UInt16(port), number > 0, !port.hasPrefix("+") else { return nil }
      self.port = Int(number)
    } else {
      self.port = nil
    }
    (self.isEncrypted, self.host) = (isEncrypted, String(host))
  }

  /// Letters, digits and hyphens in labels; the last one is no number, which some resolvers take for an address.
  private static func isName(_ host: Substring) -> Bool {
    let labels = host.split(separator: ".", omittingEmptySubsequences: false)
    let isPlain = labels.allSatisfy { label in
      (1...63).contains(label.utf8.count)
        && label.utf8.allSatisfy { byte in
          (0x30...0x39).contains(byte) || (0x61...0x7A).contains(byte | 0x20) || byte == 0x2D
        }
    }
    return isPlain && labels.last.map { !$0.hasPrefix("0x") && $0.contains { $0.isLetter } } ?? false
  }

  func url(at address: IPAddress) -> String {
    let host = address.isIPv6 ? "[\(address)]" : "\(address)"
    return (isEncrypted ? "https://" : "http://") + host + (port.map { ":\($0)" } ?? "")
  }
}
