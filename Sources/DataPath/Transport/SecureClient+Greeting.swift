import AsyncHTTPClient
import NIOHTTP1

extension SecureClient {
  /// What any server answers to anyone.
  public struct Greeting: Hashable, Sendable {
    public var status: Int
    /// Its clock, in seconds since 1970; nil where it did not say.
    public var date: Int?
  }

  /// Asks for the root of `url`, without proof of a key: any answer will do.
  /// - Throws: `TransportError`.
  public func greet(_ url: String) async throws -> Greeting {
    var request = HTTPClientRequest(url: url)
    request.method = .HEAD
    let response = try await execute(request, url: url)
    return Greeting(
      status: Int(response.status.code), date: response.headers.first(name: "date").flatMap(Self.seconds(ofDate:)))
  }

  /// Seconds since 1970 of `Sun, 06 Nov 1994 08:49:37 GMT`.
  static func seconds(ofDate text: String) -> Int? {
    let words = text.split { $0 == " " || $0 == ":" || $0 == "," }
    let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
    guard words.count == 8, words[7] == "GMT", let month = months.firstIndex(of: String(words[2])),
      let day = Int(words[1]), let year = Int(words[3]), let hour = Int(words[4]), let minute = Int(words[5]),
      let second = Int(words[6]), 1...31 ~= day, 1970...9999 ~= year
    else { return nil }
    // Days of years that begin in March, so that a leap day is the last of its year.
    let shifted = month < 2 ? year - 1 : year
    let ofYear = (153 * ((month + 10) % 12) + 2) / 5 + day - 1
    let days = shifted * 365 + shifted / 4 - shifted / 100 + shifted / 400 + ofYear - 719_468
    return ((days * 24 + hour) * 60 + minute) * 60 + second
  }
}
