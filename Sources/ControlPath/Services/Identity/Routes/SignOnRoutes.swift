import HTTPTypes
import Hummingbird
import ServiceKit
import Wire

/// Sign-in by OpenID Connect: the way there and back for anyone, the providers for the operator.
struct SignOnRoutes: Sendable {
  let signOn: SignOn
  let watch: SessionWatch
  let fronts: Set<String>

  func addPublic(to router: Router<ServiceContext>) {
    router.get("v1/sign-on") { _, _ in
      try JSONAnswer(
        try await signOn.providers.list().map { IdentityAPI.SignOnChoice(id: $0.id, name: $0.name) })
    }
    router.post("v1/sign-on/{id}") { request, context in
      let wish = try await request.json(IdentityAPI.SignOnWish.self)
      return try JSONAnswer(
        try await signOn.begin(try context.parameter("id"), wish, from: context.address(of: request, fronts)))
    }
    router.post("v1/sign-on/{id}/session") { request, context in
      let wish = try await request.json(IdentityAPI.SignOnReturn.self)
      let id = try context.parameter("id")
      let session = try await watch.during(request, context) {
        try await signOn.complete(id, wish, from: context.address(of: request, fronts))
      }
      return try JSONAnswer(session, status: .created)
    }
  }

  func addPlatform(to group: RouterGroup<ServiceContext>) {
    group.get("sign-on-providers") { _, _ in try JSONAnswer(try await signOn.providers.list().map(\.view)) }
    group.get("sign-on-providers/{id}") { _, context in
      try JSONAnswer(try await signOn.providers.find(try context.parameter("id")).view)
    }
    group.put("sign-on-providers/{id}") { request, context in
      let wish = try await request.json(IdentityAPI.SignOnProviderWish.self)
      return try JSONAnswer(try await signOn.providers.put(try context.parameter("id"), wish))
    }
    group.delete("sign-on-providers/{id}") { _, context in
      try await signOn.providers.remove(try context.parameter("id"))
      return HTTPResponse.Status.noContent
    }
  }
}
