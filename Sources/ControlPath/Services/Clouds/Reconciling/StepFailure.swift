import Providers
import ServiceKit
import Wire

/// What an error of a provider means for the object it happened to.
struct StepFailure {
  /// As callers see it.
  let problem: Problem
  /// Nothing will mend it: the object is failed.
  let isFinal: Bool
  /// Time may mend it, but not for ever.
  let givesUp: Bool

  init(_ error: any Error) {
    guard let error = error as? ProviderError else {
      problem =
        error as? Problem
        ?? Problem(
          code: "target_failed", status: 502, detail: "The target could not be used.",
          remedy: "See the service's log.")
      (isFinal, givesUp) = ((error as? Problem)?.code == "dependency_missing", true)
      return
    }
    let (code, remedy) = Self.meaning(error.code)
    problem = Problem(code: code, status: 502, detail: error.message, remedy: remedy)
    isFinal = [.invalid, .conflict].contains(error.code)
    // A missing permission or quota is waited for: it resumes by itself when someone has granted it.
    givesUp = [.notFound, .failed].contains(error.code)
  }

  private static func meaning(_ code: ProviderError.Code) -> (String, String) {
    switch code {
    case .notFound: ("target_not_found", "Check that nobody removed it at the provider.")
    case .conflict: ("target_conflict", "Use another id.")
    case .inUse: ("target_in_use", "It is tried again until what uses it is gone.")
    case .invalid: ("target_invalid", "Correct the wish.")
    case .quota: ("target_quota", "Raise the account's quota; the work then resumes by itself.")
    case .credentials: ("target_credentials", "Enter the target's secret again; the work then resumes by itself.")
    case .permission: ("target_permission", "Grant the missing permission; the work then resumes by itself.")
    case .unavailable: ("target_unavailable", "It is tried again by itself.")
    case .failed: ("target_failed", "See the provider's own log.")
    }
  }
}

extension ProviderError {
  /// The error as the answer to a request that asked the provider directly.
  var asProblem: Problem {
    let problem = StepFailure(self).problem
    let status =
      switch code {
      case .notFound: 404
      case .inUse, .conflict: 409
      case .unavailable: 503
      case .invalid: 422
      default: 502
      }
    return Problem(code: problem.code, status: status, detail: problem.detail, remedy: problem.remedy)
  }
}
