import HTTPTypes
import Hummingbird
import ServiceKit
import Wire

/// What needs no access token: keys, sign-in, and the exchange of credentials.
struct SessionRoutes: Sendable {
  let keys: SigningKeys
  let credentials: Credentials
  let signIn: SignIn
  let invitations: Invitations
  let fronts: Set<String>
  let watch: SessionWatch

  func add(to router: Router<ServiceContext>) {
    router.get(".well-known/jwks.json") { _, _ in try JSONAnswer(try await keys.keySet()) }
    router.post("v1/sessions") { request, context in
      let wish = try await request.json(IdentityAPI.SignIn.self)
      let session = try await watch.during(request, context) {
        try await signIn.begin(wish, from: context.address(of: request, fronts))
      }
      return try JSONAnswer(session, status: .created)
    }
    router.get("v1/session") { request, _ in
      let (session, user) = try await credentials.session(request.bearerToken ?? "")
      return try JSONAnswer(try await signIn.view(session, user))
    }
    router.delete("v1/session") { request, context in
      let (session, user) = try await credentials.session(request.bearerToken ?? "")
      try await watch.during(request, context, user) { try await signIn.end(session) }
      return HTTPResponse.Status.noContent
    }
    router.put("v1/session/password") { request, context in
      let (session, user) = try await credentials.session(request.bearerToken ?? "")
      let change = try await request.json(IdentityAPI.PasswordChange.self)
      try await watch.during(request, context, user) {
        try await signIn.change(change, session, user, from: context.address(of: request, fronts))
      }
      return HTTPResponse.Status.noContent
    }
    addSecondFactor(to: router)
    router.post("v1/token") { request, _ in
      guard let secret = request.bearerToken else { throw Problem.tokenRefused }
      let wish = try await request.json(IdentityAPI.TokenWish.self)
      return try JSONAnswer(try await credentials.grant(secret, tenant: wish.tenant))
    }
    router.post("v1/invitations/accept") { request, context in
      let wish = try await request.json(IdentityAPI.Acceptance.self)
      let member = try await watch.during(request, context) {
        try await invitations.accept(wish, from: context.address(of: request, fronts))
      }
      return try JSONAnswer(member, status: .created)
    }
  }

  private func addSecondFactor(to router: Router<ServiceContext>) {
    router.post("v1/session/second-factor") { request, context in
      let (_, user) = try await credentials.session(request.bearerToken ?? "")
      let made = try await watch.during(request, context, user) { try await signIn.secondFactor.begin(user) }
      return try JSONAnswer(made, status: .created)
    }
    router.put("v1/session/second-factor") { request, context in
      let (_, user) = try await credentials.session(request.bearerToken ?? "")
      let code = try await request.json(IdentityAPI.Code.self).code
      try await watch.during(request, context, user) {
        try await signIn.trying(user, from: context.address(of: request, fronts)) {
          try await signIn.secondFactor.confirm(user.id, code)
        }
      }
      return HTTPResponse.Status.noContent
    }
    router.post("v1/session/second-factor/remove") { request, context in
      let (_, user) = try await credentials.session(request.bearerToken ?? "")
      let code = try await request.json(IdentityAPI.Code.self).code
      try await watch.during(request, context, user) {
        try await signIn.trying(user, from: context.address(of: request, fronts)) {
          try await signIn.secondFactor.check(user.id, code)
        }
        try await signIn.secondFactor.remove(user.id)
      }
      return HTTPResponse.Status.noContent
    }
  }
}
