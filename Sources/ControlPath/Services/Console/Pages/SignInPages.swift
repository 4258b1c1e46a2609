import Hummingbird
import ServiceKit
import Wire

/// Sign-in with its second step, invitations, sign-out, and the choice of light or dark.
struct SignInPages {
  func add(to pages: PageRegistry) {
    pages.get("/sign-in", .anybody) { visit in
      if visit.session != nil { return visit.redirect(Self.next(visit)) }
      return try Self.form(visit)
    }
    pages.post("/sign-in", .anybody) { try await Self.signIn($0) }
    pages.post("/sign-in/code", .anybody) { try await Self.secondStep($0) }
    pages.get("/invitation", .anybody) { try Self.invitation($0) }
    pages.post("/invitation", .anybody) { try await Self.accept($0) }
    pages.post("/sign-out", .user) { visit in
      try await visit.person.signOut()
      var response = visit.redirect(visit.path("sign-in"), done: "signed_out")
      Cookies.set(Cookies.session, "", seconds: 0, on: &response)
      return response
    }
    pages.post("/theme", .anybody) { visit in
      var response = visit.redirect(Self.local(visit.form["back"], visit))
      let theme = visit.form["theme"] == "dark" ? "dark" : "light"
      Cookies.set(Cookies.theme, theme, seconds: 31_536_000, on: &response)
      return response
    }
  }

  /// A path of this console in the visitor's language; the start page for all else.
  private static func local(_ path: String?, _ visit: Visit) -> String {
    let root = "/" + visit.language.rawValue
    guard let path, path == root || path.hasPrefix(root + "/"), !path.contains("//"), !path.contains("\\"),
      path.utf8.allSatisfy({ (0x21..<0x7F).contains($0) })
    else { return root }
    return path
  }

  private static func next(_ visit: Visit) -> String { local(visit.form["next"] ?? visit.query("next"), visit) }

  private static func form(_ visit: Visit, _ problem: Problem? = nil) throws -> Response {
    var view: View = ["next": next(visit), "email": visit.form["email"] ?? ""]
    if let problem { view["problem"] = visit.words.explain(problem).view }
    return try visit.page(
      "sign-in", title: visit.text("sign_in.title"), status: problem.map { .init(code: $0.status) } ?? .ok, view)
  }

  private static func signIn(_ visit: Visit) async throws -> Response {
    guard let email = visit.form["email"], let password = visit.form["password"] else {
      return try form(visit, .signInIncomplete)
    }
    do {
      return try begin(try await visit.person.signIn(.init(email: email, password: password)), visit)
    } catch let problem as Problem where problem.code == "second_factor_needed" {
      let until = visit.parts.now + PendingSignIn.life
      let pending = PendingSignIn(email: email, password: password, until: until)
      var response = try code(visit)
      Cookies.set(
        Cookies.pending, try visit.parts.pending.seal(pending), seconds: PendingSignIn.life, on: &response)
      return response
    } catch let problem as Problem where [401, 422, 429, 503].contains(problem.status) {
      return try form(visit, problem)
    }
  }

  private static func code(_ visit: Visit, _ problem: Problem? = nil) throws -> Response {
    var view: View = ["next": next(visit)]
    if let problem { view["problem"] = visit.words.explain(problem).view }
    return try visit.page(
      "second-step", title: visit.text("sign_in.code_title"), status: problem.map { .init(code: $0.status) } ?? .ok,
      view)
  }

  private static func secondStep(_ visit: Visit) async throws -> Response {
    guard let sealed = Cookies.value(Cookies.pending, in: visit.request),
      let pending = visit.parts.pending.open(sealed, now: visit.parts.now)
    else { return visit.redirect(visit.path("sign-in")) }
    let wish = IdentityAPI.SignIn(
      email: pending.email, password: pending.password, code: (visit.form["code"] ?? "").filter { !$0.isWhitespace })
    do {
      var response = try begin(try await visit.person.signIn(wish), visit)
      Cookies.set(Cookies.pending, "", seconds: 0, on: &response)
      return response
    } catch let problem as Problem where [401, 429, 503].contains(problem.status) {
      return try code(visit, problem)
    }
  }

  private static func begin(_ session: IdentityAPI.Session, _ visit: Visit) throws -> Response {
    guard let token = session.token else { throw Problem.signInNeeded }
    var response = visit.redirect(next(visit))
    Cookies.set(Cookies.session, token, on: &response)
    Cookies.set(Cookies.stranger, "", seconds: 0, on: &response)
    return response
  }

  // MARK: Invitations

  private static func invitation(_ visit: Visit, _ problem: Problem? = nil) throws -> Response {
    var view: View = ["name": visit.form["name"] ?? ""]
    if let problem { view["problem"] = visit.words.explain(problem).view }
    return try visit.page(
      "invitation", title: visit.text("invitation.title"), status: problem.map { .init(code: $0.status) } ?? .ok, view)
  }

  private static func accept(_ visit: Visit) async throws -> Response {
    guard let token = visit.form["invitation"], let password = visit.form["password"] else {
      return try invitation(visit, .signInIncomplete)
    }
    let trimmed = token.filter { !$0.isWhitespace }
    let stranger = Person(platform: visit.parts.platform, secret: nil, address: visit.person.address)
    do {
      let member = try await stranger.accept(.init(token: trimmed, name: visit.form["name"], password: password))
      do {
        return try begin(try await stranger.signIn(.init(email: member.email, password: password)), visit)
      } catch is Problem {
        // Somebody with a second factor signs in as always.
        return visit.redirect(visit.path("sign-in"), done: "joined")
      }
    } catch let problem as Problem where problem.status < 500 {
      return try invitation(visit, problem)
    }
  }
}

extension Problem {
  /// 422: a form without what it asks for.
  static let signInIncomplete = Problem(
    code: "form_incomplete", status: 422, detail: "A field is empty.", remedy: "Fill in every field.")
}
