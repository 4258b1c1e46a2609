/// What runs a machine's instructions.
public enum Accelerator: String, Codable, Hashable, Sendable {
  case kvm, tcg

  var arguments: [String] {
    switch self {
    case .kvm: ["-accel", "kvm", "-cpu", "host"]
    case .tcg: ["-accel", "tcg,thread=multi", "-cpu", "max"]
    }
  }
}

/// The accelerator in use and why: the answer of `GET /v1/accelerator`.
public struct AcceleratorVerdict: Codable, Hashable, Sendable {
  public var accelerator: Accelerator
  public var reason: String
}
