import Foundation
import Hummingbird
import Logging
import ServiceKit
import Wire

/// What every page needs, made once.
struct ConsoleParts: Sendable {
  let resources: Resources
  let platform: Platform
  let fronts: Set<String>
  let pending = PendingSignIn.Box()
  let feeds: LiveFeeds
  let logger: Logger

  init(resources: Resources, platform: Platform, fronts: Set<String>, logger: Logger) {
    (self.resources, self.platform, self.fronts, self.logger) = (resources, platform, fronts, logger)
    feeds = LiveFeeds(logger: logger)
  }

  func words(_ language: Language) -> Catalogue {
    guard let catalogue = resources.catalogues[language] else { preconditionFailure("made for every language") }
    return catalogue
  }

  /// Seconds since 1970.
  var now: Int { Int(Date().timeIntervalSince1970) }

  /// Who asks, as far as the request says.
  func person(_ request: Request, _ context: ServiceContext) -> Person {
    Person(
      platform: platform, secret: Cookies.value(Cookies.session, in: request),
      address: context.address(of: request, fronts))
  }
}
