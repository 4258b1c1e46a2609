extension RepairPlanner {
  private static let note =
    "# Written when this machine was moved; the original is in /var/lib/godwit-repair/original.\n"
  private static let dhcp = "The addresses of the old network do not hold on the target: DHCP."

  /// The first network card gets its address by DHCP, whatever it was called before.
  func planNetwork(_ draft: inout RepairDraft) {
    planPersistentNames(&draft)
    var managers: [String] = []
    if files.names(in: "/etc/netplan").contains(where: { $0.hasSuffix(".yaml") }) {
      managers.append("netplan")
      planNetplan(&draft)
    }
    if files.text("/etc/network/interfaces").map(Self.configuresInterfaces) == true {
      managers.append("ifupdown")
      planIfupdown(&draft)
    }
    if files.names(in: "/etc/systemd/network").contains(where: { $0.hasSuffix(".network") }) {
      managers.append("systemd-networkd")
      planNetworkd(&draft)
    }
    if files.isFolder("/etc/NetworkManager/system-connections") || !staticScripts().isEmpty {
      managers.append(files.isFolder("/etc/NetworkManager") ? "NetworkManager" : "network-scripts")
      doubtNetworkManager(&draft)
    }
    draft.findings["network"] = managers.isEmpty ? "none" : managers.joined(separator: " ")
    if managers.isEmpty {
      draft.doubt(
        "unknown_network", "No network configuration of a known kind was found.",
        remedy: "Check after a test launch that the machine has an address; its console works without one.")
    }
  }

  private func planPersistentNames(_ draft: inout RepairDraft) {
    for rule in files.names(in: "/etc/udev/rules.d")
    where rule == "70-persistent-net.rules" || rule == "75-persistent-net-generator.rules" {
      draft.remove("/etc/udev/rules.d/" + rule, reason: "It names network cards of the old machine.")
    }
    for link in files.names(in: "/etc/systemd/network") where link.hasSuffix(".link") && !link.contains("godwit") {
      draft.remove("/etc/systemd/network/" + link, reason: "It names network cards of the old machine.")
    }
  }

  private func planIfupdown(_ draft: inout RepairDraft) {
    let text = Self.note + "auto lo\niface lo inet loopback\n\nauto eth0\niface eth0 inet dhcp\n"
    draft.write("/etc/network/interfaces", text, reason: Self.dhcp)
    // ifupdown has no pattern for names that every release understands: so the name follows the driver.
    draft.write(
      "/etc/systemd/network/10-godwit.link", "[Match]\nDriver=virtio_net\n\n[Link]\nName=eth0\n",
      reason: "The network card bears the name that /etc/network/interfaces uses.")
    for name in files.names(in: "/etc/network/interfaces.d") {
      let path = "/etc/network/interfaces.d/" + name
      guard let text = files.text(path), Self.configuresInterfaces(text) else { continue }
      draft.remove(path, reason: Self.dhcp)
    }
  }

  private func planNetworkd(_ draft: inout RepairDraft) {
    draft.write(
      "/etc/systemd/network/00-godwit.network", "[Match]\nDriver=virtio_net\n\n[Network]\nDHCP=yes\n",
      reason: Self.dhcp)
  }

  private func planNetplan(_ draft: inout RepairDraft) {
    let ours = "/etc/netplan/90-godwit.yaml"
    for name in files.names(in: "/etc/netplan") where name.hasSuffix(".yaml") {
      let path = "/etc/netplan/" + name
      guard path != ours, let text = files.text(path) else { continue }
      let complex = ["bonds:", "bridges:", "vlans:", "wifis:", "tunnels:"].filter(text.contains)
      if !complex.isEmpty {
        draft.doubt(
          "network_replaced", "\(path) has \(complex.joined(separator: " ")) which DHCP on the first card replaces.",
          remedy: "Set up the target's network by hand after the launch.")
      }
      draft.remove(path, reason: Self.dhcp)
    }
    let text =
      "network:\n  version: 2\n  ethernets:\n    godwit:\n      match:\n        driver: virtio_net\n      dhcp4: true\n"
    draft.write(ours, Self.note + text, reason: Self.dhcp, mode: 0o600)
  }

  /// NetworkManager takes DHCP on a card that no profile claims. A profile may claim any card.
  private func doubtNetworkManager(_ draft: inout RepairDraft) {
    let folder = "/etc/NetworkManager/system-connections"
    let profiles = files.names(in: folder).map { "\(folder)/\($0)" }.filter {
      files.text($0)?.contains("method=manual") == true
    }
    let fixed = profiles + staticScripts()
    guard !fixed.isEmpty else { return }
    draft.doubt(
      "network_not_repaired", "Fixed addresses stay as they are in \(fixed.joined(separator: ", ")).",
      remedy: "Use DHCP there, or give the target's network the same addresses.")
  }

  private func staticScripts() -> [String] {
    let folder = "/etc/sysconfig/network-scripts"
    return files.names(in: folder).filter { $0.hasPrefix("ifcfg-") && $0 != "ifcfg-lo" }.map { "\(folder)/\($0)" }
      .filter { files.text($0)?.contains("IPADDR") == true }
  }

  /// Whether an ifupdown file configures anything besides the loopback.
  private static func configuresInterfaces(_ text: String) -> Bool {
    text.split(separator: "\n").contains { line in
      let words = line.split { $0 == " " || $0 == "\t" }
      return words.first == "iface" && words.count > 1 && words[1] != "lo"
    }
  }
}
