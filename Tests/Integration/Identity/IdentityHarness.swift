import AsyncHTTPClient
import Foundation
import Identity
import Logging
import NIOCore
import NIOHTTP1
import ServiceKit
import ServiceLifecycle
import Wire

/// The identity service behind HTTP in a folder that is gone after, and people who use it.
struct IdentityHarness: Sendable {
  static let password = "a long enough password"
  let folder: String
  let clock = TestClock()
  var admin = AdminToken("gwa_" + Secret.text(bytes: 32))
  var socketName = "identity.sock"
  var socket: String { folder + "/" + socketName }

  /// The same, as another process would serve it.
  var another: IdentityHarness {
    var copy = self
    copy.socketName = "another.sock"
    return copy
  }

  static func run(_ body: @escaping @Sendable (IdentityHarness) async throws -> Void) async throws {
    let folder = "/var/tmp/godwit-\(UUID().uuidString.prefix(13))"
    try PrivateFile.makeFolder(folder)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let harness = IdentityHarness(folder: folder)
    try await harness.service { try await body(harness) }
  }

  /// Runs the service while `body` does, and ends it as a crash would: by cancelling it.
  func service(_ body: @escaping @Sendable () async throws -> Void) async throws {
    let logger = Logger(label: "identity") { _ in SwiftLogNoOpLogHandler() }
    let service = try IdentityService(
      configuration: .init(
        folder: folder + "/identity", bindings: [], bootstrap: admin, passwordCost: Self.cheap,
        now: { [clock] in clock.now }), logger: logger)
    try await HTTPServer.whileRunning(.unix(path: socket), logger: logger, routes: service.addRoutes) { _ in
      try await body()
    }
  }

  static let cheap = PasswordHash.Cost(logRounds: 4, blockSize: 8, parallelism: 1)

  func client(_ token: String?) throws -> RESTClient {
    try RESTClient(name: "identity", endpoint: .unix(path: socket)) { token.map { "Bearer " + $0 } }
  }

  func tenant(_ id: String) async throws {
    _ = try await client(admin.text).post(
      "/v1/tenants", IdentityAPI.TenantWish(id: id, name: id), as: IdentityAPI.Tenant.self)
    // Tests ask as fast as they can.
    _ = try await client(admin.text).put(
      "/v1/tenants/\(id)/limits", TenantLimits(requests: 100_000), as: TenantLimits.self)
  }

  static func email(_ tenant: String, _ role: Role) -> String { "\(role.rawValue)@\(tenant).example" }

  /// Makes a user of the tenant, by invitation, and signs in.
  func join(_ tenant: String, _ role: Role) async throws -> IdentityAPI.Session {
    let email = Self.email(tenant, role)
    let invitation: IdentityAPI.Invitation = try await client(admin.text).post(
      "/v1/tenants/\(tenant)/invitations", IdentityAPI.InvitationWish(email: email, role: role))
    _ = try await client(nil).post(
      "/v1/invitations/accept",
      IdentityAPI.Acceptance(token: invitation.token ?? "", name: "N", password: Self.password),
      as: IdentityAPI.Member.self)
    return try await signIn(email)
  }

  /// Makes one of the operator's users, and signs in.
  func operate(_ role: Role) async throws -> IdentityAPI.Session {
    let email = Self.email("operator", role)
    _ = try await client(admin.text).post(
      "/v1/users", IdentityAPI.UserWish(email: email, name: "N", password: Self.password, platformRole: role),
      as: IdentityAPI.User.self)
    return try await signIn(email)
  }

  func signIn(_ email: String, _ password: String = Self.password) async throws -> IdentityAPI.Session {
    try await client(nil).post("/v1/sessions", IdentityAPI.SignIn(email: email, password: password))
  }

  func grant(_ secret: String?, tenant: String? = nil) async throws -> IdentityAPI.AccessGrant {
    try await client(secret).post("/v1/token", IdentityAPI.TokenWish(tenant: tenant))
  }

  /// A client with an access token of its own for the tenant.
  func acting(_ session: IdentityAPI.Session, in tenant: String?) async throws -> RESTClient {
    try client(try await grant(session.token, tenant: tenant).accessToken)
  }
}

/// A request whose answer's status is what matters.
enum RawRequest {
  static func send(
    _ method: String, _ path: String, socket: String, token: String?, body: String? = nil
  ) async throws -> (status: Int, body: String) {
    var request = HTTPClientRequest(url: "http+unix://" + socket.replacingOccurrences(of: "/", with: "%2F") + path)
    request.method = HTTPMethod(rawValue: method)
    if let token { request.headers.add(name: "Authorization", value: "Bearer " + token) }
    if let body { request.body = .bytes(ByteBuffer(string: body)) }
    let answer = try await HTTPClient.shared.execute(request, timeout: .seconds(10))
    let bytes = try await answer.body.collect(upTo: 16 << 20)
    return (Int(answer.status.code), String(buffer: bytes))
  }
}
