import Testing
import Wire

@testable import Licensing
@testable import ServiceKit

struct LicenceTests {
  private let key = AgentKey()
  private let licence = Licence(
    id: "lic-1", tenant: "acme", edition: .standard, seats: 10, iat: 100, nbf: 100, exp: 200)

  @Test func `A licence says what was signed, to whoever has the public key`() throws {
    let text = try licence.signed(with: key)
    #expect(try Licence(text, keys: [AgentKey().publicKey, key.publicKey]) == licence)
    #expect([99, 100, 199, 200].map(licence.standing(at:)) == [.early, .good, .good, .expired])
  }

  @Test func `A changed licence, one of another key, and a token of another kind are refused`() throws {
    let parts = try licence.signed(with: key).split(separator: ".").map(String.init)
    var more = licence
    more.seats = 1000
    let other = try more.signed(with: AgentKey()).split(separator: ".").map(String.init)
    #expect(throws: Licence.Failure.wrongSignature) {
      try Licence("\(parts[0]).\(other[1]).\(parts[2])", keys: [key.publicKey])
    }
    #expect(throws: Licence.Failure.wrongSignature) { try Licence(parts.joined(separator: "."), keys: []) }
    #expect(throws: Licence.Failure.wrongSignature) {
      try Licence(parts.joined(separator: "."), keys: [AgentKey().publicKey])
    }
    let stranger = try CompactJWS.sign(licence, header: .init(typ: "godwit-service+jwt"), with: key)
    for text in ["", "a.b.c", stranger] {
      #expect(throws: Licence.Failure.self) { try Licence(text, keys: [key.publicKey]) }
    }
    more.seats = 0
    #expect(throws: Licence.Failure.self) { try Licence(more.signed(with: key), keys: [key.publicKey]) }
  }

  @Test func `An edition that is not known here is kept as it is named`() throws {
    var later = licence
    later.edition = .init(rawValue: "galactic")
    #expect(try Licence(later.signed(with: key), keys: [key.publicKey]).edition.rawValue == "galactic")
  }

  @Test(arguments: [
    ("malformed_request", LicensingAPI.Wish(tenant: "Acme!", edition: .standard, seats: 1, days: 1)),
    ("malformed_request", .init(tenant: "acme", edition: .init(rawValue: "galactic"), seats: 1, days: 1)),
    ("malformed_request", .init(tenant: "acme", edition: .standard, seats: 1, days: 1, from: .max)),
    ("malformed_request", .init(tenant: "acme", edition: .standard, seats: 1, days: 1, key: "")),
    ("licence_bounds", .init(tenant: "acme", edition: .standard, seats: 0, days: 1)),
    ("licence_bounds", .init(tenant: "acme", edition: .standard, seats: 1, days: .max)),
    ("licence_bounds", .init(tenant: "acme", edition: .evaluation, seats: 26, days: 1)),
    ("licence_bounds", .init(tenant: "acme", edition: .evaluation, seats: 1, days: 91))
  ]) func `A wish out of bounds is refused`(_ code: String, _ wish: LicensingAPI.Wish) throws {
    let issuer = LicenceIssuer(key: key, former: []) { 1000 }
    let problem = #expect(throws: Problem.self) { try issuer.make(wish) }
    #expect(problem?.code == code)
  }

  @Test func `A licence of a former key stays good, and the same wish under the same key is the same licence`() throws {
    let old = LicenceIssuer(key: key, former: []) { 1000 }
    let new = LicenceIssuer(key: AgentKey(), former: [key.publicKey]) { 1000 + 86_400 }
    let wish = LicensingAPI.Wish(tenant: "acme", edition: .standard, seats: 3, days: 1, key: "po-17")
    let issued = try old.make(wish)
    #expect(try new.check(issued.licence).standing == .expired)
    #expect(try new.make(wish).id == issued.id)
    let problem = #expect(throws: Problem.self) { try old.check(new.make(wish).licence) }
    #expect(problem?.code == "licence_refused")
  }
}
