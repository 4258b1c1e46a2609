/// Guests of a few hundred bytes, written as machine code: they boot as any other does, in under a second.
enum TinyGuest {
  /// A boot sector for BIOS: says `marker` on the first serial port and on the screen, then halts.
  static func bootSector(_ marker: String) -> [UInt8] {
    // cli; ds = es = ss = 0; sp = 0x7c00; sti
    var code: [UInt8] = [
      0xfa, 0x31, 0xc0, 0x8e, 0xd8, 0x8e, 0xc0, 0x8e, 0xd0, 0xbc, 0x00, 0x7c, 0xfb
    ]
    // next: lodsb; or al, al; jz halt; push ax; int 10h (teletype); pop ax; int 14h (send); jmp next; halt: hlt; jmp halt
    let loop: [UInt8] = [
      0xac, 0x08, 0xc0, 0x74, 0x10, 0x50, 0xb4, 0x0e, 0x31, 0xdb, 0xcd, 0x10, 0x58, 0xb4, 0x01, 0x31, 0xd2, 0xcd, 0x14,
      0xeb, 0xeb, 0xf4, 0xeb, 0xfd
    ]
    let text = 0x7c00 + code.count + 3 + loop.count
    code += [0xbe, UInt8(text & 0xff), UInt8(text >> 8)] + loop + Array("\(marker)\r\n".utf8) + [0]
    return code + [UInt8](repeating: 0, count: 510 - code.count) + [0x55, 0xaa]
  }

  /// A kernel by the Linux boot protocol: its real-mode part says `marker` and its command line on the serial port, then
  /// powers off, or halts for ever.
  static func kernel(_ marker: String, powersOff: Bool) -> [UInt8] {
    var image = [UInt8](repeating: 0, count: 5 * 512 + 4096)
    func put(_ bytes: [UInt8], _ offset: Int) { image.replaceSubrange(offset..<offset + bytes.count, with: bytes) }
    put([4], 0x1f1)  // sectors of the real-mode part
    put([0x55, 0xaa, 0xeb, 0x66], 0x1fe)  // signature; jmp 0x268
    put(Array("HdrS".utf8) + [0x0c, 0x02], 0x202)
    put([1], 0x211)  // loaded high
    put([0xff, 0xff, 0xff, 0x7f], 0x22c)  // highest address of the initramfs
    put([0xff, 0x07, 0, 0], 0x238)  // longest command line
    let (code, print, text) = (0x268, 0x2a0, 0x2c0)
    func call(at offset: Int) -> [UInt8] {
      let distance = print - (offset + 3)
      return [0xe8, UInt8(distance & 0xff), UInt8(distance >> 8)]
    }
    // ds = 0x1000; say text; ds = command line's address / 16; say that; say the end of the line
    var words: [UInt8] = [0xb8, 0x00, 0x10, 0x8e, 0xd8, 0xbe, UInt8(text & 0xff), UInt8(text >> 8)]
    words += call(at: code + words.count)
    words += [0x66, 0xa1, 0x28, 0x02, 0x66, 0xc1, 0xe8, 0x04, 0x8e, 0xd8, 0x31, 0xf6]
    words += call(at: code + words.count)
    // out 0x604, 0x2000: ACPI power off
    if powersOff { words += [0xba, 0x04, 0x06, 0xb8, 0x00, 0x20, 0xef] }
    words += [0xf4, 0xeb, 0xfd]
    put(words, code)
    // next: lodsb; or al, al; jz end; int 14h (send); jmp next; end: ret
    put([0xac, 0x08, 0xc0, 0x74, 0x08, 0xb4, 0x01, 0x31, 0xd2, 0xcd, 0x14, 0xeb, 0xf3, 0xc3], print)
    put(Array("\(marker) ".utf8) + [0], text)
    return image
  }
}
