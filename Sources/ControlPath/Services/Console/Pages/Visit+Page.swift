import HTTPTypes
import Hummingbird
import Mustache
import NIOCore
import ServiceKit
import Wire

/// What templates are given; `[String: Any]`, `[[String: Any]]`, text, numbers and truth inside. Nil values are left out.
typealias View = [String: Any]

extension Visit {
  /// Where a page stands in the navigation.
  enum Section: String, CaseIterable { case home, servers, migrations, activity, settings }

  /// A whole page.
  /// - Parameters:
  ///   - template: of the folder `templates`.
  ///   - title: for people; escaped like all text.
  func page(
    _ template: String, title: String, section: Section? = nil, status: HTTPResponse.Status = .ok, _ own: View = [:]
  ) throws -> Response {
    var view = frame(title: title, section: section)
    var response = Response(status: status, headers: [.contentType: "text/html; charset=utf-8"])
    if let session, let secret = person.secret {
      view["form_token"] = FormGuard.token(secret)
      view["account"] = account(session)
    } else {
      let seed = Cookies.value(Cookies.stranger, in: request) ?? Secret.text(bytes: 18)
      view["form_token"] = FormGuard.token(seed)
      Cookies.set(Cookies.stranger, seed, on: &response)
    }
    view.merge(own) { _, new in new }
    guard let html = parts.resources.templates.render(view, withTemplate: template) else {
      throw ConfigurationError("There is no template '\(template)'.", remedy: "Report this as a fault.")
    }
    response.body = .init(byteBuffer: ByteBuffer(string: html))
    return response
  }

  private func frame(title: String, section: Section?) -> View {
    var view: View = [
      "lang": language.rawValue, "t": words.sections, "title": title, "assets": "/assets/" + parts.resources.digest,
      "base": path(), "root": RESTClient.path(language.rawValue), "here": request.uri.string,
      "other": ["lang": language.other.rawValue, "name": language.other.ownName, "href": otherLanguage]
    ]
    let theme = Cookies.value(Cookies.theme, in: request)
    if let theme, ["light", "dark"].contains(theme) { view["theme"] = theme }
    view["next_theme"] = theme == "dark" ? "light" : "dark"
    if let done = query("done"), let text = words.find("done", done) { view["done"] = text }
    if seat != nil {
      view["nav"] = Section.allCases.filter { $0 != .activity || may(.configure) }.map { one -> View in
        [
          "href": one == .home ? path() : path(one.rawValue), "label": text("nav." + one.rawValue),
          "current": one == section
        ]
      }
      view["can"] = ["migrate": may(.migrate), "configure": may(.configure), "own": may(.own)]
    }
    return view
  }

  /// This page in the other language.
  private var otherLanguage: String {
    let rest = request.uri.string.dropFirst(language.rawValue.count + 1)
    return "/" + language.other.rawValue + rest
  }

  private func account(_ session: IdentityAPI.Session) -> View {
    var view: View = ["name": session.user.name, "email": session.user.email]
    if let seat {
      view["tenant"] = seat.name
      view["role"] = text("role." + seat.role.rawValue)
      let others = session.memberships.filter { $0.tenant != seat.tenant }
      view["others"] = others.map {
        ["name": $0.name, "href": RESTClient.path(language.rawValue, "t", $0.tenant)] as View
      }
    }
    if session.user.platformRole != nil { view["operator"] = RESTClient.path(language.rawValue, "operator") }
    return view
  }
}

extension Catalogue.Explanation {
  var view: View {
    ["code": code, "what": what, "why": why, "remedy": remedy, "detail": detail, "known": isKnown]
  }
}
