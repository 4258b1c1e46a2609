import HTTPTypes
import Hummingbird
import NIOCore
import ServiceKit
import Wire

/// Every route of the console. Pages lie below their language.
struct ConsoleRoutes: Sendable {
  /// Whom a page is for.
  enum Need { case anybody, user, member }
  typealias Handler = @Sendable (Visit) async throws -> Response

  /// Bytes of the longest form.
  private static let longestForm = 64 << 10
  let parts: ConsoleParts

  func add(to router: Router<ServiceContext>) {
    router.add(middleware: PageMiddleware(parts: parts))
    router.get("/") { request, _ in
      let language = Language.preferred(request.headers[.acceptLanguage])
      return Response(status: .seeOther, headers: [.location: "/" + language.rawValue, .vary: "Accept-Language"])
    }
    router.get("assets/{digest}/{file}") { _, context in try asset(context) }
    for language in Language.allCases { addPages(language, router) }
  }

  private func addPages(_ language: Language, _ router: Router<ServiceContext>) {
    let pages = PageRegistry(language: language, parts: parts, router: router)
    SignInPages().add(to: pages)
    HomePage().add(to: pages)
    SourcePages().add(to: pages)
    StartPage().add(to: pages)
    MigrationListPage().add(to: pages)
    MigrationPage().add(to: pages)
    ActionPages().add(to: pages)
    ProofPage().add(to: pages)
    ActivityPage().add(to: pages)
    SettingsPages().add(to: pages)
    OperatorPages().add(to: pages)
    ErrorCataloguePage().add(to: pages)
    LiveRoutes().add(to: pages)
  }

  private func asset(_ context: ServiceContext) throws -> Response {
    guard context.parameters.get("digest") == parts.resources.digest, let name = context.parameters.get("file"),
      let asset = parts.resources.assets[name]
    else { throw Problem.notFound("file") }
    return Response(
      status: .ok, headers: [.contentType: asset.type, .cacheControl: "public, max-age=31536000, immutable"],
      body: .init(byteBuffer: ByteBuffer(bytes: asset.bytes)))
  }
}

/// Where a room's pages are entered, for one language.
struct PageRegistry {
  /// Bytes of the longest form.
  private static let longestForm = 64 << 10
  let language: Language
  let parts: ConsoleParts
  let router: Router<ServiceContext>

  /// - Parameter path: below the language; a member's path begins with `t/{tenant}`.
  func get(_ path: String, _ need: ConsoleRoutes.Need, _ handler: @escaping ConsoleRoutes.Handler) {
    router.get(RouterPath(language.rawValue + path)) { [language, parts] request, context in
      try await handler(try await Self.visit(request, context, language, parts, need, Form("")))
    }
  }

  /// A form: refused unless it is one of the visitor's own pages'.
  func post(_ path: String, _ need: ConsoleRoutes.Need, _ handler: @escaping ConsoleRoutes.Handler) {
    router.post(RouterPath(language.rawValue + path)) { [language, parts] request, context in
      let body: ByteBuffer
      do { body = try await request.body.collect(upTo: Self.longestForm) } catch is NIOTooManyBytesError {
        throw Problem(
          code: "too_large", status: 413, detail: "The form is longer than \(Self.longestForm) bytes.",
          remedy: "Write less.")
      }
      let form = Form(String(buffer: body))
      let visit = try await Self.visit(request, context, language, parts, need, form)
      let seed = visit.session == nil ? Cookies.value(Cookies.stranger, in: request) : visit.person.secret
      try FormGuard.check(request, form, seed: seed)
      return try await handler(visit)
    }
  }

  private static func visit(
    _ request: Request, _ context: ServiceContext, _ language: Language, _ parts: ConsoleParts,
    _ need: ConsoleRoutes.Need, _ form: Form
  ) async throws -> Visit {
    let person = parts.person(request, context)
    var session: IdentityAPI.Session?
    if person.secret != nil {
      do { session = try await person.session() } catch let problem as Problem
        where problem.status == 401 && need == .anybody
      {}
    } else if need != .anybody {
      throw Problem.signInNeeded
    }
    let seat = need == .member ? try self.seat(session, try context.parameter("tenant")) : nil
    return Visit(
      parts: parts, request: request, context: context, language: language, person: person, session: session,
      seat: seat, form: form)
  }

  private static func seat(_ session: IdentityAPI.Session?, _ tenant: String) throws -> Visit.Seat {
    if let found = session?.memberships.first(where: { $0.tenant == tenant }) {
      return .init(tenant: tenant, name: found.name, role: found.role)
    }
    guard session?.user.platformRole == .platformAdmin else { throw Problem.notFound("page") }
    return .init(tenant: tenant, name: tenant, role: .platformAdmin)
  }
}
