import ServiceKit
import Wire

/// Makes licences and says what one is worth, by the key alone: nothing is kept.
struct LicenceIssuer: Sendable {
  let key: AgentKey
  /// Public halves of keys that signed before.
  let former: [[UInt8]]
  let now: @Sendable () -> Int

  /// - Throws: `Problem` 422 for a wish outside of its edition's bounds.
  func make(_ wish: LicensingAPI.Wish) throws -> LicensingAPI.Issued {
    guard Identifier.isValid(wish.tenant) else { throw Problem.malformed("'tenant' is no tenant's id.") }
    guard Licence.Edition.all.contains(wish.edition) else {
      throw Problem.malformed(
        "'edition' is one of \(Licence.Edition.all.map(\.rawValue).joined(separator: ", ")).")
    }
    let most = wish.edition.most
    guard (1...most.seats).contains(wish.seats), (1...most.days).contains(wish.days) else {
      throw Problem(
        code: "licence_bounds", status: 422,
        detail: "The edition \(wish.edition.rawValue) has 1 to \(most.seats) seats for 1 to \(most.days) days.",
        remedy: "Ask for less, or for another edition.")
    }
    guard wish.key.map({ (1...128).contains($0.utf8.count) }) ?? true else {
      throw Problem.malformed("'key' has 1 to 128 bytes.")
    }
    let time = now()
    let from = wish.from ?? time
    guard (time - 366 * 86_400...time + 366 * 86_400).contains(from) else {
      throw Problem.malformed("'from' is at most a year away.")
    }
    let claims = Licence(
      id: Identifier.make("lic", tenant: wish.tenant, key: wish.key), tenant: wish.tenant, edition: wish.edition,
      seats: wish.seats, iat: time, nbf: from, exp: from + wish.days * 86_400)
    return .init(claims, licence: try claims.signed(with: key))
  }

  /// - Throws: `Problem` 422 `licence_refused`.
  func check(_ text: String) throws -> LicensingAPI.Checked {
    do {
      let licence = try Licence(text, keys: [key.publicKey] + former)
      return .init(licence: licence, standing: licence.standing(at: now()))
    } catch let failure as Licence.Failure {
      throw Problem(
        code: "licence_refused", status: 422, detail: failure.description,
        remedy: "Send the licence whole, as it was issued here.")
    }
  }
}
