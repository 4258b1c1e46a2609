import Blocks
import Frames
import Replication
import Wire

/// Every refusal of the gateway, in one place.
extension Problem {
  /// No room is left, for a volume or for what is kept about it.
  static func isFull(_ error: any Error) -> Bool {
    switch error {
    case let error as BlockError: error.code == .full
    case let error as StoreError: error.isFull
    default: false
    }
  }

  static func grantRefused(_ why: String) -> Problem {
    Problem(
      code: "grant_refused", status: 403, detail: "the session's grant was refused: \(why)",
      remedy: "ask the migration service for a new grant")
  }

  static func proofRefused(_ why: String) -> Problem {
    Problem(
      code: "proof_refused", status: 401, detail: "the request is not proven: \(why)",
      remedy: "sign each request anew with the agent's key; set the clock")
  }

  static let epochClosed = Problem(
    code: "epoch_closed", status: 409, detail: "this epoch of the session is not open",
    remedy: "open the session again and send what was not settled")

  static func busy(_ what: String) -> Problem {
    Problem(code: "busy", status: 503, detail: "the gateway is busy: \(what)", remedy: "try again after a second")
  }

  /// Work that ends: whoever waits for it must not give up as for a gateway that does nothing.
  static func readingVolume(_ progress: String) -> Problem {
    Problem(
      code: "reading_volume", status: 503,
      detail: "the gateway has lost what it knew of a volume and reads it anew: \(progress)",
      remedy: "wait; afterwards all is compared, and only what differs is sent")
  }

  static func tooLarge(_ limit: Int) -> Problem {
    Problem(
      code: "too_large", status: 413, detail: "the body is longer than \(limit) bytes", remedy: "send smaller requests")
  }

  static func badRequest(_ code: String, _ detail: String) -> Problem {
    Problem(code: code, status: 400, detail: detail, remedy: "this is a fault of the sender: see api/wire.md")
  }

  static func volumeInUse(_ volume: String) -> Problem {
    Problem(
      code: "volume_in_use", status: 409, detail: "another session is writing to volume \(volume)",
      remedy: "wait for its requests to end, or end that migration")
  }

  static func volumeRefused(_ volume: String, _ why: String) -> Problem {
    Problem(
      code: "volume_refused", status: 500, detail: "volume \(volume) cannot be used: \(why)",
      remedy: "see that the volume is attached to the gateway's machine, and start the sync again")
  }

  static func failed(_ why: String) -> Problem {
    Problem(
      code: "gateway_failed", status: 500, detail: why,
      remedy: "open the session again; see the gateway's log if it stays")
  }

  init(_ error: FrameError) {
    switch error.refusal {
    case .malformed: self = .badRequest("malformed_frame", "\(error)")
    case .tooLarge:
      self.init(code: "too_large", status: 413, detail: "\(error)", remedy: "send smaller frames: see api/wire.md")
    case .outOfRange:
      self.init(
        code: "out_of_range", status: 422, detail: "\(error)", remedy: "compare the disk's size with the grant's")
    }
  }

  init(_ refusal: ReplicaMachine.Refusal) {
    switch refusal {
    case .epochClosed: self = .epochClosed
    case .stale:
      self.init(
        code: "stale_sequence", status: 409, detail: "a later frame was here, or this one was given up",
        remedy: "drop the frame")
    case .sealed:
      self.init(
        code: "sealed", status: 409, detail: "the session is sealed or being sealed", remedy: "begin a new session")
    case .superseded:
      self.init(
        code: "superseded", status: 409, detail: "a later session of these volumes was opened",
        remedy: "end this session")
    case .outOfOrder:
      self = .badRequest("out_of_order", "parts of the manifest or sequences do not follow on what is stored")
    case .full:
      self.init(
        code: "target_full", status: 507,
        detail: "the store behind the target's volume, or the gateway's folder, is full",
        remedy: "give the target more space, then resume the sync")
    case .failed(let why): self = .failed(why)
    }
  }
}
