import Machines
import Testing

@testable import Hypervisor

@Suite struct MachineWishTests {
  static func wish(_ change: (inout MachineWish) -> Void, of base: MachineWish = .guest(.isolated)) -> MachineWish {
    var wish = base
    change(&wish)
    return wish
  }

  @Test(arguments: [MachineWish.guest(.open), .bios(.none), .uefi(.isolated), .appliance])
  func `a sensible wish is accepted`(wish: MachineWish) throws {
    try wish.validate()
  }

  @Test(arguments: [
    wish { $0.cpus = 0 }, wish { $0.cpus = 1000 }, wish { $0.memory = 1 }, wish { $0.memory = 1 << 50 },
    wish { $0.volumes = [] }, wish { $0.volumes = ["a", "a"] }, wish { $0.forwardedPorts = [0] },
    wish { $0.forwardedPorts = [22, 22] }, wish { $0.applianceArguments = ["x"] },
    wish { ($0.network, $0.forwardedPorts) = (.none, [22]) }, wish({ $0.network = .open }, of: .appliance),
    wish({ $0.memory = 4 << 30 }, of: .appliance), wish({ $0.applianceArguments = ["a b"] }, of: .appliance),
    wish({ $0.applianceArguments = ["a\nb"] }, of: .appliance), wish({ $0.applianceArguments = [""] }, of: .appliance)
  ])
  func `a wish that no machine can fulfil is refused`(wish: MachineWish) {
    #expect(throws: HypervisorError.self) { try wish.validate() }
  }

  @Test(arguments: ["", "A", "a/b", "..", "a_b", String(repeating: "a", count: 64), "é"])
  func `an id that is not safe as a file name is refused`(id: String) {
    #expect(throws: HypervisorError.self) { try HypervisorError.checkID(id) }
  }
}
