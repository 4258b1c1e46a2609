import FoundationEssentials
import HTTPTypes
public import Logging
import NIOHTTP1

/// What ties together all that is done for one request: its id (`X-Request-ID`) and its place in a trace (W3C Trace
/// Context). While a request is handled, `current` is set, and goes with every call and every log line.
public struct RequestTrace: Hashable, Sendable {
  public let requestID: String
  /// 32 hexadecimal digits.
  public let traceID: String
  /// 16 hexadecimal digits: this service's part of it.
  public let spanID: String
  /// 2 hexadecimal digits.
  let flags: String
  /// `tracestate`, passed on as it came.
  let state: String?

  @TaskLocal public static var current: RequestTrace?

  /// Something new: work that no request began.
  public init() {
    (requestID, traceID, spanID) = (Secret.text(bytes: 9), Self.digits(32), Self.digits(16))
    (flags, state) = ("00", nil)
  }

  /// What a request brings along, as far as it is well-formed; the rest is made.
  init(_ headers: HTTPFields) {
    let given = headers[.requestID].flatMap { Self.isRequestID($0) ? $0 : nil }
    let parent = headers[.traceparent].flatMap(Self.parse)
    requestID = given ?? Secret.text(bytes: 9)
    traceID = parent?.trace ?? Self.digits(32)
    flags = parent?.flags ?? "00"
    spanID = Self.digits(16)
    state = parent == nil ? nil : headers[.tracestate].flatMap { $0.utf8.count <= 512 ? $0 : nil }
  }

  /// `00-TRACE-SPAN-FLAGS`
  public var traceparent: String { "00-\(traceID)-\(spanID)-\(flags)" }

  /// Puts it on a call to another service.
  func apply(to headers: inout HTTPHeaders) {
    headers.replaceOrAdd(name: "X-Request-ID", value: requestID)
    headers.replaceOrAdd(name: "traceparent", value: traceparent)
    if let state { headers.replaceOrAdd(name: "tracestate", value: state) } else { headers.remove(name: "tracestate") }
  }

  /// 1 to 128 letters, digits and `-._~`: nothing that could mean something elsewhere.
  static func isRequestID(_ text: String) -> Bool {
    (1...128).contains(text.utf8.count)
      && text.utf8.allSatisfy {
        (0x30...0x39).contains($0) || (0x41...0x5A).contains($0) || (0x61...0x7A).contains($0)
          || [0x2D, 0x2E, 0x5F, 0x7E].contains($0)
      }
  }

  /// A later version may have more parts behind the four.
  static func parse(_ text: String) -> (trace: String, flags: String)? {
    let parts = text.split(separator: "-", omittingEmptySubsequences: false).map(String.init)
    guard parts.count >= 4, zip(parts, [2, 32, 16, 2]).allSatisfy({ isHex($0, $1) }), parts[0] != "ff",
      parts[0] != "00" || parts.count == 4, parts[1].contains(where: { $0 != "0" }),
      parts[2].contains(where: { $0 != "0" })
    else { return nil }
    return (parts[1], parts[3])
  }

  private static func isHex(_ text: String, _ count: Int) -> Bool {
    text.utf8.count == count && text.utf8.allSatisfy { (0x30...0x39).contains($0) || (0x61...0x66).contains($0) }
  }

  private static func digits(_ count: Int) -> String {
    var generator = SystemRandomNumberGenerator()
    let alphabet = Array("0123456789abcdef".utf8)
    // Never all zeros: that means "none".
    let first = alphabet[Int.random(in: 1..<16, using: &generator)]
    let rest = (1..<count).map { _ in alphabet[Int.random(in: 0..<16, using: &generator)] }
    return String(decoding: [first] + rest, as: UTF8.self)
  }

  var logMetadata: Logger.Metadata {
    ["request.id": .string(requestID), "trace.id": .string(traceID), "span.id": .string(spanID)]
  }
}

extension Logger.MetadataProvider {
  /// The request that is handled, on every line that is logged meanwhile.
  public static let requestTrace = Logger.MetadataProvider { RequestTrace.current?.logMetadata ?? [:] }
}
