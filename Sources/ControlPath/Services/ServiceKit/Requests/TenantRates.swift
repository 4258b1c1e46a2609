import FoundationEssentials
import Synchronization
public import Wire

/// How many requests each tenant may make: a bucket of two seconds' worth each, filled by `TenantLimits.requests` a second.
public final class TenantRates: Sendable {
  private struct Bucket {
    var tokens: Double
    var at: Double
  }
  private static let most = 10_000
  private let now: @Sendable () -> Double
  /// By tenant; of the platform's own people by user. Taken by every request, for a few instructions, hence the lock.
  private let buckets = Mutex<[String: Bucket]>([:])

  /// - Parameter now: seconds, growing steadily.
  public init(now: @escaping @Sendable () -> Double = TenantRates.uptime) { self.now = now }

  public static let uptime: @Sendable () -> Double = {
    let start = ContinuousClock.now
    return { (ContinuousClock.now - start) / .seconds(1) }
  }()

  /// Takes one request of the token's tenant.
  /// - Throws: `Problem` 429 `rate_limited`, which takes nothing.
  public func admit(_ token: AccessToken) throws {
    let limit = Double((token.limits ?? TenantLimits()).requests)
    let (key, time) = (token.tenant.map { "tenant " + $0 } ?? "user " + token.sub, now())
    let wait = buckets.withLock { buckets -> Double in
      // Full buckets say nothing: whoever is not here has one.
      if buckets.count >= Self.most { buckets = buckets.filter { time - $0.value.at < 2 } }
      var bucket = buckets[key] ?? Bucket(tokens: 2 * limit, at: time)
      bucket.tokens = min(2 * limit, bucket.tokens + (time - bucket.at) * limit)
      bucket.at = time
      let isAdmitted = bucket.tokens >= 1
      if isAdmitted { bucket.tokens -= 1 }
      buckets[key] = bucket
      return isAdmitted ? 0 : (1 - bucket.tokens) / limit
    }
    guard wait > 0 else { return }
    throw Problem(
      code: "rate_limited", status: 429, detail: "The tenant has asked more than \(Int(limit)) times a second.",
      remedy: "Ask less often; the platform's administrator sets the limit.", retryAfter: max(1, Int(wait.rounded(.up)))
    )
  }
}

extension TenantLimits {
  /// 409, where one more would be more than the tenant may have.
  public static func reached(_ what: String, _ limit: Int) -> Problem {
    Problem(
      code: "quota_reached", status: 409, detail: "The tenant has \(limit) \(what), and may not have more.",
      remedy: "Remove some, or ask the platform's administrator for more.")
  }
}
