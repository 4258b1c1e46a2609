import Foundation
import Testing

/// A running machine is moved by the real programs, in `make test` their debug builds: enrolled, copied while it serves, switched, finished.
/// The script checks by itself that every record acknowledged outside of the guest is served by the target.
@Suite(.serialized, .timeLimit(.minutes(20))) struct MoveTests {
  @Test(
    "A running machine moves, also when every program is killed, and nothing that was acknowledged is missing",
    arguments: [["tiny", "--kill"], ["tiny-uefi"]])
  func moves(guest: [String]) throws {
    let demo = try Script("deploy/demo/run", ["--short", "--guest"] + guest)
    #expect(demo.status == 0, "\(demo.text)")
    #expect(demo.text.contains("Every acknowledged record is served by the target"), "\(demo.text)")
    // A death that did not take place proves nothing.
    let deaths = demo.text.components(separatedBy: "killed in the middle of the copy").count - 1
    #expect(deaths == (guest.contains("--kill") ? 4 : 0), "\(demo.text)")
  }
}
