import HTTPTypes
import Hummingbird
import Logging
import ServiceKit
import Wire

/// Gives every answer the headers that keep browsers safe, and turns errors into pages.
struct PageMiddleware: RouterMiddleware {
  typealias Context = ServiceContext
  let parts: ConsoleParts

  static let policy =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    + "base-uri 'none'; form-action 'self'; frame-ancestors 'none'; require-trusted-types-for 'script'; "
    + "trusted-types 'none'"

  func handle(
    _ request: Request, context: ServiceContext, next: (Request, ServiceContext) async throws -> Response
  ) async throws -> Response {
    var response: Response
    do { response = try await next(request, context) } catch {
      response = try answer(to: Self.problem(error, context), request, context)
    }
    response.headers[.contentSecurityPolicy] = Self.policy
    response.headers[.xContentTypeOptions] = "nosniff"
    response.headers[HTTPField.Name("Referrer-Policy")!] = "same-origin"
    response.headers[HTTPField.Name("Cross-Origin-Opener-Policy")!] = "same-origin"
    response.headers[HTTPField.Name("Cross-Origin-Resource-Policy")!] = "same-origin"
    response.headers[HTTPField.Name("Permissions-Policy")!] = "camera=(), microphone=(), geolocation=()"
    if response.headers[.cacheControl] == nil { response.headers[.cacheControl] = "no-store" }
    return response
  }

  private static func problem(_ error: any Error, _ context: ServiceContext) -> Problem {
    switch error {
    case let problem as Problem: return problem
    case let error as HTTPError:
      if error.status == .notFound { return .notFound("page") }
      return Problem(
        code: "malformed_request", status: error.status.code, detail: error.status.reasonPhrase, remedy: "Check it.")
    default:
      context.logger.error("page failed unexpectedly", metadata: ["error": .string(String(reflecting: error))])
      return Problem(
        code: "internal", status: 500, detail: "Something failed inside the console.",
        remedy: "Repeat; if it fails again, look for the support code in the console's log.")
    }
  }

  /// The sign-in page for whom it leads on; else a page that says what, why and what to do.
  private func answer(to problem: Problem, _ request: Request, _ context: ServiceContext) throws -> Response {
    let first = request.uri.path.split(separator: "/").first.map(String.init)
    let language = first.flatMap(Language.init) ?? .preferred(request.headers[.acceptLanguage])
    let isStream = request.uri.path.contains("/live/")
    // A wrong password or code is a 401 as well, but no end of the session.
    if ["sign_in_needed", "token_refused", "token_expired"].contains(problem.code), !isStream {
      let next = request.method == .get ? request.uri.string : "/" + language.rawValue
      var response = Response(
        status: .seeOther,
        headers: [.location: RESTClient.path(language.rawValue, "sign-in", query: ["next": next])])
      Cookies.set(Cookies.session, "", seconds: 0, on: &response)
      return response
    }
    let visit = Visit(
      parts: parts, request: request, context: context, language: language, person: parts.person(request, context),
      session: nil, seat: nil, form: Form(""))
    let explanation = visit.words.explain(problem)
    return try visit.page(
      "error", title: explanation.what, status: .init(code: problem.status),
      [
        "problem": explanation.view, "support": context.requestID,
        "back": request.method == .post ? Self.parent(request.uri.path) : "/" + language.rawValue
      ])
  }

  private static func parent(_ path: String) -> String {
    "/" + path.split(separator: "/").dropLast().joined(separator: "/")
  }
}
