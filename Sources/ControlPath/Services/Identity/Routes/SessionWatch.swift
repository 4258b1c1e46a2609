import Hummingbird
import ServiceKit
import Wire

/// Audits what is done with a password, a session or an invitation, and where one was wrong. What is malformed, comes too
/// often, or names no invitation is a stranger's: it leaves a line in the log only.
struct SessionWatch: Sendable {
  let auditor: Auditor
  let signIn: SignIn

  /// - Parameter user: who asks, where a session says so.
  func during<Value>(
    _ request: Request, _ context: ServiceContext, _ user: UserRecord? = nil, _ body: () async throws -> Value
  ) async throws -> Value {
    try await auditor.during(
      request, context, tenant: "*", actor: "unknown",
      refusals: { error in
        guard let problem = error as? Problem else { return true }
        let isStranger = ["invitation_refused", "sign_on_refused"].contains(problem.code)
        return [401, 403].contains(problem.status) && !isStranger
      }
    ) {
      if let user { try await signIn.audit(user) }
      return try await body()
    }
  }
}
