/// What the licensing service and its users say to each other, in JSON. Instants are seconds since 1970. Lists are pages as
/// those of `MigrationAPI`, ordered by id.
public enum LicensingAPI {
  /// `POST /v1/licences`
  public struct Wish: Codable, Hashable, Sendable {
    public var tenant: String
    public var edition: Licence.Edition
    public var seats: Int
    /// From `from`, or from now.
    public var days: Int
    public var from: Int?
    /// With the same one the same licence is answered again.
    public var key: String?
    public init(
      tenant: String, edition: Licence.Edition, seats: Int, days: Int, from: Int? = nil, key: String? = nil
    ) {
      (self.tenant, self.edition, self.seats) = (tenant, edition, seats)
      (self.days, self.from, self.key) = (days, from, key)
    }
  }

  /// A licence as the service keeps it.
  public struct Issued: Codable, Hashable, Sendable {
    public var id: String
    public var tenant: String
    public var edition: Licence.Edition
    public var seats: Int
    public var issuedAt: Int
    public var from: Int
    /// It is good up to this instant.
    public var until: Int
    public var revokedAt: Int?
    /// The signed licence.
    public var licence: String

    public init(_ claims: Licence, licence: String, revokedAt: Int? = nil) {
      (id, tenant, edition, seats) = (claims.id, claims.tenant, claims.edition, claims.seats)
      (issuedAt, from, until) = (claims.iat, claims.nbf, claims.exp)
      (self.licence, self.revokedAt) = (licence, revokedAt)
    }
  }

  /// `POST /v1/licences/check`
  public struct Check: Codable, Hashable, Sendable {
    public var licence: String
    public init(licence: String) { self.licence = licence }
  }

  public struct Checked: Codable, Hashable, Sendable {
    public var licence: Licence
    public var standing: Licence.Standing
    public init(licence: Licence, standing: Licence.Standing) { (self.licence, self.standing) = (licence, standing) }
  }

  /// `GET /v1/tenants/{tenant}/seats` of the migration service.
  public struct Seats: Codable, Hashable, Sendable {
    public struct Use: Codable, Hashable, Sendable {
      public var licence: String
      public var edition: Licence.Edition
      public var seats: Int
      public var used: Int
      public var until: Int
      public var standing: Licence.Standing
      public init(_ claims: Licence, used: Int, standing: Licence.Standing) {
        (licence, edition, seats, until) = (claims.id, claims.edition, claims.seats, claims.exp)
        (self.used, self.standing) = (used, standing)
      }
    }

    public struct Seat: Codable, Hashable, Sendable {
      public var source: String
      public var licence: String
      public var takenAt: Int
      /// When a machine that was moved became the owner's: the seat does not come back.
      public var spentAt: Int?
      public init(source: String, licence: String, takenAt: Int, spentAt: Int?) {
        (self.source, self.licence, self.takenAt, self.spentAt) = (source, licence, takenAt, spentAt)
      }
    }

    /// False: this platform counts no seats.
    public var counted: Bool
    /// When the licensing service last said which licences there are.
    public var confirmedAt: Int?
    public var licences: [Use]
    public var seats: [Seat]
    public init(counted: Bool, confirmedAt: Int?, licences: [Use], seats: [Seat]) {
      (self.counted, self.confirmedAt, self.licences, self.seats) = (counted, confirmedAt, licences, seats)
    }
  }
}
