import Foundation
import Wire

/// Why a migration may not start; those that run go on.
extension Problem {
  static func licenceExhausted(_ seats: Int) -> Problem {
    Problem(
      code: "licence_exhausted", status: 409, detail: "All \(seats) seats of the tenant's licences are taken.",
      remedy: "Remove a migration that was not switched, or ask the operator for a licence with more seats; "
        + "'godwit licence list' shows who holds them.")
  }

  static func licenceExpired(_ last: Licence) -> Problem {
    Problem(
      code: "licence_expired", status: 409,
      detail: "The tenant's last licence, \(last.id), ended at \(instant(last.exp)).",
      remedy: "Ask the operator for another one; migrations that run go on.")
  }

  static func licenceEarly(_ next: Licence) -> Problem {
    Problem(
      code: "licence_missing", status: 409, detail: "The licence \(next.id) is not good before \(instant(next.nbf)).",
      remedy: "Wait until then, or ask the operator for one that begins now.")
  }

  static func licenceMissing(_ tenant: String) -> Problem {
    Problem(
      code: "licence_missing", status: 409, detail: "The tenant \(tenant) has no licence.",
      remedy: "Ask the operator for one: 'godwit licence issue \(tenant) --seats N --days N'.")
  }

  /// - Parameter since: when licences were confirmed last; nil: never.
  static func licenceUnconfirmed(since: Int?) -> Problem {
    Problem(
      code: "licence_unconfirmed", status: 503,
      detail: since.map {
        "The licensing service does not answer, and what it said at \(instant($0)) counts for "
          + "\(SeatBook.grace / 3600) hours."
      } ?? "The licensing service does not answer, and nothing is known of the tenant's licences.",
      remedy: "Check that it runs and that 'licensing-url' is right; migrations that run go on.")
  }

  static let licenceClock = Problem(
    code: "licence_clock", status: 409, detail: "The platform's clock was set back.",
    remedy: "Set it right. If it had stood ahead by mistake, see 'The clock' in docs/operations/licensing.md.")

  private static func instant(_ seconds: Int) -> String {
    Date(timeIntervalSince1970: Double(seconds)).formatted(.iso8601)
  }
}
