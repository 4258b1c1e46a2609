import HTTPTypes
import Hummingbird

/// The console's cookies. The browser sends them over TLS only, to this host only, and no script reads those that matter.
enum Cookies {
  /// The session's secret.
  static let session = "__Host-godwit"
  /// What forms of strangers are bound to.
  static let stranger = "__Host-godwit-stranger"
  /// A sign-in that waits for its second factor.
  static let pending = "__Host-godwit-pending"
  /// `light` or `dark`; none: as the system has it.
  static let theme = "godwit-theme"

  static func value(_ name: String, in request: Request) -> String? {
    guard let value = request.cookies[name]?.value, !value.isEmpty, value.utf8.count <= 4096 else { return nil }
    return value
  }

  /// - Parameter seconds: nil: until the browser is closed; 0: gone at once.
  static func set(_ name: String, _ value: String, seconds: Int? = nil, on response: inout Response) {
    let age = seconds.map { "; Max-Age=\($0)" } ?? ""
    response.headers.append(
      .init(name: .setCookie, value: "\(name)=\(value); Path=/; Secure; HttpOnly; SameSite=Lax\(age)"))
  }
}
